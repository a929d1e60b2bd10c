"""Provides experiments as Gymnasium environments: `rexcli.gym.make("pendulum")`, and many at once by `make_vec`.

Importing this module registers every experiment of the project that contains the working directory, and those of this
package, for `gymnasium.make("rex/pendulum")` and `gymnasium.make_vec("rex/pendulum", num_envs=8)`. It needs the extra
`gym`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli import pipeline
from rexcli.compiler.program import Program
from rexcli.config.compose import compose, config_yaml, list_confs
from rexcli.config.project import Project, find_project
from rexcli.errors import RexError
from rexcli.rl import spaces
from rexcli.rl.environment import Environment
from rexcli.rl.graph_env import EnvState, GraphEnv, Outcome
from rexcli.rl.vector_env import VectorEnv, VectorEnvState, check_length

try:
    import gymnasium
    from gymnasium.vector import AutoresetMode
    from gymnasium.vector.utils import batch_space
except ModuleNotFoundError as error:
    raise RexError("rexcli.gym needs Gymnasium: pip install 'rexcli[gym]'") from error

NAMESPACE = "rex"
"""The namespace of the registered ids: `rex/<experiment>`."""

_built: dict[tuple[str, str], tuple[Environment, Program]] = {}
"""The last experiments that were built, so that environments with equal arguments share one program."""


def make(conf: str | None = None, *overrides: str, project: Project | None = None) -> GymEnv:
    """Returns the task of an experiment as an environment: `make("pendulum", "nodes.agent.rate=25")`.

    Args:
        conf: the experiment; None for the project's default.
        overrides: as on the command line; `from=RUN` uses the timeline of a recording.
        project: the project of `conf/`; None for the one that contains the working directory.

    Raises:
        RexError: for mistakes in declarations, and experiments without a task.
    """
    return GymEnv(*_build(conf, overrides, project))


def make_vec(
    conf: str | None = None,
    *overrides: str,
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    project: Project | None = None,
) -> GymVectorEnv:
    """Returns many environments in one program; `autoreset_mode` as for `GymVectorEnv`, other arguments as
    for `make`.
    """
    return GymVectorEnv(*_build(conf, overrides, project), num_envs=num_envs, autoreset_mode=autoreset_mode)


def register(project: Project | None = None) -> list[str]:
    """Registers the experiments of a project with Gymnasium, and returns their ids. Others stay registered."""
    project = project or find_project()
    ids = []
    for conf in list_confs(project.search_path):
        ids.append(f"{NAMESPACE}/{conf}")
        if ids[-1] in gymnasium.registry:
            del gymnasium.registry[ids[-1]]  # of another project
        gymnasium.register(
            ids[-1],
            entry_point="rexcli.gym:_make_registered",
            vector_entry_point="rexcli.gym:_make_vec_registered",
            kwargs={"conf": conf, "root": str(project.root)},
        )
    return ids


def _make_registered(conf: str, root: str, overrides: Sequence[str] = (), render_mode: str | None = None) -> GymEnv:
    _refuse_render(render_mode)
    return make(conf, *overrides, project=find_project(Path(root)))


def _make_vec_registered(
    conf: str, root: str, num_envs: int, overrides: Sequence[str] = (), render_mode: str | None = None, **options: Any
) -> GymVectorEnv:
    _refuse_render(render_mode)
    return make_vec(conf, *overrides, num_envs=num_envs, project=find_project(Path(root)), **options)


def _refuse_render(render_mode: str | None) -> None:
    if render_mode is not None:
        raise RexError(f"render_mode={render_mode}: nothing is drawn while stepping; leave it out, and see rex plot")


def _build(conf: str | None, overrides: Sequence[str], project: Project | None) -> tuple[Environment, Program]:
    project = project or find_project()
    experiment = compose(conf, overrides, project=project)
    if experiment.from_run is not None:  # `latest` may be another run the next time
        return pipeline.task_and_program(experiment, project)
    key = (str(project.root), config_yaml(experiment))
    if key not in _built:
        if len(_built) >= 4:
            del _built[next(iter(_built))]
        _built[key] = pipeline.task_and_program(experiment, project)
    return _built[key]


def _space(space: spaces.ActionSpace | spaces.ObservationSpace) -> Any:
    """Returns Gymnasium's equivalent of one of our spaces."""
    if isinstance(space, spaces.Box):
        return gymnasium.spaces.Box(np.array(space.low, np.float32), np.array(space.high, np.float32), dtype=np.float32)
    if isinstance(space, spaces.Discrete):
        return gymnasium.spaces.Discrete(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return gymnasium.spaces.MultiDiscrete(list(space.categories))
    nested: dict[str, Any] = {}
    for entry in space.entries:
        inner = nested
        for key in entry.path[:-1]:
            inner = inner.setdefault(key, {})
        dtype = np.dtype(entry.dtype)
        if dtype.kind not in "biuf":
            raise RexError(f"{entry}: Gymnasium has no space for this type; have observe return float32")
        low, high = (0, 1) if dtype.kind == "b" else (-np.inf, np.inf)
        if dtype.kind in "iu":
            low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        inner[entry.path[-1]] = gymnasium.spaces.Box(low, high, entry.shape, dtype.type)
    return _dict_space(nested)


def _dict_space(nested: Mapping[str, Any]) -> Any:
    inner = {key: _dict_space(value) if isinstance(value, dict) else value for key, value in nested.items()}
    return gymnasium.spaces.Dict(inner)


def _numpy(observation: Any) -> Any:
    """Returns an observation as NumPy arrays: float32 for a vector, as the task gave it for a dict."""
    if isinstance(observation, dict):
        return jax.tree.map(np.asarray, observation)
    return np.asarray(observation, np.float32)


def _action(space: spaces.ActionSpace, action: Any, batch: tuple[int, ...] = ()) -> np.ndarray:
    """Returns actions `[*batch, action_dim]`, clipped to the bounds of a bounded space.

    Raises:
        RexError: if the shape is wrong.
    """
    real = isinstance(space, spaces.Box)
    given = np.asarray(action, np.float32 if real else np.int32)
    wanted = (*batch, *(() if isinstance(space, spaces.Discrete) else (space.size,)))
    if given.shape != wanted:
        raise RexError(f"an action of shape {list(given.shape)}: give {list(wanted)}")
    return (
        np.clip(given, np.array(space.low, np.float32), np.array(space.high, np.float32))
        if isinstance(space, spaces.Box)
        else given
    )


@partial(jax.jit, static_argnums=0)
def _start(envs: VectorEnv, program: Program, key: jax.Array, number: Any) -> tuple[EnvState, Any]:
    state = envs.start(program, key, number)
    return state, envs.environment.observation(program.step_state(state.graph_state))


@partial(jax.jit, static_argnums=0)
def _step(task: Environment, program: Program, state: EnvState, action: Any) -> tuple[EnvState, Outcome, Any]:
    state, outcome = GraphEnv(task, program).step(state, action)
    return state, outcome, dict(task.measure(state.graph_state))


class GymEnv(gymnasium.Env):  # type: ignore[type-arg,unused-ignore]
    """A task on a compiled program, with Gymnasium's API.

    Every episode begins at a random place of the timeline, so each has different delays. After `reset(seed=7)`
    everything is reproducible, and the same as in environment 0 of a `GymVectorEnv` after the same call. `info` holds
    the measures of the task. Actions are clipped to the bounds of their space.

    Args:
        task: the task, bound to the program's system.
        program: the program, compiled for the task.

    Raises:
        RexError: if the timeline is shorter than an episode of the task.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own attribute

    def __init__(self, task: Environment, program: Program):
        check_length(program, task)
        self.task, self.program = task, program
        self.observation_space, self.action_space = _space(task.observation_space), _space(task.action_space)
        self._envs = VectorEnv(task, 1, offset_step=False)
        self._key: jax.Array | None = None
        self._episodes = 0
        self._state: EnvState | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins an episode: the first of `seed`, or the next."""
        super().reset(seed=seed)
        _refuse_options(options)
        if seed is not None or self._key is None:
            self._key = jax.random.key(int(self.np_random.integers(2**32)) if seed is None else seed % 2**32)
            self._episodes = 0
        self._state, observation = _start(self._envs, self.program, self._key, np.int32(self._episodes))
        self._episodes += 1
        return _numpy(observation), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Makes one supervisor step.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset, and past the end of an episode.
            RexError: if an action has another shape.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("the episode is over, or none has begun: reset() first")
        checked = _action(self.task.action_space, action)
        self._state, outcome, measures = _step(self.task, self.program, self._state, checked)
        terminated, truncated = bool(outcome.terminated), bool(outcome.truncated)
        if terminated or truncated:
            self._state = None
        info = {name: float(value) for name, value in measures.items()}
        return _numpy(outcome.observation), float(outcome.reward), terminated, truncated, info


@partial(jax.jit, static_argnums=0)
def _begin_all(envs: VectorEnv, program: Program, state: VectorEnvState) -> tuple[VectorEnvState, Any]:
    return envs.begin(program, state)


@partial(jax.jit, static_argnums=(0, 4))
def _step_all(
    envs: VectorEnv, program: Program, state: VectorEnvState, actions: Any, same_step: bool
) -> tuple[VectorEnvState, Any, Outcome, Any, jax.Array]:
    """Makes a step of all environments; returns their state, observations, outcome, measures, and which
    were stepped.
    """
    measure = jax.vmap(envs.environment.measure)
    if same_step:
        state, outcome = envs.step(program, state, actions)
        measures = dict(measure(state.env.graph_state))
        state, seen = envs.begin(program, state)
        return state, seen, outcome, measures, jnp.ones(envs.num_envs, bool)
    over = state.done
    begun, first = envs.begin(program, state)
    stepped, outcome = envs.step(program, begun, actions)

    def pick(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(over.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    env = jax.tree.map(pick, begun.env, stepped.env)
    outcome = outcome.replace(
        observation=jax.tree.map(pick, first, outcome.observation),
        reward=jnp.where(over, 0.0, outcome.reward),
        terminated=outcome.terminated & ~over,
        truncated=outcome.truncated & ~over,
    )
    state = stepped.replace(env=env, done=outcome.terminated | outcome.truncated)
    return state, outcome.observation, outcome, dict(measure(env.graph_state)), ~over


class GymVectorEnv(gymnasium.vector.VectorEnv):  # type: ignore[type-arg,unused-ignore]
    """Environments that are stepped together by one compiled program, with Gymnasium's API.

    After `reset(seed=7)`, environment `i` behaves like a `GymEnv` after `reset(seed=7 + i)`. `info` holds the measures
    of the task, with Gymnasium's masks.

    Args:
        task, program: as for `GymEnv`.
        num_envs: number of environments.
        autoreset_mode: when a new episode begins. `NextStep`: in the step after an episode's last one, whose action is
            ignored. `SameStep`: in the last step itself, with `final_obs` and `final_info` in `info`.

    Raises:
        RexError: as for `GymEnv`, and without automatic resets.
    """

    def __init__(
        self,
        task: Environment,
        program: Program,
        *,
        num_envs: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ):
        check_length(program, task)
        if num_envs < 1:
            raise RexError(f"num_envs={num_envs}: give 1 or more")
        mode = AutoresetMode(autoreset_mode)
        if mode is AutoresetMode.DISABLED:
            raise RexError("autoreset_mode=Disabled: give NextStep or SameStep, or use GymEnv, which is reset by hand")
        self.task, self.program, self.num_envs = task, program, num_envs
        self.metadata = {"render_modes": [], "autoreset_mode": mode}
        self.single_observation_space, self.single_action_space = (
            _space(task.observation_space),
            _space(task.action_space),
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._same_step = mode is AutoresetMode.SAME_STEP
        self._envs = VectorEnv(task, num_envs, offset_step=False)
        self._state: VectorEnvState | None = None

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode in every environment: the first of the given seeds, or the next."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        _refuse_options(options)
        if seed is not None or self._state is None:
            self._state = self._seeded(seed)
        self._state = self._state.replace(done=jnp.ones(self.num_envs, bool))
        self._state, observation = _begin_all(self._envs, self.program, self._state)
        return _numpy(observation), {}

    def _seeded(self, seed: int | Sequence[int | None] | None) -> VectorEnvState:
        """Returns the state of all environments before their first episodes."""
        drawn = self.np_random.integers(2**32, size=self.num_envs)
        if isinstance(seed, int):
            seeds = [(seed + number) % 2**32 for number in range(self.num_envs)]
        else:
            given = [None] * self.num_envs if seed is None else list(seed)
            if len(given) != self.num_envs:
                raise RexError(f"{len(given)} seeds for {self.num_envs} environments: give as many")
            seeds = [int(new) if old is None else old % 2**32 for new, old in zip(drawn, given, strict=True)]
        keys = jnp.stack([jax.random.key(each) for each in seeds])
        return self._envs.init(self.program, keys[0]).replace(rng=keys)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Makes one supervisor step of each environment with `actions`, elements of the action space.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            RexError: if actions have another shape.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("no episode has begun: reset() first")
        checked = _action(self.task.action_space, actions, (self.num_envs,))
        self._state, seen, outcome, measures, stepped = _step_all(
            self._envs, self.program, self._state, checked, self._same_step
        )
        terminated, truncated = np.array(outcome.terminated), np.array(outcome.truncated)
        ended = terminated | truncated
        info: dict[str, Any] = {}
        last: dict[str, Any] = {}
        known = np.asarray(stepped) & ~ended if self._same_step else np.asarray(stepped)
        for name, value in measures.items():
            info |= _masked(name, np.asarray(value, np.float32), known)
            last |= _masked(name, np.asarray(value, np.float32), ended)
        if self._same_step and ended.any():
            final = np.full(self.num_envs, None, object)
            whole = _numpy(outcome.observation)
            for number in np.flatnonzero(ended):
                final[number] = jax.tree.map(lambda leaf, n=number: leaf[n], whole)
            info |= {"final_obs": final, "_final_obs": ended, "final_info": last, "_final_info": ended}
        return _numpy(seen), np.array(outcome.reward, np.float64), terminated, truncated, info


def _masked(name: str, values: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.where(known, values, 0.0).astype(np.float32), f"_{name}": known}


def _refuse_options(options: Mapping[str, Any] | None) -> None:
    if options:
        raise RexError(f"options={dict(options)}: there are none; give make() overrides, as on the command line")


register()
