"""Composition: what is typed and declared becomes one checked experiment, or one clear line."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.config.checks import folder_name
from rexcli.config.compose import compose, config_yaml, experiment_from_config, plain_config
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.runs.plain_yaml import load_yaml


def refusal(*arguments: object, **options: object) -> str:
    with pytest.raises(RexError) as caught:
        compose(*arguments, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_files_and_defaults_come_together(toy: Project) -> None:
    experiment = compose("toy")
    assert experiment.name == "toy"
    assert (experiment.seed, experiment.record.steps, experiment.record.episodes) == (3, 10, 1)
    assert experiment.ppo.lr == 1e-3
    assert list(experiment.nodes) == ["eye", "brain"]
    assert experiment.nodes["eye"].options == {"gain": 2}
    assert experiment.edges["eye_brain"].window == 2
    assert experiment.env is not None
    assert experiment.env.options == {"goal": 2.5}


def test_no_conf_takes_the_default(toy: Project) -> None:
    assert compose().nodes == compose("toy").nodes


@pytest.mark.parametrize("conf", ["toy.yaml", "conf/toy.yaml"])
def test_a_file_name_is_a_conf(toy: Project, conf: str) -> None:
    assert compose(conf) == compose("toy")


FROM_THE_SHELL = [
    [
        ("seed=7", lambda e: e.seed, 7),
        ("nodes.brain.scheduling=phase", lambda e: e.nodes["brain"].scheduling, "phase"),
        ("edges.eye_brain.jitter=buffer", lambda e: e.edges["eye_brain"].jitter, "buffer"),
        ("nodes.brain.record.params=true", lambda e: e.nodes["brain"].record.params, True),
        ("ppo=slow", lambda e: e.ppo.lr, 1e-5),
        ("ppo.num_evals=5", lambda e: e.ppo.num_evals, 5),
        ("ppo.total_timesteps=5e6", lambda e: e.ppo.total_timesteps, 5_000_000),
        ("record.seconds=2", lambda e: e.record.seconds, 2.0),
        ("compile.devices=auto", lambda e: e.compile.devices, "auto"),
        ("from=latest:record", lambda e: e.from_run, "latest:record"),
        ("rollout.keep.nodes=[eye]", lambda e: e.rollout.keep.nodes, ["eye"]),
        ("action.value=[0.5,-1]", lambda e: e.action.value, [0.5, -1.0]),
        ("name='a b'", lambda e: e.name, "a b"),
        ("+nodes.arm={_target_:nodes.toy.Brain,rate:5}", lambda e: e.nodes["arm"].rate, 5.0),
        ("nodes.eye.delay=0.5", lambda e: e.nodes["eye"].delay, 0.5),
    ],
    [
        ("seed=${record.steps}", lambda e: e.seed, 10),
        ("compile.devices=2", lambda e: e.compile.devices, 2),
        ("nodes.eye.delay=null", lambda e: e.nodes["eye"].delay, None),
    ],
    [("++seed=8", lambda e: e.seed, 8), ("~edges.brain_eye", lambda e: list(e.edges), ["eye_brain"])],
]


@pytest.mark.parametrize("together", FROM_THE_SHELL)
def test_any_key_can_be_set_from_the_shell(toy: Project, together) -> None:
    experiment = compose("toy", [override for override, *_ in together])
    for override, read, expected in together:
        assert read(experiment) == expected, override


@pytest.mark.parametrize("overrides", [["nodes.eye.delay={_target_:distrax.Uniform,low:0.0,high:0.02}"], ["conf"]])
def test_another_distribution_starts_afresh(toy: Project, overrides: list[str]) -> None:
    experiment = compose("child") if overrides == ["conf"] else compose("toy", overrides)
    assert experiment.nodes["eye"].delay == {"_target_": "distrax.Uniform", "low": 0.0, "high": 0.02}


def test_the_same_distribution_keeps_its_other_parameters(toy: Project) -> None:
    delay = compose("toy", ["nodes.eye.delay.loc=0.5"]).nodes["eye"].delay
    assert delay == {"_target_": "distrax.Normal", "loc": 0.5, "scale": 0.001}


@pytest.mark.parametrize(
    ("conf", "override", "parts"),
    [
        ("toys", "", ["command line: conf=toys", "did you mean 'toy'?", "child"]),
        ("toy", "sed=1", ["command line: sed:", "did you mean 'seed'?"]),
        ("toy", "ppo.lrr=1", ["command line: ppo.lrr:", "did you mean 'lr'?"]),
        ("toy", "ppo=slwo", ["command line: ppo=slwo", "did you mean 'slow'?"]),
        ("toy", "edges.eye_brain.windw=1", ["edges.eye_brain.windw", "did you mean 'window'?"]),
        ("toy", "nodes.brain.rate=-1", ["command line: nodes.brain.rate=-1", "positive"]),
        ("toy", "nodes.brain.rate=0", ["nodes.brain.rate=0", "positive"]),
        ("toy", "nodes.brain.rate=nan", ["nodes.brain.rate=nan", "positive"]),
        ("toy", "nodes.brain.rate=fast", ["nodes.brain.rate=fast", "a number"]),
        ("toy", "nodes.brain.advance=1", ["nodes.brain.advance=1", "true or false"]),
        ("toy", "nodes.eye.delay=nan", ["command line: nodes.eye.delay=nan", "seconds"]),
        ("toy", "nodes.eye.delay=-0.1", ["nodes.eye.delay=-0.1", "0 or more"]),
        ("toy", "edges.eye_brain.delay={loc:1}", ["edges.eye_brain.delay", "_target_"]),
        ("toy", "edges.eye_brain.delay=Normal", ["edges.eye_brain.delay=Normal", "distribution"]),
        ("toy", "edges.eye_brain.window=0", ["window=0", "1 or more"]),
        ("toy", "edges.eye_brain.window=1.5", ["window=1.5", "whole number"]),
        ("toy", "edges.eye_brain.jitter=bufer", ["jitter=bufer", "did you mean 'buffer'?"]),
        ("toy", "edges.eye_brain.from=ey", ["edges.eye_brain.from=ey", "did you mean 'eye'?"]),
        ("toy", "edges.new.to=eye", ["edges.new.from is missing"]),
        ("toy", "nodes.arm.rate=3", ["command line: nodes.arm._target_ is missing"]),
        ("toy", "nodes.ey.rate=3", ["command line: nodes.ey._target_ is missing", "did you mean 'eye'?"]),
        ("toy", "+edges.again={from: eye, to: brain}", ["edges.again", "edges.eye_brain", "name"]),
        ("toy", "supervisor=brian", ["command line: supervisor=brian", "did you mean 'brain'?"]),
        ("toy", "init_order=[eye,arm]", ["init_order=arm"]),
        ("toy", "record=5", ["command line: record=5", "mapping"]),
        ("toy", "nodes=[1]", ["nodes", "merge"]),
        ("toy", "action.source=nothing", ["action.source=nothing", "'zero'"]),
        ("toy", "compile.devices=two", ["compile.devices=two", "'auto'"]),
        ("toy", "name=a/b", ["name=a/b", "folder"]),
        ("toy", "seed=-1", ["seed=-1", "between"]),
        ("toy", "seed=1,2", ["seed=1,2", "-m"]),
        ("toy", "seed=${nosuch}", ["command line: seed", "nosuch"]),
        ("toy", "seed=???", ["seed"]),
        ("toy", "~nodes.arm", ["nodes.arm"]),
        ("toy", "seed", ["seed", "key=value"]),
        ("toy", "a=[1", ["a=[1", "no override"]),
        ("toy", "hydra/launcher=nosuch", ["hydra/launcher=nosuch", "plugin"]),
    ],
)
def test_a_mistake_is_one_line_with_place_and_fix(toy: Project, conf: str, override: str, parts: list[str]) -> None:
    message = refusal(conf, [override] if override else [])
    for part in parts:
        assert part in message


def test_without_a_default_file_the_message_says_how_to_make_one(toy: Project, monkeypatch) -> None:
    monkeypatch.setattr("rexcli.config.project.bundled_conf", lambda: toy.conf)
    (toy.conf / "default.yaml").unlink()
    assert "defaults: [NAME, _self_]" in refusal()


def test_one_more_folder_of_files(toy: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    extra = tmp_path_factory.mktemp("extra")
    (extra / "mine.yaml").write_text("defaults: [toy, _self_]\nseed: 99\n")
    assert compose("mine", config_dir=extra).seed == 99
    assert "nosuch" in refusal("mine", config_dir=extra / "nosuch")


def test_config_yaml_makes_the_same_experiment(toy: Project) -> None:
    experiment = compose("toy", ["seed=7", "ppo=slow", "name='1e-4'", "record.seconds=1e-5"])
    for load in (yaml.safe_load, load_yaml):
        assert experiment_from_config(load(config_yaml(experiment))) == experiment


@settings(max_examples=15, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "supervisor": st.just("a"),
            "name": st.text(min_size=1).filter(lambda text: folder_name(text) is None),
            "nodes": st.just({"a": {"_target_": "nodes.x.A", "rate": 3, "text": "null"}}),
            "seed": st.integers(0, 2**32 - 1),
            "real_time_factor": st.floats(0, 1e9),
            "ppo": st.fixed_dictionaries({"lr": st.floats(1e-12, 1), "gamma": st.floats(0, 1)}),
            "action": st.fixed_dictionaries({"value": st.lists(st.floats(-1e9, 1e9))}),
        }
    )
)
def test_reading_what_was_written_is_the_identity(config: dict) -> None:
    experiment = experiment_from_config(config)
    assert experiment_from_config(plain_config(experiment)) == experiment
    if "${" not in config["name"]:
        assert experiment_from_config(load_yaml(config_yaml(experiment))) == experiment


def test_overrides_change_the_experiment_of_a_run(toy: Project) -> None:
    config = plain_config(compose("toy"))
    experiment = experiment_from_config(config, "RUN/config.yaml", ["eval.episodes=5", "~edges.brain_eye"])
    assert experiment.eval.episodes == 5
    assert list(experiment.edges) == ["eye_brain"]
    with pytest.raises(RexError, match=r"^command line: eval\.episods: .*'episodes'"):
        experiment_from_config(config, "RUN/config.yaml", ["eval.episods=5"])
    config["supervisor"] = "nobody"
    with pytest.raises(RexError, match=r"^RUN/config\.yaml: supervisor=nobody"):
        experiment_from_config(config, "RUN/config.yaml")


def test_a_run_does_not_vouch_for_itself(toy: Project) -> None:
    experiment = compose("toy", ["trusted_targets=[os]"])
    assert experiment.trust == ("os",)
    assert experiment_from_config(plain_config(experiment)).trust == ()
    assert experiment_from_config(plain_config(experiment), overrides=["trusted_targets=[os]"]).trust == ("os",)


def test_an_experiment_travels_to_another_process(toy: Project) -> None:
    experiment = compose("toy")
    assert pickle.loads(pickle.dumps(experiment)) == experiment


def test_composition_needs_no_jax(toy: Project) -> None:
    code = "import sys; from rexcli.config.compose import compose; compose('toy'); sys.exit('jax' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_bundled_experiments_compose() -> None:
    for group in ("default", "tutorial", "swingup"):
        experiment = compose("pendulum", [f"ppo={group}"])
        assert (experiment.name, experiment.supervisor) == ("pendulum", "agent")
        assert list(experiment.nodes) == ["world", "sensor", "actuator", "agent"]
