"""Steps a model with one of two engines: MuJoCo itself, one state at a time, and MJX, in pure JAX.

Both are pure functions of the same numbers in float32: positions, velocities, activations and the initial guess of the
constraint solver. Sensors show the state at the end of a step, whereas `mj_step` leaves the sensor data of the state
with which its last sub-step began.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.worlds.model import Model
from rexcli.worlds.quantities import Parameter, write

log = logging.getLogger("rex.worlds")

IGNORED = (
    *("actuator_damping", "actuator_dampingpoly", "actuator_armature", "actuator_actearly", "geom_surfacevel"),
    *("geom_adhesion", "geom_fluid", "pair_adhesion", "jnt_springyield", "jnt_stiffnesspoly", "dof_dampingpoly"),
    *("tendon_springyield", "tendon_stiffnesspoly", "tendon_dampingpoly", "nplastic", "nplugin"),
    *("opt.noslip_iterations", "opt.disableactuator"),
)
"""Fields of a model that MJX silently ignores: it does not know them, or has them only for its other backends."""
INTEGRATORS = {0: "euler", 1: "rungekutta4", 3: "implicit"}
"""The names of MJX's integrators, by MuJoCo's number."""


class Physics(NamedTuple):
    """The state of a world at one instant: `qpos [nq]`, `qvel [nv]`, `act [na]`, `warmstart [nv]`."""

    qpos: Any
    qvel: Any
    act: Any
    warmstart: Any


class CEngine:
    """MuJoCo's own code, in float64; several threads cannot use it at once.

    Args:
        model: the model to step.
        parameters: the parameters that may change.
    """

    def __init__(self, model: Model, parameters: Sequence[Parameter]):
        import copy

        import mujoco

        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(lambda text: log.warning("MuJoCo: %s", text))  # else to MUJOCO_LOG.TXT
        self._declared, self._parameters = model.mj, parameters
        self._mj = copy.copy(model.mj)
        self._mj.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self._data = mujoco.MjData(self._mj)
        self._written: list[np.ndarray] = [parameter.value for parameter in parameters]

    def step(
        self, values: Sequence[Any], physics: Physics, ctrl: Any, time: Any, substeps: int
    ) -> tuple[Physics, np.ndarray]:
        """Returns the state after `substeps` and the sensors' values, `[nsensordata]`; NaN if the state is bad.

        Args:
            values: values of the parameters, in their order.
            physics: the state at the beginning.
            ctrl: controls of the actuators, `[nu]`.
            time: time since the start of the episode, s.
            substeps: number of timesteps; 0 only computes the sensors.
        """
        import mujoco

        self._set(values)
        mj, data = self._mj, self._data
        mujoco.mj_resetData(mj, data)
        data.time = float(time)
        data.ctrl[:] = ctrl
        data.qpos[:], data.qvel[:], data.act[:], data.qacc_warmstart[:] = physics
        bad = not np.isfinite(data.ctrl).all()
        if substeps and not bad:
            mujoco.mj_step(mj, data, nstep=substeps)
        after = Physics(*(np.array(each, np.float32) for each in (data.qpos, data.qvel, data.act, data.qacc_warmstart)))
        if mj.nsensordata:
            mujoco.mj_forward(mj, data)
        sensors = np.array(data.sensordata, np.float32)
        kinds = mujoco.mjtWarning
        if bad or any(
            data.warning[int(kind)].number
            for kind in (kinds.mjWARN_BADQPOS, kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC)
        ):
            return Physics(*(np.full_like(each, np.nan) for each in after)), np.full_like(sensors, np.nan)
        return after, sensors

    def _set(self, values: Sequence[Any]) -> None:
        import mujoco

        given = [np.asarray(value) for value in values]
        if all(np.array_equal(new, old) for new, old in zip(given, self._written, strict=True)):
            return
        for parameter, value in zip(self._parameters, given, strict=True):
            write(self._mj, parameter.places(self._declared, value.astype(np.float64)))
        mujoco.mj_setConst(self._mj, mujoco.MjData(self._mj))
        self._written = given


class MjxEngine:
    """MJX: MuJoCo in JAX.

    Args:
        model: the model to step.
        parameters: the parameters that may change.

    Raises:
        RexError: MJX is not installed, or cannot do what the model asks for.
    """

    def __init__(self, model: Model, parameters: Sequence[Parameter]):
        try:
            import mujoco

            with redirect_stdout(StringIO()):  # MJX says that Warp is not installed, which is not used
                from mujoco import mjx
        except ImportError as error:
            raise RexError(f"MJX is not there ({error}): pip install 'rexcli[mujoco]'") from None
        mj = model.mj
        self._mj, self._parameters = mj, parameters
        for field in IGNORED:
            holder = mj.opt if field.startswith("opt.") else mj
            if np.any(getattr(holder, field.removeprefix("opt."), 0)):
                raise RexError(f"model={model.path}: MJX passes over its {field}, so that no program can be made of it")
        if int(mj.opt.integrator) not in INTEGRATORS:
            name = mujoco.mjtIntegrator(mj.opt.integrator).name
            raise RexError(f"model={model.path}: MJX cannot do this: {name}; give Euler, implicitfast or RK4")
        if mj.nu != getattr(mj, "nactuator", mj.nu):
            raise RexError(f"model={model.path}: MJX knows no actuators with several controls")
        try:
            with jax.ensure_compile_time_eval():  # this may be called during tracing
                self._model, self._data = jax.tree.map(
                    np.asarray, (mjx.put_model(mj, impl="jax"), mjx.make_data(mj, impl="jax"))
                )
        except NotImplementedError as error:
            raise RexError(f"model={model.path}: MJX cannot do this: {' '.join(str(error).split())}") from None
        self._forward = jax.jit(mjx.forward)  # traced once for steps and sensors, and all of it once for every step
        self.step = jax.jit(self._step, static_argnames="substeps")

    def _step(
        self, values: Sequence[Any], physics: Physics, ctrl: Any, time: Any, substeps: int
    ) -> tuple[Physics, jax.Array]:
        """Does what `CEngine.step` does, in JAX."""
        from mujoco import mjx

        model, blank = self._with(values), jax.tree.map(jnp.asarray, self._data)
        integrate = getattr(mjx, INTEGRATORS[int(self._mj.opt.integrator)])

        def data(physics: Physics, time: Any) -> Any:
            qpos, qvel, act, warmstart = physics
            return blank.replace(qpos=qpos, qvel=qvel, act=act, qacc_warmstart=warmstart, ctrl=ctrl, time=time)

        def body(_: Any, now: tuple[Physics, Any]) -> tuple[Physics, Any]:
            then = integrate(model, self._forward(model, data(*now)))
            return Physics(then.qpos, then.qvel, then.act, then.qacc_warmstart), then.time

        now = physics, jnp.asarray(time, jnp.float32)
        physics, time = jax.lax.fori_loop(0, substeps, body, now) if substeps else now
        if not self._mj.nsensordata:
            return physics, jnp.zeros(0)
        seen = self._forward(model, data(physics, time))
        if not seen._impl.efc_J.size:  # without constraints MJX leaves out the sensors of forces and accelerations
            seen = mjx.sensor_acc(model, seen)
        return physics, seen.sensordata

    def _with(self, values: Sequence[Any]) -> Any:
        """Returns the model with these parameters."""
        model = jax.tree.map(jnp.asarray, self._model)
        changed: dict[str, Any] = {}
        for parameter, value in zip(self._parameters, values, strict=True):
            for field, index, new in parameter.places(self._mj, value):
                whole = changed.get(field)
                if whole is None:
                    whole = model.opt.gravity if field == "opt.gravity" else getattr(model, field)
                changed[field] = whole.at[index].set(new)
        model = model.tree_replace(changed)
        return self._derived(model) if any(parameter.inertial for parameter in self._parameters) else model

    def _derived(self, model: Any) -> Any:
        """Returns what MuJoCo's compiler derives from the mass matrix in the model's own pose (`mj_setConst`).

        This is how much a unit of force accelerates bodies, joints and tendons, which sets the softness of constraints.
        """
        from mujoco import mjx

        mj = self._mj
        data = jax.tree.map(jnp.asarray, self._data).replace(qpos=jnp.asarray(mj.qpos0, jnp.float32))
        data = mjx.com_pos(model, mjx.kinematics(model, data))
        data = mjx.tendon_armature(model, mjx.crb(model, mjx.tendon(model, data)))
        inverse = jnp.linalg.inv(mjx.full_m(model, data))
        dofs = jnp.diag(inverse)
        for first, count in _blocks(mj):
            dofs = dofs.at[first : first + count].set(dofs[first : first + count].mean())
        still = mj.body_weldid == 0

        def of_body(body: Any) -> jax.Array:
            moves, turns = mjx.jac(model, data, data.xipos[body], body)
            return jnp.stack([jnp.einsum("ij,ik,kj->", each, inverse, each) / 3 for each in (moves, turns)])

        bodies = jax.vmap(of_body)(jnp.arange(mj.nbody))
        children = np.zeros((mj.nbody, mj.nbody))  # 1 where the second is in the first's subtree
        for body in range(mj.nbody):
            above = body
            while children[above, body] == 0:
                children[above, body] = 1
                above = mj.body_parentid[above]
        changed = {
            "dof_invweight0": dofs,
            "body_invweight0": jnp.where(still[:, None], 0.0, jnp.maximum(bodies, 1e-15)),
            "body_subtreemass": jnp.asarray(children, jnp.float32) @ model.body_mass,
        }
        if mj.ntendon:
            reach = data._impl.ten_J
            changed["tendon_invweight0"] = jnp.einsum("ti,ij,tj->t", reach, inverse, reach)
        return model.tree_replace(changed)


def _blocks(mj: Any) -> list[tuple[int, int]]:
    """Returns the first and the number of the degrees of freedom that share a weight.

    These are the rotation of a ball joint, and the translation and the rotation of a free joint.
    """
    found = []
    for kind, first in zip(mj.jnt_type.tolist(), mj.jnt_dofadr.tolist(), strict=True):
        found += {0: [(first, 3), (first + 3, 3)], 1: [(first, 3)]}.get(kind, [])
    return found
