"""Quantities of a model are read and written at the same places, and what belongs to one number goes with it."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.worlds.quantities import QUANTITIES, check_apart, parameter, write

NAMES = {
    "body": ["world", "cart", "pole"],
    "joint": ["slide", "ball", "free"],
    "geom": ["a", "b"],
    "actuator": ["servo"],
}


def model(seed: int = 0) -> Any:
    """The numbers of a model without MuJoCo: joints of 1, 3 and 6 degrees of freedom, and a servo."""
    rng = np.random.default_rng(seed)
    shapes = {"body_mass": (3,), "body_inertia": (3, 3), "body_ipos": (3, 3), "geom_friction": (2, 3)}
    shapes |= {f"dof_{name}": (10,) for name in ("damping", "frictionloss", "armature")}
    shapes |= {"jnt_stiffness": (3,), "actuator_gainprm": (1, 3), "actuator_biasprm": (1, 3), "actuator_gear": (1, 6)}
    mj = SimpleNamespace(**{name: rng.uniform(0.5, 2, shape) for name, shape in shapes.items()})
    mj.jnt_type, mj.jnt_dofadr = np.array([2, 1, 0]), np.array([0, 1, 4])
    mj.opt = SimpleNamespace(gravity=np.array([3.0, 0.0, -4.0]))
    mj.actuator_biasprm[0] = 0, -mj.actuator_gainprm[0, 0], -0.25
    number = {kind: {name: place for place, name in enumerate(names)} for kind, names in NAMES.items()}
    return SimpleNamespace(
        mj=mj, path=Path("world.xml"), names=NAMES.get, number=lambda kind, name, where: number[kind][name]
    )


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(QUANTITIES)), st.data(), st.integers(0, 9), st.floats(0.25, 4))
def test_what_is_written_is_read_again_and_what_is_declared_changes_nothing(
    name: str, data: st.DataObject, seed: int, scale: float
) -> None:
    quantity, mj = QUANTITIES[name], model(seed).mj
    number = data.draw(st.integers(0, len(NAMES[quantity.kind]) - 1)) if quantity.kind else 0
    before = copy.deepcopy(mj)
    declared = quantity.read(before, number)
    write(mj, quantity.places(before, number, declared))
    for field, values in vars(before).items():
        if field != "opt":
            np.testing.assert_allclose(getattr(mj, field), values)
    np.testing.assert_allclose(mj.opt.gravity, before.opt.gravity)
    write(mj, quantity.places(before, number, scale * declared))
    np.testing.assert_allclose(quantity.read(mj, number), scale * declared)


def test_a_heavier_body_keeps_its_shape_and_a_servo_s_feedback_is_its_gain() -> None:
    world = model()
    mj, before = world.mj, copy.deepcopy(world.mj)
    mass = parameter(world, "m", ["body_mass.cart", "body_mass.cart"], "p")
    write(mj, mass.places(before, 3 * before.body_mass[1]))
    np.testing.assert_allclose(mj.body_inertia[1], 3 * before.body_inertia[1])
    np.testing.assert_array_equal(mj.body_inertia[[0, 2]], before.body_inertia[[0, 2]])
    write(mj, parameter(world, "g", ["actuator_gain.servo"], "p").places(before, 7.0))
    np.testing.assert_allclose([mj.actuator_gainprm[0, 0], *mj.actuator_biasprm[0]], [7, 0, -7, -0.25])
    assert mass.inertial
    assert mass.value.dtype == np.float32


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["body_mas.cart"], "no quantity 'body_mas'; did you mean 'body_mass'"),
        (["body_mass"], "give body_mass.world"),
        (["gravity.world"], "give gravity$"),
        (["body_mass.cart", "body_mass.pole"], "they share one number"),
        (["body_mass.world"], r"it is 0\.0 in world\.xml; give it more than 0 there"),
    ],
)
def test_what_is_no_parameter_of_the_model_is_refused(sources: list[str], said: str) -> None:
    world = model()
    world.mj.body_mass[0] = 0
    with pytest.raises(RexError, match=said):
        parameter(world, "m", sources, "p")


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("body_mass.cart", "body_mass.pole", None),
        ("body_mass.cart", "body_inertia.cart", "body_inertia"),
        ("dof_damping.ball", "dof_damping.free", None),
        ("actuator_gain.servo", "actuator_kv.servo", None),
        ("gravity", "gravity", "opt.gravity"),
    ],
)
def test_two_parameters_do_not_write_the_same_number(one: str, other: str, field: str | None) -> None:
    world = model()
    both = [parameter(world, name, [source], "p") for name, source in (("one", one), ("other", other))]
    if field is None:
        check_apart(world, both)
    else:
        with pytest.raises(RexError, match=f"parameters.other={other}: parameter 'one' changes {field} there too"):
            check_apart(world, both)
