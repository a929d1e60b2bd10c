"""Overrides of a sweep: what makes a job the job that it is, and the single runs that show every value."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.sweep import overrides
from rexcli.sweep.overrides import identity, is_choice, variants

KEYS = st.lists(st.sampled_from(["seed", "ppo.lr", "nodes.eye.delay", "name"]), unique=True, min_size=1)
VALUES = st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_value_is_in_a_single_run_and_all_other_keys_have_their_first(data: st.DataObject) -> None:
    swept = {key: data.draw(VALUES) for key in data.draw(KEYS)}
    first, *others = variants([f"{key}={','.join(map(str, values))}" for key, values in swept.items()])
    assert first == [f"{key}={values[0]}" for key, values in swept.items()]
    changed = [[text for text, plain in zip(other, first, strict=True) if text != plain] for other in others]
    assert changed == [[f"{key}={value}"] for key, values in swept.items() for value in values[1:]]


def test_what_only_a_sweeper_knows_is_left_out_and_most_of_many_are_seen(monkeypatch) -> None:
    assert list(variants(["a=interval(0,1)", "b=choice(x,y)", "c='1,2'"])) == [["b=x", "c='1,2'"], ["b=y", "c='1,2'"]]
    monkeypatch.setattr(overrides, "MOST_CHECKED", 10)
    assert len(list(variants(["seed=range(0,1000)", "ppo.lr=1,2,3"]))) == 10


def test_how_a_sweep_is_launched_is_no_part_of_a_job() -> None:
    launched = ["launcher=joblib", "+launcher=joblib", "sweeper=optuna", "hydra.sweep.dir=a", "hydra/launcher=basic"]
    assert all(map(is_choice, launched))
    assert identity(["++ppo.lr=1", *launched, "+nodes.arm.rate=5", "launchers=1"]) == [
        "ppo.lr=1",
        "+nodes.arm.rate=5",
        "launchers=1",
    ]


def test_hydras_settings_are_plain_but_for_those_that_were_typed() -> None:
    plain = {text.partition("=")[0] for text in overrides.settings(["seed=1"])}
    typed = overrides.settings(["+hydra.run.dir=here", "hydra/job_logging=default"])
    assert plain == set(overrides.PLAIN)
    assert {text.partition("=")[0] for text in typed} == plain - {"hydra.run.dir", "hydra/job_logging"}
