"""Lists the numbers of a model that may be parameters, such as `body_mass.pole` or `dof_damping.hinge`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.worlds.model import Model

Place = tuple[str, Any, Any]
"""A field of the model with dots, the index in it, and the value that is written there."""


@dataclass(frozen=True)
class Quantity:
    """A kind of number that a model has, such as the mass of a body.

    Attributes:
        kind: what it belongs to: `body`, `joint`, `geom`, `actuator`; empty if the model has only one.
        read: returns the declared value, from a `MjModel` and the number of an element of that kind.
        places: returns what is written where, from a `MjModel`, the number of an element and a value.
        inertial: whether what MuJoCo derives from the mass matrix depends on it.
        positive: whether the value in the file must be positive.
    """

    kind: str
    read: Callable[[Any, int], Any]
    places: Callable[[Any, int, Any], list[Place]]
    inertial: bool = False
    positive: bool = False


def _mass(mj: Any, body: int, value: Any) -> list[Place]:
    share = value / mj.body_mass[body]
    return [("body_mass", body, value), ("body_inertia", body, share * mj.body_inertia[body])]


def _gain(mj: Any, actuator: int, value: Any) -> list[Place]:
    """Returns the places of an actuator's gain; the feedback of a servo, minus the gain, is changed with it."""
    gain, bias = mj.actuator_gainprm[actuator, 0], mj.actuator_biasprm[actuator]
    follows = [at for at in (1, 2) if bias[at] == -gain and gain != 0]
    return [
        ("actuator_gainprm", (actuator, 0), value),
        *(("actuator_biasprm", (actuator, at), -value) for at in follows),
    ]


def _of_dofs(field: str, **about: bool) -> Quantity:
    """Returns the quantity of all degrees of freedom of a joint."""

    def dofs(mj: Any, joint: int) -> slice:
        first = int(mj.jnt_dofadr[joint])
        return slice(first, first + {0: 6, 1: 3}.get(int(mj.jnt_type[joint]), 1))

    def read(mj: Any, joint: int) -> Any:
        values = getattr(mj, field)[dofs(mj, joint)]
        return values[0] if (values == values[0]).all() else values

    return Quantity("joint", read, lambda mj, joint, value: [(field, dofs(mj, joint), value)], **about)


def _at(kind: str, field: str, *index: int, **about: bool) -> Quantity:
    def place(number: int) -> Any:
        return (number, *index) if index else number

    return Quantity(
        kind,
        lambda mj, number: np.array(getattr(mj, field)[place(number)]),
        lambda mj, number, value: [(field, place(number), value)],
        **about,
    )


QUANTITIES: dict[str, Quantity] = {
    "body_mass": Quantity("body", lambda mj, body: mj.body_mass[body], _mass, inertial=True, positive=True),
    "body_inertia": _at("body", "body_inertia", inertial=True, positive=True),
    "body_ipos": _at("body", "body_ipos", inertial=True),
    "geom_friction": _at("geom", "geom_friction", 0),
    "dof_damping": _of_dofs("dof_damping"),
    "dof_frictionloss": _of_dofs("dof_frictionloss", positive=True),
    "dof_armature": _of_dofs("dof_armature", inertial=True),
    "jnt_stiffness": _at("joint", "jnt_stiffness"),
    "actuator_gain": Quantity("actuator", lambda mj, number: mj.actuator_gainprm[number, 0], _gain),
    "actuator_gear": _at("actuator", "actuator_gear", 0),
    "actuator_kv": Quantity(
        "actuator",
        lambda mj, number: -mj.actuator_biasprm[number, 2],
        lambda mj, number, value: [("actuator_biasprm", (number, 2), -value)],
        positive=True,
    ),
    "gravity": Quantity(
        "",
        lambda mj, _: np.linalg.norm(mj.opt.gravity),
        lambda mj, _, value: [("opt.gravity", slice(None), value * mj.opt.gravity / np.linalg.norm(mj.opt.gravity))],
        positive=True,
    ),
}
"""The quantities by name, in MuJoCo's units: kg, m, s, N, rad. `body_mass` scales the inertia with the mass.

The damping of a servo with a `dampratio` stays what MuJoCo makes of the file, whatever its gain and the masses become.
"""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a world: one number (or vector) in one or more places of its model.

    Attributes:
        name: its name in the node's params, with dots between levels.
        value: the value in the file, float32.
        of: the quantities, and the number of an element of their kind.
        sources: names of these, such as `body_mass.pole`.
    """

    name: str
    value: np.ndarray
    of: tuple[tuple[Quantity, int], ...]
    sources: tuple[str, ...]

    @property
    def inertial(self) -> bool:
        return any(quantity.inertial for quantity, _ in self.of)

    @property
    def positive(self) -> bool:
        """Whether it has to be more than 0, as masses and inertias have to; others may come to 0 or below."""
        return any(quantity.inertial and quantity.positive for quantity, _ in self.of)

    def places(self, mj: Any, value: Any) -> list[Place]:
        """Returns what is written where in a model that has the numbers of the file."""
        return [place for quantity, number in self.of for place in quantity.places(mj, number, value)]


def parameter(model: Model, name: str, sources: Sequence[str], where: str) -> Parameter:
    """Makes a parameter from the names of its quantities in the model, such as `body_mass.pole`.

    Raises:
        RexError: there is no such quantity, it is 0 where that cannot change, or quantities that share the value
            differ.
    """
    found, values = [], []
    for source in sources:
        word, _, of = source.partition(".")
        if word not in QUANTITIES:
            raise RexError(f"{where}={source}: there is no quantity '{word}'{suggest(word, list(QUANTITIES))}")
        quantity = QUANTITIES[word]
        if bool(of) != bool(quantity.kind):
            fix = f"{word}.{(model.names(quantity.kind) or ['name'])[0]}" if quantity.kind else word
            raise RexError(f"{where}={source}: give {fix}")
        number = model.number(quantity.kind, of, f"{where}={source}") if quantity.kind else 0
        value = np.asarray(quantity.read(model.mj, number), np.float32)
        if quantity.positive and not (value > 0).all():
            raise RexError(f"{where}={source}: it is {value} in {model.path.name}; give it more than 0 there")
        found.append((quantity, number))
        values.append(value)
    if any(value.shape != values[0].shape or (value != values[0]).any() for value in values):
        said = ", ".join(f"{source} {value}" for source, value in zip(sources, values, strict=True))
        raise RexError(f"{where}: they share one number, and are {said} in {model.path.name}; make them equal there")
    return Parameter(name, values[0], tuple(found), tuple(sources))


def check_apart(model: Model, parameters: Sequence[Parameter]) -> None:
    """Refuses parameters that write the same number of the model, of which one would have no effect.

    Raises:
        RexError: two do; the message names both.
    """
    written: dict[tuple[str, int], tuple[str, int]] = {}
    for each in parameters:
        for at, ((quantity, number), source) in enumerate(zip(each.of, each.sources, strict=True)):
            for field, index, _ in quantity.places(model.mj, number, each.value):
                array = attrgetter(field)(model.mj)
                for place in np.arange(array.size).reshape(array.shape)[index].ravel().tolist():
                    other, _ = first = written.setdefault((field, place), (each.name, at))
                    if first != (each.name, at):
                        raise RexError(
                            f"parameters.{each.name}={source}: parameter '{other}' changes {field} there too; leave "
                            "one of the two out"
                        )


def write(mj: Any, places: Sequence[Place]) -> None:
    """Writes values into a `MjModel`."""
    for field, index, value in places:
        attrgetter(field)(mj)[index] = np.asarray(value)
