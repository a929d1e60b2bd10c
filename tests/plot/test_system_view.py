"""A picture of a system is drawn once for runs of the same system, and again where anything that it shows differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rexcli.errors import RexError
from rexcli.plot import Options, Picture, draw_run, main, system_view
from rexcli.plot.registry import pictures
from rexcli.plot.system_view import SystemView, shows_system
from rexcli.runs import formats
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.timeline.arrays import to_arrays
from tests.plot.fixtures import PENDULUM, metrics, program, timeline_of

OF_SYSTEM = {"ages", "dataflow", "delays", "supergraph", "system"}
Changed = Callable[[dict[str, Any]], Any]


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    system_view._kept.clear()
    yield
    system_view._kept.clear()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the classes of the pictures that were rendered."""
    names: list[str] = []

    def rendered(picture: Picture, options: Options, what: Any) -> tuple[str, bytes]:
        names.append(type(picture).__module__.rpartition(".")[2])
        return render(picture, options, what)

    render = main._rendered
    monkeypatch.setattr(main, "_rendered", rendered)
    return names


def made(folder: Path, changed: Changed | None = None, *, steps: int = 20, timeline: bool = True) -> RunView:
    """Makes a run of the pendulum with a timeline, a program and metrics."""
    config = deepcopy(PENDULUM)
    if changed is not None:
        changed(config)
    text = yaml.safe_dump(config)
    with Run.create(folder, "pendulum", "train", argv=[], seed=0, config_yaml=text, path=folder) as run:
        if timeline:
            run.write_arrays("timeline.npz", to_arrays(timeline_of(PENDULUM, steps=steps)))
        run.write_json("program.json", program(20))
        run.write_csv("metrics.csv", list(metrics(1, 2)), zip(*metrics(1, 2).values(), strict=True))
    return RunView(folder)


def contents(view: RunView) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (view.path / "plots").iterdir()}


def test_the_same_system_is_drawn_once(tmp_path: Path, drawn: list[str]) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b", lambda config: config.update(seed=1, name="other"))
    draw_run(first)
    assert set(drawn) == OF_SYSTEM | {"training"}
    drawn.clear()
    draw_run(second)
    assert drawn == ["training"]
    assert contents(first) == contents(second)
    system_view._kept.clear()
    draw_run(second)
    assert contents(first) == contents(second), "so they are drawn from nothing else"


@pytest.mark.parametrize(
    "changed",
    [
        lambda config: config["nodes"]["world"].update(rate=60),
        lambda config: config["nodes"]["world"].update(color="red"),
        lambda config: config["edges"]["world_sensor"].update(window=2),
        lambda config: config.update(supervisor="world"),
    ],
    ids=["rate", "colour", "window", "supervisor"],
)
def test_another_system_is_drawn_again(tmp_path: Path, drawn: list[str], changed: Changed) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b", changed)
    draw_run(first, only=["system"])
    draw_run(second, only=["system"])
    assert drawn == ["system", "system"]
    assert contents(first) != contents(second)


def test_another_timeline_and_other_options_are_drawn_again(tmp_path: Path, drawn: list[str]) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b", steps=21)
    draw_run(first, only=["ages"])
    draw_run(second, only=["ages"])
    draw_run(first, only=["dataflow"])
    draw_run(first, only=["dataflow"], max_seconds=0.05)
    assert drawn == ["ages", "ages", "dataflow", "dataflow"]


def test_what_is_drawn_ahead_is_what_the_run_would_show(tmp_path: Path, drawn: list[str]) -> None:
    view, other = made(tmp_path / "a", timeline=False), made(tmp_path / "b")
    coming = (other.path / "timeline.npz").read_bytes()
    main.draw_ahead(SystemView(view.path, view.config, {"timeline.npz": coming}))
    assert set(drawn) == OF_SYSTEM - {"supergraph"}
    assert not (view.path / "plots").exists()
    drawn.clear()
    (view.path / "timeline.npz").write_bytes(coming)
    draw_run(view)
    assert drawn == ["supergraph", "training"]
    system_view._kept.clear()
    draw_run(other)
    assert contents(view) == contents(other)


def test_a_timeline_that_did_not_come_is_not_shown(tmp_path: Path, drawn: list[str]) -> None:
    view, shorter = made(tmp_path / "a", steps=10), made(tmp_path / "b", steps=10)
    coming = formats.encode_arrays(to_arrays(timeline_of(PENDULUM, steps=20)))
    main.draw_ahead(SystemView(view.path, view.config, {"timeline.npz": coming}))
    draw_run(view)
    system_view._kept.clear()
    draw_run(shorter)
    assert contents(view) == contents(shorter)


def test_damage_is_named(tmp_path: Path) -> None:
    view = made(tmp_path / "a")
    (view.path / "timeline.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(RexError, match=r"a/timeline\.npz: damaged"):
        draw_run(view, only=["ages"])


def test_what_a_run_made_is_no_system(tmp_path: Path) -> None:
    view = made(tmp_path / "a")
    assert {name for name, picture in pictures().items() if shows_system(picture, view)} == OF_SYSTEM
    system = SystemView.of(view)
    assert system is not None
    assert system.part_for(pictures()["training"]) is None


def test_no_more_pictures_are_kept_than_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_view, "MOST_KEPT", 3)
    draw_run(made(tmp_path / "a"))
    assert len(system_view._kept) == 3
