"""Makes MuJoCo's physics a node: a model file with its actuators, sensors, initial state and parameters by name."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli.errors import DeclarationError, RexError, suggest
from rexcli.system.node import Node
from rexcli.system.parameters import nested
from rexcli.system.paths import leaf_paths
from rexcli.system.randomize import draw, named_key
from rexcli.system.ranges import Range
from rexcli.system.states import GraphState, InputState, StepState
from rexcli.worlds.engines import CEngine, MjxEngine, Physics
from rexcli.worlds.model import Model, find
from rexcli.worlds.process import ProcessEngine
from rexcli.worlds.quantities import Parameter, check_apart, parameter

PyTree = Any
Start = dict[str, float | list[float] | dict[str, float]]


@struct.dataclass
class State:
    """The state of a world's physics at the end of a step.

    Attributes:
        qpos: position by joint, m or rad; a quaternion `[4]` for a ball joint, `[7]` for a free one.
        qvel: velocity by joint, m/s or rad/s; `[3]` for a ball joint, `[6]` for a free one.
        act: activations of the actuators that have one, `[na]`; None if none has.
        warmstart: initial guess of the constraint solver, `[nv]`; None for a model without constraints and contacts.
    """

    qpos: dict[str, jax.Array]
    qvel: dict[str, jax.Array]
    act: jax.Array | None
    warmstart: jax.Array | None


class Mujoco(Node):
    """A world with the physics of a model file; each step integrates one period.

    It sends a mapping of its sensors by name, and of `qpos` and `qvel` by joint, all as they are when the step ends.

    Two engines step it. Compiled programs (rollouts, training, evaluation, identification, long recordings) use MJX, in
    float32. Single steps (short recordings, the wall clock) use MuJoCo's own C code, in float64, which needs no
    compilation, whereas MJX compiles for seconds to minutes. They agree to 1e-4 over a second of smooth motion, and for
    less time with contacts or chaotic motion. With `engine: mjx` MJX is used everywhere, and recordings are as near to
    the compiled program as those of any other node. A recording says which engine it used.

    Args:
        model: MJCF or URDF file, from the project's folder.
        actuators: the source of each actuator's control, `input.field` or `input.field.index`, or a constant; or one
            `input.field` that holds all controls, in the model's order. Every actuator needs one.
        sensors: the model's sensors that it sends: their names, or a mapping from field to sensor. All if None.
        parameters: the numbers of the model that `params`, `randomize` and `identify` may change: a mapping from name
            to quantity, `{mass: body_mass.pole}`, or to several that share the value; or a list of quantities. See
            `rexcli.worlds.quantities.QUANTITIES`.
        qpos, qvel: initial values by joint, in place of the model's own pose at rest: a number (a list for ball and
            free joints), or `{low, high}`, `{mean, std}` as in `randomize`, sampled for each episode.
        keyframe: keyframe of the model with which episodes start.
        substeps: physics steps in one step of the node; None for as many as the file's timestep requires.
        motors: torque motors to add: the largest torque, N m (or force, N) by joint; for URDF files, which have no
            motors.
        engine: `auto`; `process`, which runs MuJoCo in a process of its own; or `mjx` for MJX everywhere.
        rate, project: passed by the experiment.

    Raises:
        RexError: MuJoCo is not installed, cannot read the file, or the file lacks a name.
    """

    def __init__(
        self,
        model: str,
        actuators: dict[str, float | str] | str | None = None,
        sensors: dict[str, str] | list[str] | None = None,
        parameters: dict[str, str | list[str]] | list[str] | None = None,
        qpos: Start | None = None,
        qvel: Start | None = None,
        keyframe: str | None = None,
        substeps: int | None = None,
        motors: dict[str, float] | None = None,
        engine: Literal["auto", "process", "mjx"] = "auto",
        rate: float = 50.0,
        project: Path | None = None,
    ):
        if substeps is not None and substeps < 1:
            raise RexError(f"substeps={substeps}: give 1 or more")
        timestep = None if substeps is None else 1 / rate / substeps
        self.model = Model(find(model, project), timestep, motors)
        if self.model.mj.nv == 0:
            raise RexError(f"model={model}: nothing in it can move; give a body a joint")
        self.substeps = substeps or _substeps(self.model, rate)
        self._declared_rate = rate
        self._controls = _controls(self.model, actuators)
        self._sensors = _sensors(self.model, sensors)
        self._parameters = _parameters(self.model, parameters)
        self._base = _base(self.model, keyframe)
        self._start = {"qpos": _starts(self.model, "qpos", qpos), "qvel": _starts(self.model, "qvel", qvel)}
        self._always_mjx = engine == "mjx"
        self._alone = ProcessEngine if engine == "process" else CEngine
        self._engines: dict[type, Any] = {}

    # ------------------------------------------------------------------ how it is executed

    def called_alone(self) -> Mujoco:
        if self._always_mjx:
            return self
        alone = copy.copy(self)
        alone.jit, alone._engines = False, {}  # type: ignore[misc]
        return alone

    @property
    def engine(self) -> str:  # type: ignore[override]
        name, package = ("MJX", "mujoco-mjx") if self.jit else ("MuJoCo", "mujoco")
        where = ", in a process of its own" if not self.jit and self._alone is ProcessEngine else ""
        return f"{name} {version(package)}{where}"

    def files(self) -> Mapping[str, Path]:
        return self.model.files

    def default_delay(self) -> float:
        """Returns just under a period, s, since the output holds at the end of the step."""
        return 0.999 / self.rate

    def _engine(self, kind: type[CEngine] | type[MjxEngine] | type[ProcessEngine]) -> Any:
        if kind not in self._engines:
            self._engines[kind] = kind(self.model, list(self._parameters.values()))
        return self._engines[kind]

    # ------------------------------------------------------------------ how it begins

    def positive_params(self) -> Collection[str]:
        """Returns the names of masses and inertias."""
        return [name for name, each in self._parameters.items() if each.positive]

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        return nested({name: jnp.asarray(each.value) for name, each in self._parameters.items()})

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> State:
        if self.rate != self._declared_rate:
            raise RexError(f"node '{self.name}': its rate is {self.rate:g} Hz; give Mujoco(…, rate={self.rate:g}) too")
        found = {}
        for part in ("qpos", "qvel"):
            found[part] = self._by_joint(part, jnp.asarray(getattr(self._base, part), jnp.float32))
            for joint, start in self._start[part].items():
                value = start if isinstance(start, np.ndarray) else draw(named_key(rng, f"{part}.{joint}"), start)
                found[part][joint] = jnp.asarray(value, jnp.float32)
        act, warmstart = jnp.asarray(self._base.act, jnp.float32), jnp.zeros(self.model.mj.nv)
        return self._state(found["qpos"], found["qvel"], act, warmstart)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """Returns what the sensors show at the start."""
        values, state = self._values(graph_state.params[self.name]), graph_state.state[self.name]
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((values, state)))
        kind = MjxEngine if traced or self._always_mjx else CEngine
        ctrl = np.zeros(self.model.mj.nu, np.float32)
        return self._output(state, self._engine(kind).step(values, self._physics(state), ctrl, 0.0, substeps=0)[1])

    # ------------------------------------------------------------------ how it steps

    def step(self, step_state: StepState) -> tuple[StepState, PyTree]:
        engine = self._engine(MjxEngine if self.jit else self._alone)
        values, physics = self._values(step_state.params), self._physics(step_state.state)
        ctrl = self._ctrl(step_state.inputs)
        physics, sensordata = engine.step(values, physics, ctrl, step_state.ts, substeps=self.substeps)
        qpos, qvel = self._by_joint("qpos", physics.qpos), self._by_joint("qvel", physics.qvel)
        state = self._state(qpos, qvel, physics.act, physics.warmstart)
        return step_state.replace(state=state), self._output(state, sensordata)

    def _state(self, qpos: dict[str, Any], qvel: dict[str, Any], act: Any, warmstart: Any) -> State:
        """Returns the state without parts of size 0, which have no place in a checkpoint."""
        return State(qpos, qvel, act if self.model.mj.na else None, warmstart if self.model.constrained else None)

    def _values(self, params: PyTree) -> list[Any]:
        leaves = leaf_paths(params)
        return [leaves[name] for name in self._parameters]

    def _physics(self, state: State) -> Physics:
        np_ = jnp if self.jit else np
        qpos, qvel = (
            np_.concatenate([np_.ravel(getattr(state, part)[joint]) for joint in self.model.joints] or [np.zeros(0)])
            for part in ("qpos", "qvel")
        )
        act = np.zeros(0, np.float32) if state.act is None else state.act
        warmstart = np.zeros(self.model.mj.nv, np.float32) if state.warmstart is None else state.warmstart
        return Physics(qpos, qvel, act, warmstart)

    def _by_joint(self, part: str, values: Any) -> dict[str, Any]:
        places = {name: getattr(joint, part) for name, joint in self.model.joints.items()}
        return {name: _scalar_or_vector(values[place]) for name, place in places.items()}

    def _output(self, state: State, sensordata: Any) -> dict[str, Any]:
        seen = {field: _scalar_or_vector(sensordata[place]) for field, place in self._sensors.items()}
        return {**seen, "qpos": state.qpos, "qvel": state.qvel}

    def _ctrl(self, inputs: Mapping[str, InputState]) -> Any:
        """Returns the controls `[nu]` from the newest message of every input."""
        np_, nu = (jnp if self.jit else np), self.model.mj.nu
        if isinstance(self._controls, str):
            whole = self._read(inputs, self._controls, "actuators")
            if np_.shape(whole) != (nu,):
                raise RexError(
                    f"node '{self.name}': actuators={self._controls}: its shape is {np_.shape(whole)}; give ({nu},), "
                    f"the controls of {', '.join(self.model.names('actuator'))}"
                )
            return whole
        each = []
        for name, source in self._controls.items():
            value = source if isinstance(source, float) else self._read(inputs, source, f"actuators.{name}")
            if np_.size(value) != 1:
                raise RexError(
                    f"node '{self.name}': actuators.{name}={source}: its shape is {np_.shape(value)}; give one "
                    f"number of it, {source}.0"
                )
            each.append(np_.reshape(value, ()))
        return np_.stack(each).astype(np.float32) if each else np.zeros(0, np.float32)

    def _read(self, inputs: Mapping[str, InputState], source: str, where: str) -> Any:
        """Returns a field of the newest message of an input."""
        name, _, path = source.partition(".")
        leaves = leaf_paths(inputs[name][-1].data)
        if path in leaves:
            return leaves[path]
        above, _, index = path.rpartition(".")
        leaf = leaves.get(above)
        if leaf is None or not index.isdigit():
            known = suggest(path, [field for field in leaves if field]) or "; it has none by name"
            raise RexError(f"node '{self.name}': {where}={source}: a message of '{name}' has no field '{path}'{known}")
        if np.ndim(leaf) != 1 or int(index) >= np.shape(leaf)[0]:
            raise RexError(
                f"node '{self.name}': {where}={source}: its shape is {np.shape(leaf)}, without a number {index}"
            )
        return leaf[int(index)]


def _scalar_or_vector(values: Any) -> Any:
    return values[0] if values.shape[0] == 1 else values


def _substeps(model: Model, rate: float) -> int:
    """Returns the number of the model's timesteps in one period.

    Raises:
        RexError: a period is no whole number of timesteps.
    """
    timestep = float(model.mj.opt.timestep)
    count = 1 / rate / timestep
    if round(count) < 1 or abs(count - round(count)) > 1e-6 * count:
        raise RexError(
            f"rate={rate:g}: a period is {count:.6g} timesteps of {timestep:g} s ({model.path.name}); give "
            f"substeps: {max(1, round(count))}, each of {1 / rate / max(1, round(count)):.6g} s, or a rate that fits"
        )
    return round(count)


def _controls(model: Model, given: Any) -> str | dict[str, float | str]:
    names = model.names("actuator")
    if isinstance(given, str):
        return given
    given = given or {}
    for name in given:
        model.number("actuator", name, f"actuators.{name}")
    missing = [name for name in names if name not in given]
    if missing:
        example = f"actuators: {{{missing[0]}: agent.action.0}}, or a number that it always has"
        raise RexError(f"actuators: it is not said what controls {', '.join(missing)}; give {example}")
    return {name: given[name] for name in names}


def _sensors(model: Model, given: Any) -> dict[str, slice]:
    """Returns the slice of `sensordata` for each field that is sent."""
    names = list(model.sensors) if given is None else given
    fields = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    for field, sensor in fields.items():
        model.number("sensor", sensor, f"sensors.{field}={sensor}")
        if field in ("qpos", "qvel"):
            raise RexError(f"sensors.{field}: it sends a field of this name anyway; give this sensor another one")
    return {field: model.sensors[sensor] for field, sensor in fields.items()}


def _parameters(model: Model, given: Any) -> dict[str, Parameter]:
    named = dict(given) if isinstance(given, Mapping) else {name: name for name in given or []}
    found = {
        name: parameter(model, name, [of] if isinstance(of, str) else of, f"parameters.{name}")
        for name, of in named.items()
    }
    check_apart(model, list(found.values()))
    return found


def _base(model: Model, keyframe: str | None) -> Physics:
    """Returns the initial state without `qpos` and `qvel` of the arguments."""
    mj = model.mj
    if keyframe is None:
        return Physics(mj.qpos0, np.zeros(mj.nv), np.zeros(mj.na), np.zeros(mj.nv))
    number = model.number("key", keyframe, f"keyframe={keyframe}")
    return Physics(mj.key_qpos[number], mj.key_qvel[number], mj.key_act[number], np.zeros(mj.nv))


def _starts(model: Model, part: str, given: Start | None) -> dict[str, np.ndarray | Range]:
    """Returns the initial value or range of each joint.

    Raises:
        RexError: there is no such joint, or a joint has another number of values.
    """
    found: dict[str, np.ndarray | Range] = {}
    for name, value in (given or {}).items():
        key = f"{part}.{name}"
        model.number("joint", name, key)
        place = getattr(model.joints[name], part)
        size = place.stop - place.start
        if isinstance(value, Mapping):
            found[name] = _range(key, value)
            if size > 1:
                raise RexError(f"{key}: a range is of one number, and this joint has {size}; give a list of them")
            continue
        numbers = np.asarray(value, np.float64)
        if numbers.size != size or not np.isfinite(numbers).all():
            raise RexError(f"{key}={value}: give {'one number' if size == 1 else f'a list of {size} numbers'}")
        if part == "qpos" and model.joints[name].turns:
            if not np.linalg.norm(numbers[-4:]) > 0:
                raise RexError(f"{key}={value}: its quaternion, [w, x, y, z], is 0; give one of length 1")
            numbers[-4:] /= np.linalg.norm(numbers[-4:])
        found[name] = numbers.reshape(() if size == 1 else (size,))
    return found


def _range(key: str, value: Mapping[str, Any]) -> Range:
    known = ["low", "high", "log", "mean", "std"]
    for word in value:
        if word not in known:
            raise RexError(f"{key}.{word}: there is no such key{suggest(word, known)}")
    entry = Range(**value)
    try:
        entry.check(key)
    except DeclarationError as error:
        raise RexError(str(error)) from None
    return entry
