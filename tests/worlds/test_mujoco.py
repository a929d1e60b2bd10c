"""Worlds from a model file: closed forms, what they are in a system, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import InMemoryRecorder, RexError, pipeline
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.testing import NodeTester
from rexcli.worlds import Mujoco
from tests.worlds.models import GRAVITY, INERTIA, LENGTH, MASS, MOVING, TOUCHING, needs_mujoco, slow, written


def test_without_mujoco_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RexError, match=r"needs MuJoCo: pip install 'rexcli\[mujoco\]'"):
        Mujoco("nodes/arm/arm.xml")


@slow
@needs_mujoco
def test_free_fall_energy_and_period_are_those_of_closed_forms(tmp_path: Path) -> None:
    start = {"qpos": {"hinge": 2.5}, "qvel": {"ball": [1, 0, 3, 0, 0, 2]}}
    tester = NodeTester(Mujoco(written(tmp_path, MOVING), rate=100, **start), 100)
    outputs = [tester.output] + [tester.step() for _ in range(150)]
    seen = jax.tree.map(lambda *leaves: np.stack(leaves), *outputs)
    time, fall = np.arange(151) / 100, seen["qpos"]["ball"]
    assert fall[:, 2] == pytest.approx(5 + 3 * time - GRAVITY / 2 * time**2, abs=1e-5)
    assert fall[:, 0] == pytest.approx(time, abs=1e-5)
    angle, speed = seen["qpos"]["hinge"], seen["qvel"]["hinge"]
    energy = INERTIA / 2 * speed**2 - MASS * GRAVITY * LENGTH * np.cos(angle)
    assert energy == pytest.approx(energy[0], abs=1e-5)
    assert np.array_equal(seen["angle"], angle), "sensors are those of the end of the step"
    turning = -MASS * GRAVITY * LENGTH * np.sin(angle) / INERTIA  # rad/s^2; the tip is 1 m from the axis
    assert np.abs(seen["felt"][:, 0]) == pytest.approx(np.abs(turning + GRAVITY * np.sin(angle)), abs=1e-3)
    crossing = next(i for i in range(20, 150) if speed[i] * speed[i + 1] <= 0)  # at rest again, on the other side
    turned = crossing + speed[crossing] / (speed[crossing] - speed[crossing + 1])
    period = 4 * math.sqrt(INERTIA / (MASS * GRAVITY * LENGTH)) * _elliptic(math.sin(1.25))
    assert turned / 100 == pytest.approx(period / 2, abs=1e-3)


@slow
@needs_mujoco
def test_stepper_and_program_agree_on_a_whole_system_with_a_world(tmp_path: Path) -> None:
    """Every output and state of an episode of the arm, whose agent acts at random and whose delays are drawn."""
    steps: dict[str, dict[str, np.ndarray]] = {}
    for engine in ("mjx", "auto"):
        declared = (f"nodes.world.engine={engine}", "action.source=random")
        experiment = pipeline.compose("arm", *declared)
        system = pipeline.build(experiment)
        timeline = pipeline.simulate(system, steps=20)
        controller, _ = pipeline.controller(experiment, system)
        for executor in ("stepper", "program") if engine == "mjx" else ("stepper",):
            path = tmp_path / f"{engine}-{executor}.mcap"
            with RecordingWriter(path, timeline.spec) as writer:
                pipeline.record(experiment, system, timeline, writer=writer, runs=executor, controller=controller)
            recording = read_recording(path)
            assert recording.counts("world").tolist() == timeline.steps["world"].count.tolist()
            steps[f"{engine} {executor}"] = {
                f"{node}/{field}/{name}": values
                for node in ("world", "agent")
                for field in ("state", "output")
                for name, values in recording.values(node, field).items()
            }
    stepper = steps.pop("mjx stepper")
    assert max(np.ptp(values) for name, values in stepper.items() if "qpos" in name) > 0.3, "nothing moves"
    for which, others in steps.items():
        assert set(others) == set(stepper)
        for name, values in others.items():
            close = 1e-6 if which == "mjx program" else 1e-5  # the former were equal, bit for bit
            np.testing.assert_allclose(values, stepper[name], close, close, err_msg=f"{which}: {name}")


def _elliptic(k: float) -> float:
    """The complete elliptic integral of the first kind, by the arithmetic-geometric mean."""
    a, b = 1.0, math.sqrt(1 - k * k)
    while a - b > 1e-12:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return math.pi / (2 * a)


@slow
@needs_mujoco
def test_what_is_asked_of_a_model_that_it_has_not_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, TOUCHING.format(mass=0.5))
    told = {"actuators": {"servo": "agent.0", "pull": 0.0}}
    wrong: list[tuple[dict, str]] = [
        ({}, "it is not said what controls servo, pull; give actuators: {servo: agent.action.0}"),
        ({"actuators": {"serv": 0.0}}, "world.xml has no actuator 'serv'; did you mean 'servo'"),
        ({**told, "sensors": ["angle"]}, "has no sensor 'angle'; it has none"),
        ({**told, "parameters": ["body_mas.pole"]}, "no quantity 'body_mas'; did you mean 'body_mass'"),
        ({**told, "parameters": {"m": "body_mass.pol"}}, "has no body 'pol'; did you mean 'pole'"),
        ({**told, "parameters": {"m": "body_mass"}}, "give body_mass.world"),
        ({**told, "parameters": {"m": "dof_frictionloss.hinge"}}, "it is 0.0 in world.xml; give it more than 0 there"),
        ({**told, "parameters": {"m": ["body_mass.pole", "body_mass.cart"]}}, "they share one number"),
        (
            {**told, "parameters": {"m": "body_mass.pole", "i": "body_inertia.pole"}},
            "parameters.i=body_inertia.pole: parameter 'm' changes body_inertia there too",
        ),
        ({**told, "parameters": {"m": "body_mass.pole", "n": "body_mass.pole"}}, "parameter 'm' changes body_mass"),
        (
            {**told, "parameters": {"p": "actuator_gain.servo", "d": ["dof_damping.hinge", "dof_damping.hinge"]}},
            "parameters.d=dof_damping.hinge: parameter 'd' changes dof_damping there too",
        ),
        ({**told, "qpos": {"hing": 1.0}}, "has no joint 'hing'; did you mean 'hinge'"),
        ({**told, "qpos": {"hinge": [1.0, 2.0]}}, "give one number"),
        ({**told, "qvel": {"hinge": {"low": 1.0}}}, "give low and high"),
        ({**told, "keyframe": "hi"}, "has no key 'hi'"),
        ({**told, "rate": 300}, "a period is 1.66667 timesteps of 0.002 s (world.xml); give substeps: 2"),
        ({**told, "motors": {"slide": 0.0}}, "give the largest torque"),
        ({**told, "model": "none.xml"}, "model=none.xml: there is no such file below"),
        ({**told, "model": written(tmp_path, "<mujoco><bodi/></mujoco>", "bad.xml")}, "MuJoCo refuses it"),
    ]
    delays = {
        "actuator": 'delay="0.02" nsample="20"',
        "sensor": 'delay="0.01" nsample="12"',
        "sampled": 'interval="0.1"',
    }
    for kind, attribute in delays.items():
        text = TOUCHING.format(mass=0.5).replace('tendon="belt"', f'tendon="belt" {attribute * (kind == "actuator")}')
        sensor = f'<sensor><jointpos name="seen" joint="hinge" {attribute * (kind != "actuator")}/></sensor>'
        other = written(tmp_path, text.replace("<keyframe>", f"{sensor}<keyframe>"), f"{kind}.xml")
        wrong.append(
            ({**told, "model": other}, "of which no timeline knows, and which MJX ignores; leave it out there")
        )
    for options, said in wrong:
        with pytest.raises(RexError) as caught:
            Mujoco(**{"model": file, "rate": 100, **options})
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


@slow
@needs_mujoco
def test_starts_inputs_and_fields_are_as_they_are_named(tmp_path: Path) -> None:
    text = TOUCHING.format(mass=0.5).replace(
        "<keyframe>", '<sensor><jointpos name="seen" joint="hinge"/></sensor><keyframe>'
    )
    world = Mujoco(
        written(tmp_path, text),
        {"servo": "agent.to.1", "pull": 0.0},
        {"tilt": "seen"},
        qpos={"slide": {"low": -0.2, "high": -0.1}},
        keyframe="high",
        substeps=5,
        rate=100,
    )
    inputs = {"agent": {"to": jnp.array([9.0, 0.25])}}
    testers = [NodeTester(world, 100, inputs, seed=seed) for seed in (0, 1)]
    first, second = (float(tester.state.qpos["slide"]) for tester in testers)
    assert -0.2 <= first < second <= -0.1 or -0.2 <= second < first <= -0.1
    assert float(testers[0].output["tilt"]) == pytest.approx(-0.5)
    outputs = [testers[0].step(**inputs) for _ in range(100)]
    assert world.model.mj.opt.timestep == pytest.approx(0.002)
    assert 0.1 < float(outputs[-1]["qpos"]["slide"]) < 0.25
    bad = testers[0].step(agent={"to": jnp.array([0.0, jnp.nan])})
    assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(bad)), "MuJoCo would take 0 in place of it"
    for source, said in (
        ("agent.fro.1", "no field 'fro.1'"),
        ("agent.to", "give one number of it, agent.to.0"),
        ("agent.to.2", "without a number 2"),
    ):
        other = Mujoco(world.model.path.as_posix(), {"servo": source, "pull": 0.0}, rate=100)
        with pytest.raises(RexError, match=said):
            NodeTester(other, 100, inputs).step()


@slow
@needs_mujoco
def test_a_delay_that_is_no_multiple_of_a_step_is_what_it_is_in_the_timeline() -> None:
    experiment = pipeline.compose("arm", "record.steps=40", "nodes.world.rate=200")
    system, memory = pipeline.build(experiment), InMemoryRecorder()
    assert system.nodes["world"].substeps == 1
    timeline = pipeline.record(experiment, system, listener=memory)
    messages, ends = timeline.messages["world_agent"], timeline.steps["world"].end
    there = messages.reader[0] >= 0
    took = (messages.arrive[0] - ends[0])[there] / 1e6
    assert len(took) > 100
    assert took == pytest.approx(7.3, abs=0.1)
