"""Provides experiments as environments in the style of gymnax: `env, params = rexcli.gymnax.make("pendulum")`.

`reset(key, params)` and `step(key, state, action, params)` are pure, and `step` begins the next episode by itself, so
that trainers such as those of purejaxrl need no changes. It needs the extra `gymnax`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli import pipeline
from rexcli.compiler.program import Program
from rexcli.config.compose import compose
from rexcli.config.project import Project, find_project
from rexcli.errors import RexError
from rexcli.rl import spaces
from rexcli.rl.environment import Environment
from rexcli.rl.graph_env import EnvState, GraphEnv
from rexcli.rl.vector_env import VectorEnv, check_length

try:
    from gymnax.environments import spaces as gymnax_spaces
except ModuleNotFoundError as error:
    raise RexError("rexcli.gymnax needs gymnax: pip install 'rexcli[gymnax]'") from error


class EnvParams(struct.PyTreeNode):
    """The parameters of an environment.

    Attributes:
        program: the program with the timeline.
        max_steps_in_episode: supervisor steps after which an episode is truncated, set by the task's `seconds`.
    """

    program: Program
    max_steps_in_episode: int = struct.field(pytree_node=False)


def make(conf: str | None = None, *overrides: str, project: Project | None = None) -> tuple[GymnaxEnv, EnvParams]:
    """Returns the task of an experiment, and its parameters: `make("pendulum", "nodes.agent.rate=25")`.

    Args:
        conf: the experiment; None for the project's default.
        overrides: as on the command line; `from=RUN` uses the timeline of a recording.
        project: the project of `conf/`; None for the one that contains the working directory.

    Raises:
        RexError: for mistakes in declarations, and experiments without a task.
    """
    project = project or find_project()
    env = GymnaxEnv(*pipeline.task_and_program(compose(conf, overrides, project=project), project))
    return env, env.default_params


class GymnaxEnv:
    """A task on a compiled program, with the methods of gymnax's environments (those with a single `done`).

    Every episode begins at a random place of the timeline, so each has different delays. Actions are clipped to the
    bounds of their space.

    Args:
        task: the task, bound to the program's system.
        program: the program, compiled for the task.

    Raises:
        RexError: if the timeline is shorter than an episode of the task.
    """

    def __init__(self, task: Environment, program: Program):
        check_length(program, task)
        self.task = task
        self.default_params = EnvParams(program, task.max_steps)
        self._envs = VectorEnv(task, 1, offset_step=False)

    @property
    def name(self) -> str:
        """The name of the task."""
        return type(self.task).__name__

    @property
    def num_actions(self) -> int:
        """The number of discrete actions, or the size of a continuous action."""
        space = self.task.action_space
        return space.n if isinstance(space, spaces.Discrete) else space.size

    def reset(self, key: jax.Array, params: EnvParams | None = None) -> tuple[Any, EnvState]:
        """Begins an episode; returns its first observation and its state."""
        params = self.default_params if params is None else params
        if params.max_steps_in_episode != self.task.max_steps:
            raise RexError(
                f"max_steps_in_episode={params.max_steps_in_episode}: an episode of {self.name} takes "
                f"{self.task.max_steps} steps; give the task other seconds"
            )
        state = self._envs.start(params.program, _typed(key), jnp.int32(0))
        return self.task.observation(params.program.step_state(state.graph_state)), state

    def step(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams | None = None
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, Any]]:
        """Makes one supervisor step; if it ends the episode, the observation and the state are those of the next.

        Returns:
            Observation, state, reward (float32), done (bool), and info: `terminated`, `truncated`, `discount` (0 if
            terminated), `final_observation`, and the measures of the task under `measures`.
        """
        params = self.default_params if params is None else params
        last, state, reward, done, info = self.step_env(key, state, action, params)
        observation, state = self._restart(done, _typed(key), params, (last, state))
        return observation, state, reward, done, info | {"final_observation": last}

    def _restart(self, done: jax.Array, key: jax.Array, params: EnvParams, here: tuple[Any, EnvState]) -> Any:
        """Returns the observation and the state of the next episode if this one is done, else the given ones.

        In a batch, no episode is initialised in a step in which none is done; a plain `cond` would become a selection
        between two results that are both computed.
        """

        tables, structure = jax.tree.flatten(params)

        def begin(done: jax.Array, key: jax.Array, tables: Any, here: Any) -> Any:
            fresh = self.reset(key, jax.tree.unflatten(structure, tables))
            return jax.tree.map(lambda new, old: jnp.where(done, new, old), fresh, here)

        @jax.custom_batching.custom_vmap
        def restart(done: jax.Array, key: jax.Array, tables: Any, here: Any) -> Any:
            return jax.lax.cond(done, lambda: begin(done, key, tables, here), lambda: here)

        @restart.def_vmap
        def batch(size: int, batched: Any, done: jax.Array, key: jax.Array, tables: Any, here: Any) -> Any:
            axes = jax.tree.map(lambda each: 0 if each else None, batched)
            spread = jax.tree.map(
                lambda leaf, own: leaf if own else jnp.broadcast_to(leaf, (size, *leaf.shape)), here, batched[3]
            )
            begun = partial(jax.vmap(begin, tuple(axes), axis_size=size), done, key, tables, here)
            return jax.lax.cond(jnp.any(done), begun, lambda: spread), jax.tree.map(lambda _: True, here)

        return restart(done, key, tables, here)

    def step_env(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams | None = None
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, Any]]:
        """Makes one supervisor step as `step` does, but without beginning the next episode."""
        params = self.default_params if params is None else params
        space = self.task.action_space
        if isinstance(space, spaces.Box):
            action = jnp.clip(action, jnp.asarray(space.low, jnp.float32), jnp.asarray(space.high, jnp.float32))
        state, outcome = GraphEnv(self.task, params.program).step(state, action)
        info = {
            "terminated": outcome.terminated,
            "truncated": outcome.truncated,
            "discount": jnp.where(outcome.terminated, 0.0, 1.0),
            "measures": dict(self.task.measure(state.graph_state)),
        }
        return outcome.observation, state, outcome.reward, outcome.terminated | outcome.truncated, info

    def observation_space(self, params: EnvParams | None = None) -> Any:
        """Returns gymnax's space of the observations that `reset` and `step` return."""
        space = self.task.observation_space
        if isinstance(space, spaces.Box):
            return gymnax_spaces.Box(-jnp.inf, jnp.inf, (space.size,))
        return _dict_space(space.example)

    def action_space(self, params: EnvParams | None = None) -> Any:
        """Returns gymnax's space of actions, in the task's units.

        Raises:
            RexError: if an action has several discrete choices, for which gymnax has no space.
        """
        space = self.task.action_space
        if isinstance(space, spaces.Discrete):
            return gymnax_spaces.Discrete(space.n)
        if isinstance(space, spaces.MultiDiscrete):
            raise RexError(
                f"{self.name}: actions are {space}, and gymnax has one choice at a time; use rexcli.GraphEnv"
            )
        low, high = (jnp.asarray(bound, jnp.float32) for bound in (space.low, space.high))
        return gymnax_spaces.Box(low, high, (space.size,))


def _typed(key: jax.Array) -> jax.Array:
    """Returns a PRNG key of `jax.random.key`, also for one of `jax.random.PRNGKey`."""
    return key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jax.random.wrap_key_data(key)


def _dict_space(example: Mapping[str, Any]) -> Any:
    inner = {
        key: _dict_space(value)
        if isinstance(value, Mapping)
        else gymnax_spaces.Box(-jnp.inf, jnp.inf, value.shape, value.dtype)
        for key, value in example.items()
    }
    return gymnax_spaces.Dict(inner)
