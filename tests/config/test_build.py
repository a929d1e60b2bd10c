"""From experiment to system: classes are found where they may be, and get the options that they take."""

from __future__ import annotations

import re

import jax.numpy as jnp
import pytest

from rexcli.config.build import build_environment, build_system
from rexcli.config.compose import compose
from rexcli.config.project import Project
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
