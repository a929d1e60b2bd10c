"""Loads a model file (MJCF or URDF) as MuJoCo compiles it, with its names and the files that it was made from."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from rexcli.errors import RexError, suggest

BUNDLED = Path(__file__).resolve().parents[2]
"""The parent folder of the `nodes/` that come with this package."""


COUNTS = {"body": "nbody", "joint": "njnt", "geom": "ngeom", "actuator": "nu", "sensor": "nsensor", "key": "nkey"}
"""The model's field with the number of elements of each kind."""


@dataclass(frozen=True)
class Joint:
    """The places of a joint's numbers in `qpos` and `qvel`.

    Attributes:
        number: number of the joint.
        qpos, qvel: the joint's slices of these.
        turns: whether its position holds a quaternion, as for a ball or a free joint.
    """

    number: int
    qpos: slice
    qvel: slice
    turns: bool


class Model:
    """A compiled model with its names.

    Args:
        path: path of the file.
        timestep: timestep, s, in place of the file's; None for the file's.
        motors: torque motors to add: the largest torque or force by joint, N m or N.

    Raises:
        RexError: MuJoCo is not installed or cannot read the file, or the file declares delays of its own.
    """

    def __init__(self, path: Path, timestep: float | None = None, motors: Mapping[str, float] | None = None):
        if importlib.util.find_spec("mujoco") is None:
            raise RexError("rexcli.worlds.Mujoco needs MuJoCo: pip install 'rexcli[mujoco]'")
        import mujoco

        self.path, self.timestep, self.motors = path, timestep, motors or {}
        try:
            spec = mujoco.MjSpec.from_file(str(path))
            joints = [joint.name for joint in spec.joints]
            for joint, limit in (motors or {}).items():
                _add_motor(spec, joint, limit, joints)
            if timestep is not None:
                spec.option.timestep = timestep
            self.mj: Any = spec.compile()
        except (ValueError, mujoco.FatalError) as error:
            raise RexError(f"model={path}: MuJoCo refuses it: {' '.join(str(error).split())}") from None
        _check_delays(self)

    @cached_property
    def joints(self) -> dict[str, Joint]:
        """The joints by name, in order; a joint without a name is called by its number, `joint0`."""
        import mujoco

        sizes = {mujoco.mjtJoint.mjJNT_FREE: (7, 6), mujoco.mjtJoint.mjJNT_BALL: (4, 3)}
        found = {}
        for number, name in enumerate(self.names("joint")):
            positions, velocities = sizes.get(mujoco.mjtJoint(self.mj.jnt_type[number]), (1, 1))
            qpos, qvel = int(self.mj.jnt_qposadr[number]), int(self.mj.jnt_dofadr[number])
            places = slice(qpos, qpos + positions), slice(qvel, qvel + velocities)
            found[name] = Joint(number, *places, positions > 1)
        return found

    @cached_property
    def sensors(self) -> dict[str, slice]:
        """The slice of each sensor in `sensordata`, by name."""
        ends = zip(self.mj.sensor_adr.tolist(), self.mj.sensor_dim.tolist(), strict=True)
        return {name: slice(at, at + size) for name, (at, size) in zip(self.names("sensor"), ends, strict=True)}

    @cached_property
    def constrained(self) -> bool:
        """Whether the constraint solver may have something to do: limits, dry friction, equalities, contacts."""
        mj = self.mj
        touches = mj.ngeom > 1 and (mj.geom_contype.any() or mj.geom_conaffinity.any())
        each = (mj.jnt_limited, mj.tendon_limited, mj.dof_frictionloss, mj.tendon_frictionloss)
        return bool(mj.neq or mj.npair or touches or any(field.any() for field in each))

    def names(self, kind: str) -> list[str]:
        """Returns the names of one kind (`body`, `joint`, `geom`, `actuator`, `sensor`, `key`), by number.

        Raises:
            RexError: an element without a name would be called as another one is.
        """
        at = getattr(self.mj, kind)
        own = [at(number).name for number in range(getattr(self.mj, COUNTS[kind]))]
        found = [name or f"{kind}{number}" for number, name in enumerate(own)]
        for number, name in enumerate(found):
            if found.count(name) > 1 and not own[number]:
                raise RexError(
                    f"model={self.path}: {kind} {number} has no name, and would be called '{name}' as {kind} "
                    f"{own.index(name)} is; give it a name"
                )
        return found

    def number(self, kind: str, name: str, where: str) -> int:
        """Returns the number of the element called `name`.

        Raises:
            RexError: there is no such element.
        """
        known = self.names(kind)
        if name not in known:
            hint = suggest(name, known) or "; it has none"
            raise RexError(f"{where}: {self.path.name} has no {kind} '{name}'{hint}")
        return known.index(name)

    @cached_property
    def files(self) -> dict[str, Path]:
        """The files that the model was made from, including meshes, by path below the folder that holds them all."""
        import mujoco

        paths = [self.path.resolve()]
        if self.path.suffix == ".xml":
            found = [Path(name) for name in mujoco.mju_getXMLDependencies(str(self.path.resolve()))]
            paths += [path for path in (self.path.parent.resolve() / name for name in found) if path.is_file()]
        paths = sorted({path.resolve() for path in paths})
        base = Path(os.path.commonpath([path.parent for path in paths]))
        return {path.relative_to(base).as_posix(): path for path in paths}


def find(model: str, project: Path | None) -> Path:
    """Finds the file that an experiment names: in the project, or else among those that come with this package.

    Raises:
        RexError: there is no such file.
    """
    folders = [Path.cwd() if project is None else project, BUNDLED]
    for folder in folders:
        if (folder / model).is_file():
            return folder / model
    raise RexError(
        f"model={model}: there is no such file below {folders[0]}; give its path from there, nodes/arm/arm.xml"
    )


def _add_motor(spec: Any, joint: str, limit: float, joints: list[str]) -> None:
    import mujoco

    if joint not in joints:
        raise RexError(f"motors.{joint}: there is no joint of this name{suggest(joint, joints) or '; there is none'}")
    if not limit > 0:
        raise RexError(f"motors.{joint}={limit}: give the largest torque (or force) of the motor, more than 0")
    if joint in [actuator.name for actuator in spec.actuators]:
        raise RexError(f"motors.{joint}: the file has an actuator of this name; leave it out here")
    motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.ctrlrange, motor.ctrllimited = [-limit, limit], True
    motor.gear[0] = motor.gainprm[0] = 1.0


def _check_delays(model: Model) -> None:
    """Refuses MuJoCo's own delays and sampling intervals, which MJX ignores and no timeline would show."""
    edge = {"actuator": "the edge that brings its command", "sensor": "the edges that take it away"}
    fixes = {
        "delay": "give {} this delay",
        "interval": "read it with a node of that rate",
        "history": "give {} a window",
    }
    for kind, field in (*product(edge, ("delay", "history")), ("sensor", "interval")):
        for name, value in zip(model.names(kind), getattr(model.mj, f"{kind}_{field}", ()), strict=False):
            if np.any(value):
                said = f"{kind} '{name}' has {'nsample' if field == 'history' else field}={np.ravel(value)[0]:g}"
                raise RexError(
                    f"model={model.path}: {said}, of which no timeline knows, and which MJX ignores; leave it out "
                    f"there, and {fixes[field].format(edge[kind])}"
                )
