"""Worlds from a model file: closed forms, both engines, parameters that are the file's own, and what is refused."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import InMemoryRecorder, RexError, pipeline
from rexcli.cli.kept_files import refuse_changed
from rexcli.cli.main import main
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runs.view import find_run
from rexcli.testing import NodeTester
from rexcli.worlds import Mujoco
from rexcli.worlds.engines import CEngine, MjxEngine, Physics
from rexcli.worlds.model import Model
from rexcli.worlds.process import ProcessEngine
from rexcli.worlds.quantities import parameter

slow = pytest.mark.slow
needs_mujoco = pytest.mark.skipif(importlib.util.find_spec("mujoco") is None, reason="needs mujoco, an optional extra")

MOVING = """
<mujoco>
  <option timestep="0.002" integrator="RK4"/>
  <worldbody>
    <body name="ball" pos="0 0 5"><freejoint name="ball"/>
      <geom size="0.1" mass="0.5" contype="0" conaffinity="0"/></body>
    <body name="bob">
      <joint name="hinge" axis="0 1 0"/>
      <inertial pos="0 0 -0.5" mass="1" diaginertia="0.02 0.02 0.001"/>
      <site name="tip" pos="0 0 -1"/>
    </body>
  </worldbody>
  <sensor><jointpos name="angle" joint="hinge"/><accelerometer name="felt" site="tip"/></sensor>
</mujoco>
"""
INERTIA, MASS, LENGTH, GRAVITY = 0.02 + 0.25, 1.0, 0.5, 9.81
"""Of the bob: about its axis, kg m^2; kg; from the axis to the centre of mass, m; m/s^2."""

TOUCHING = """
<mujoco>
  <worldbody>
    <geom name="floor" type="plane" size="2 2 0.1"/>
    <body name="cart" pos="0 0 0.3">
      <joint name="slide" type="slide" axis="1 0 0" frictionloss="0.2" range="-0.3 0.3" limited="true" armature="0.1"/>
      <geom type="box" size="0.1 0.1 0.05" mass="2" contype="0" conaffinity="0"/>
      <body name="pole"><joint name="hinge" axis="0 1 0" damping="0.05"/>
        <geom type="capsule" fromto="0 0 0 0.4 0 0" size="0.03" mass="{mass}"/></body>
    </body>
  </worldbody>
  <tendon><fixed name="belt" limited="true" range="-1 1"><joint joint="slide" coef="3"/></fixed></tendon>
  <actuator>
    <position name="servo" joint="slide" kp="50" kv="4" ctrlrange="-1 1"/><motor name="pull" tendon="belt"/>
  </actuator>
  <keyframe><key name="high" qpos="0.1 -0.5"/></keyframe>
</mujoco>
"""

URDF = """
<robot name="lever">
  <link name="base"/>
  <link name="lever"><inertial><origin xyz="0.2 0 0"/><mass value="1"/>
    <inertia ixx="0.02" iyy="0.02" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="left-knee" type="revolute"><parent link="base"/><child link="lever"/><axis xyz="0 1 0"/>
    <limit lower="-3" upper="3" effort="50" velocity="10"/></joint>
