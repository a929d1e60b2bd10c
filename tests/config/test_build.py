"""From experiment to system: classes are found where they may be, and get the options that they take."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from rexcli.config.build import build_environment, build_system
from rexcli.config.compose import compose
from rexcli.config.key_origins import Origins
from rexcli.config.project import Project, bundled_systems, copy_bundled, find_project
from rexcli.config.targets import Loader
from rexcli.errors import RexError
from rexcli.system.delays import Constant, Random


def refusal(*overrides: str) -> str:
    with pytest.raises(RexError) as caught:
        build_system(compose("toy", list(overrides)))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_system_is_as_declared(toy: Project) -> None:
    system = build_system(compose("toy", ["nodes.brain.delay=0.003", "edges.eye_brain.name=sight"]))
    assert system.supervisor == "brain"
    assert [node.rate for node in system.timing.nodes] == [20.0, 10.0]
    assert isinstance(system.specs["eye"].delay, Random)
    assert isinstance(system.specs["brain"].delay, Constant)
    assert system.edges["eye_brain"].input == "sight"
    assert system.edges["eye_brain"].window == 2
    assert system.edges["brain_eye"].skip
    assert system.edges["brain_eye"].delay.quantile(0.5) == 0.004


def test_a_class_gets_its_options_and_the_reserved_keys_that_it_names(toy: Project) -> None:
    eye = build_system(compose("toy", ["nodes.eye.mode=slow"])).nodes["eye"]
    assert (eye.gain, eye.mode, eye.given) == (2.0, "slow", ("eye", 20.0))  # type: ignore[attr-defined]
    assert isinstance(eye.gain, float)  # type: ignore[attr-defined]


def test_options_may_be_objects(toy: Project) -> None:
    lens = "nodes.eye.lens={_target_:distrax.Categorical,probs:[0.2,0.8]}"
    built = build_system(compose("toy", [lens])).nodes["eye"].lens  # type: ignore[attr-defined]
    assert jnp.allclose(built.probs, jnp.array([0.2, 0.8]))


def test_a_mixture_of_delays(toy: Project) -> None:
    mixture = (
        "nodes.eye.delay={_target_:distrax.MixtureSameFamily,"
        "mixture_distribution:{_target_:distrax.Categorical,probs:[0.25,0.75]},"
        "components_distribution:{_target_:distrax.Normal,loc:[0.01,0.1],scale:[0.001,0.001]}}"
    )
    delay = build_system(compose("toy", [mixture])).specs["eye"].delay
    assert delay.quantile(0.2) < 0.02 < 0.09 < delay.quantile(0.5)


def test_an_environment_is_bound_to_the_system(toy: Project) -> None:
    experiment = compose("toy")
    system = build_system(experiment)
    task = build_environment(experiment, system)
    assert task.system is system
    assert task.goal == 2.5
    for override, message in [
        ("env=null", "env is missing"),
        ("env.gaol=1", "env.gaol: Task has no option 'gaol'; did you mean 'goal'?"),
        ("env={_target_:nodes.toy.Brain}", "env._target_=nodes.toy.Brain: this is no task"),
        (
            "eval.metrics.near={_target_:rexcli.rl.metrics.Share,abov:{x:1}}",
            "command line: eval.metrics.near.abov: Share has no option 'abov'; did you mean 'above'?",
        ),
        (
            "eval.metrics.near={_target_:rexcli.rl.metrics.Share,above:{x:much}}",
            "command line: eval.metrics.near.above.x=much: give a number",
        ),
        (
            "eval.metrics.near={_target_:nodes.toy.Eye,gain:1}",
            "eval.metrics.near._target_=nodes.toy.Eye: this is no metric",
        ),
    ]:
        with pytest.raises(RexError, match=re.escape(message)):
            build_environment(compose("toy", [override]), system)


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("nodes.eye.gian=3", ["command line: nodes.eye.gian", "Eye has no option", "did you mean 'gain'?"]),
        ("nodes.eye.scheduler=phase", ["nodes.eye.scheduler", "did you mean 'scheduling'?"]),
        ("nodes.brain.gain=3", ["nodes.brain.gain", "Brain has no option 'gain'"]),
        ("~nodes.eye.gain", ["conf/toy.yaml line 4", "nodes.eye.gain is missing", "Eye needs it"]),
        ("nodes.eye.gain=much", ["nodes.eye.gain=much", "a number"]),
        ("nodes.eye.mode=slwo", ["nodes.eye.mode=slwo", "did you mean 'slow'?"]),
        ("nodes.eye.gain=13", ["nodes.eye", "Eye refused", "ValueError: thirteen is unlucky"]),
        ("nodes.eye.delay.scal=1", ["command line: nodes.eye.delay.scal", "did you mean 'scale'?"]),
        ("nodes.eye.delay={_target_:distrax.Norml,loc:0}", ["did you mean 'Normal'?"]),
        ("nodes.eye.delay.loc=[1,2]", ["nodes.eye.delay", "one number"]),
        ("nodes.eye.delay.loc=nan", ["nodes.eye.delay", "finite"]),
        ("nodes.eye._target_=nodes.toy.Ey", ["nodes.eye._target_=nodes.toy.Ey", "did you mean 'Eye'?"]),
        ("nodes.eye._target_=nodes.tyo.Eye", ["nodes.tyo.Eye", "did you mean 'toy'?"]),
        ("nodes.eye._target_=Eye", ["_target_=Eye", "path of a class"]),
        ("edges.brain_eye.skip=false", ["command line", "eye -> brain -> eye", "skip: true"]),
        ("nodes.brain.advance=true", ["command line: nodes.brain.advance=true", "advance"]),
    ],
)
def test_a_mistake_is_one_line_with_place_and_fix(toy: Project, override: str, parts: list[str]) -> None:
    message = refusal(override)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.Popen",
        "nodes.toy.os.system",
        "nodes.toy.paths.os.system",
        "nodes.toy.run",
        "nodes.toy.shell",
        "nodes.toy.Popen",
        "nodes.toy.subprocess.Popen",
        "nodes.toy.make",
        "nodes.toy.Eye.__init__",
        "nodes.toy.Eye.__class__",
        "nodes.toy",
        "rexcli.runs.storage.write_atomic",
        "rexcli.runs.rundir.Run",
        "rexcli.cli.main.main",
        "distrax.jax.numpy.array",
        "nodesx.toy.Eye",
    ],
)
def test_only_classes_of_trusted_packages_are_found(toy: Project, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.system", lambda *_: pytest.fail("it was called"))
    toy.activate()
    with pytest.raises(RexError, match=f"the key={target}"):
        Loader((), Origins(fallback="file")).find(target, "the key")


@pytest.mark.parametrize("place", ["nodes.brain", "nodes.eye.delay", "nodes.eye.lens", "edges.eye_brain.delay"])
def test_every_target_is_checked(toy: Project, place: str) -> None:
    assert "only nodes, rexcli, distrax are trusted" in refusal(f"{place}._target_=os.system")
    assert "os.system" in refusal(f"{place}={{_target_:distrax.Normal,loc:{{_target_:os.system,command:ls}},scale:1}}")


def test_trusted_targets_let_more_in(toy: Project) -> None:
    lens = "nodes.eye.lens={_target_:fractions.Fraction,numerator:1,denominator:3}"
    assert "trusted_targets=[fractions]" in refusal(lens)
    system = build_system(compose("toy", [lens, "trusted_targets=[fractions]"]))
    assert float(system.nodes["eye"].lens) == pytest.approx(1 / 3)  # type: ignore[attr-defined]


def test_two_projects_with_modules_of_the_same_name(toy: Project, tmp_path: Path) -> None:
    build_system(compose("toy"), toy)
    copy = tmp_path / "copy"
    for file in ("conf/toy.yaml", "conf/base.yaml", "conf/ppo/quick.yaml", "nodes/toy.py"):
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_text((toy.root / file).read_text())
    other = find_project(copy)
    assert other.root == copy
    build_system(compose("toy", project=other), other)
    assert sys.modules["nodes.toy"].__file__ == str(copy / "nodes" / "toy.py")


def test_outside_a_project_the_bundled_files_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = find_project()
    assert not project.own
    assert project.outputs == tmp_path / "outputs"
    assert compose().supervisor == "agent"


def test_a_copy_of_a_system_has_nothing_of_another_and_runs_it_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bundled_systems() == ("arm", "cartpole", "pendulum", "platoon", "quadrotor")
    for system in bundled_systems():
        files = {str(file) for file in copy_bundled(tmp_path / system, system)}
        folders = {file.split("/")[1] for file in files if file.startswith("nodes/") and file.count("/") > 1}
        assert folders == {system}
        assert {f"conf/{system}.yaml", "conf/base.yaml", "conf/ppo/default.yaml"} <= files
        assert ("conf/sim2real_wide.yaml" in files) == (system == "pendulum")
        monkeypatch.chdir(tmp_path / system)
        assert compose().name == system


def test_a_project_starts_from_a_copy_and_overwrites_nothing(tmp_path: Path) -> None:
    files = copy_bundled(tmp_path, "pendulum")
    assert Path("conf/pendulum.yaml") in files
    assert find_project(tmp_path / "nodes").root == tmp_path
    before = {file: (tmp_path / file).read_bytes() for file in files}
    (tmp_path / "conf/base.yaml").unlink()
    with pytest.raises(RexError, match="is there already"):
        copy_bundled(tmp_path, "pendulum")
    assert not (tmp_path / "conf/base.yaml").exists()
    del before[Path("conf/base.yaml")]
    assert all((tmp_path / file).read_bytes() == data for file, data in before.items())
