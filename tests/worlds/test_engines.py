"""Both engines step a world by the same laws, those of closed forms, and with parameters as another file would."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.testing import NodeTester
from rexcli.worlds import Mujoco
from rexcli.worlds.engines import CEngine, MjxEngine, Physics
from rexcli.worlds.model import Model
from rexcli.worlds.quantities import parameter
from tests.worlds.models import GRAVITY, INERTIA, LENGTH, MASS, MOVING, TOUCHING, needs_mujoco, slow, written


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


PLAIN = {"option": "", "joint": "", "geom": "", "actuator": "", "tendon": ""}
MODEL = """
<mujoco>
  <option timestep="0.002" {option}/>
  <worldbody><body pos="0 0 0.5"><joint name="hinge" axis="0 1 0" {joint}/>
    <geom type="capsule" fromto="0 0 0 0.4 0 0" size="0.04" mass="1" {geom}/></body></worldbody>
  <tendon>{tendon}</tendon><actuator>{actuator}</actuator>
</mujoco>
"""
TENDON = '<fixed name="belt" {}><joint joint="hinge" coef="1"/></fixed>'


@slow
@needs_mujoco
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"joint": 'stiffness="3 4 5"'}, "MJX passes over its jnt_stiffnesspoly"),
        ({"joint": 'damping="0.2 2"'}, "MJX passes over its dof_dampingpoly"),
        ({"tendon": TENDON.format('stiffness="3 5 6"')}, "MJX passes over its tendon_stiffnesspoly"),
        ({"tendon": TENDON.format('damping="0.2 3"')}, "MJX passes over its tendon_dampingpoly"),
        ({"geom": 'fluidshape="ellipsoid"'}, "MJX passes over its geom_fluid"),
        (
            {"actuator": '<general joint="hinge" dyntype="filter" dynprm="0.1" actearly="true"/>'},
            "MJX passes over its actuator_actearly",
        ),
        ({"option": 'noslip_iterations="10"'}, "MJX passes over its opt.noslip_iterations"),
        ({"option": 'actuatorgroupdisable="1"'}, "MJX passes over its opt.disableactuator"),
        ({"option": 'integrator="implicit"'}, "mjINT_IMPLICIT; give Euler, implicitfast or RK4"),
        ({"option": 'integrator="discrete"'}, "mjINT_DISCRETE; give Euler, implicitfast or RK4"),
    ],
)
def test_what_mjx_passes_over_is_refused_and_the_rest_is_not(
    tmp_path: Path, changed: dict[str, str], says: str
) -> None:
    model = Model(Path(written(tmp_path, MODEL.format(**PLAIN | changed))))
    CEngine(model, [])
    with pytest.raises(RexError, match=re.escape(says)):
        MjxEngine(model, [])
    MjxEngine(Model(Path(written(tmp_path, MODEL.format(**PLAIN)))), [])