</robot>
"""


def written(folder: Path, text: str, name: str = "world.xml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


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
def test_both_engines_agree_with_each_other_and_with_closed_forms(tmp_path: Path) -> None:
    """Of a first-order integrator: speeds first, then places with the new speeds, each of `h` seconds.

    What falls is lower by `g h t / 2` than in continuous time, and the energy that is kept, up to the square of `h`, is
    that of half-way between two speeds.
    """
    text = MOVING.replace('integrator="RK4"', 'integrator="implicitfast"')
    seen = {}
    for engine in ("auto", "mjx"):
        node = Mujoco(written(tmp_path, text), rate=100, engine=engine, qpos={"hinge": 2.5}, qvel={"ball": [1.0] * 6})
        tester = NodeTester(node, 100)
        outputs = [tester.output] + [tester.step() for _ in range(100)]
        seen[engine] = jax.tree.map(lambda *leaves: np.stack(leaves), *outputs)
        assert tester.node.called_alone().engine.startswith("MuJoCo" if engine == "auto" else "MJX")
    assert np.abs(seen["mjx"]["felt"]).max() > 5, "MJX leaves this sensor at 0 where nothing is constrained"
    h, time = 0.002, np.arange(101) / 100
    for each in seen.values():
        fall = each["qpos"]["ball"]
        assert fall[:, 2] == pytest.approx(5 + time - GRAVITY / 2 * time * (time + h), abs=1e-4)
        assert fall[:, 0] == pytest.approx(time, abs=1e-4)
        angle, speed = each["qpos"]["hinge"], each["qvel"]["hinge"]
        torque = MASS * GRAVITY * LENGTH * np.sin(angle)
        energy = INERTIA / 2 * speed**2 - MASS * GRAVITY * LENGTH * np.cos(angle) - h / 2 * speed * torque
        assert energy == pytest.approx(energy[0], abs=3e-4)
    for mine, other in zip(jax.tree.leaves(seen["auto"]), jax.tree.leaves(seen["mjx"]), strict=True):
        assert mine == pytest.approx(other, rel=1e-5, abs=1e-4)


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
def test_a_changed_parameter_is_a_changed_file(tmp_path: Path) -> None:
    light, heavy = (
        Model(Path(written(tmp_path, TOUCHING.format(mass=mass), f"{mass}.xml"))) for mass in ("0.5", "0.8")
    )
    changed = [
        parameter(light, "mass", ["body_mass.pole"], "p"),
        parameter(light, "servo", ["actuator_gain.servo"], "p"),
    ]
    values = [np.float32(0.8), np.float32(50)]
    physics = Physics(
        np.float32([0.1, -0.5]), np.zeros(2, np.float32), np.zeros(0, np.float32), np.zeros(2, np.float32)
    )
    by_parameter, by_file = CEngine(light, changed), CEngine(heavy, [])
    now = then = physics
    for _ in range(60):
        now, _ = by_parameter.step(values, now, [0.8, 0.5], 0.0, 10)
        then, _ = by_file.step([], then, [0.8, 0.5], 0.0, 10)
        assert now.qpos == pytest.approx(then.qpos, abs=1e-5)
    assert then.qpos[1] == pytest.approx(0.6, abs=0.4), "the pole lies on the floor"
    engine = MjxEngine(light, changed)
    with_them = jax.jit(engine._with)([jnp.asarray(value) for value in values])
    for field in (
        "body_mass",
        "body_inertia",
        "body_subtreemass",
        "body_invweight0",
        "dof_invweight0",
        "tendon_invweight0",
    ):
        assert np.asarray(getattr(with_them, field)) == pytest.approx(getattr(heavy.mj, field), rel=1e-4), field


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
def test_a_process_of_its_own_gives_the_same_numbers_and_is_missed_when_it_is_gone(tmp_path: Path) -> None:
    file, seen = written(tmp_path, TOUCHING.format(mass=0.5)), []
    for engine in ("auto", "process"):
        world = Mujoco(
            file, {"servo": "agent", "pull": 0.0}, parameters={"mass": "body_mass.pole"}, rate=100, engine=engine
        )
        tester = NodeTester(world, 100, {"agent": jnp.zeros(1)}, params={"mass": 0.7})
        seen.append([tester.step(agent=jnp.array([0.3])) for _ in range(10)])
    for mine, other in zip(*map(jax.tree.leaves, seen), strict=True):
        assert np.array_equal(mine, other)
    alone = tester._call.node
    assert alone.engine.endswith("in a process of its own")
    process = alone._engines[ProcessEngine]._process
    process.kill()
    process.wait()
    with pytest.raises(RexError, match="the process that steps the world ended with code -9"):
        tester.step()


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


@slow
@needs_mujoco
def test_a_urdf_file_gets_motors_and_is_kept_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    written(tmp_path, URDF, "lever.urdf")
    (tmp_path / "conf" / "lever.yaml").write_text(
        "defaults: [base, _self_]\nname: lever\nsupervisor: agent\nnodes:\n"
        "  world: {_target_: rexcli.worlds.Mujoco, rate: 100, model: lever.urdf, motors: {left-knee: 3.0}, "
        "actuators: {left-knee: agent.0}}\n"
        "  agent: {_target_: nodes.arm.Agent, rate: 50}\n"
        "edges:\n  there: {from: world, to: agent}\n  back: {from: agent, to: world, skip: true, delay: 0.001}\n"
    )
    assert main(["record", "conf=lever", "record.steps=60", "action.source=constant", "action.value=9.0"]) == 0
    run = find_run("latest", tmp_path / "outputs")
    assert run.results["world engine"].startswith("MuJoCo")
    assert (run.path / "files/world/lever.urdf").read_text() == URDF
    system = pipeline.build(pipeline.compose("lever"))
    refuse_changed(run, system)
    written(tmp_path, URDF.replace('mass value="1"', 'mass value="2"'), "lever.urdf")
    with pytest.raises(RexError, match=r"node 'world': lever.urdf changed since .* put that back to go on"):
        refuse_changed(run, system)
    assert main(["show", "conf=lever", "nodes.world.model=lever.udf"]) == 2
    assert "there is no such file" in capsys.readouterr().err
