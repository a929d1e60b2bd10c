"""Steps many environments together, each on its own part of the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.environment import Environment
from rexcli.rl.graph_env import EnvState, GraphEnv, Outcome
from rexcli.system.types import is_key


class VectorEnvState(struct.PyTreeNode):
    """The state of running environments, each leaf with a leading `[num_envs]`.

    Attributes:
        env: the state of each environment.
        done: bool, whether the episode is over, so that a new one begins before the next step.
        whole: bool, whether the episode has its full length, see `VectorEnv.offset_step`.
        rng: PRNG key from which the starts of the environment's episodes are drawn.
        starts: int32, number of episodes that the environment has begun.
    """

    env: EnvState
    done: jax.Array
    whole: jax.Array
    rng: jax.Array
    starts: jax.Array


@dataclass(frozen=True)
class VectorEnv:
    """Environments that are stepped together and reset one by one.

    Every episode of an environment begins at a random step of a random episode of the timeline, such that a whole
    episode of the task fits. So each has different delays, none is cut short by the timeline's end, and they need not
    end together.

    Call `begin` and `step` alternately.

    Attributes:
        environment: the task.
        num_envs: the number of environments.
        fixed_init: whether an environment starts every episode in the state in which it started its first.
        offset_step: whether first episodes are shorter by a random offset, so that episodes do not all end together.
    """

    environment: Environment
    num_envs: int
    fixed_init: bool = False
    offset_step: bool = True

    def init(self, program: Program, rng: jax.Array) -> VectorEnvState:
        """Returns the state of all environments before they begin their first episode."""
        env_rng, fill_rng = jax.random.split(rng)
        keys, starts = jax.random.split(env_rng, self.num_envs), jnp.zeros(self.num_envs, jnp.int32)
        all_of_them = jnp.ones(self.num_envs, bool)

        def fill(leaf: jax.ShapeDtypeStruct) -> jax.Array:
            if is_key(leaf):
                return jax.random.split(fill_rng, leaf.shape)
            return jnp.zeros(leaf.shape, leaf.dtype)

        # `begin` computes where they start; doing so here too would compile it twice.
        env = jax.tree.map(fill, jax.eval_shape(self._starts, program, keys, starts))
        return VectorEnvState(env, all_of_them, all_of_them, keys, starts)

    def begin(self, program: Program, state: VectorEnvState) -> tuple[VectorEnvState, Any]:
        """Begins a new episode where one is done; returns all observations, each leaf with a leading `[num_envs]`."""

        def restart() -> EnvState:
            fresh = self._starts(program, state.rng, state.starts)
            return jax.tree.map(lambda new, old: _where(state.done, new, old), fresh, state.env)

        # At steps at which no environment is done, none is initialised.
        env = jax.lax.cond(state.done.any(), restart, lambda: state.env)
        observation = jax.vmap(lambda env: self.environment.observation(program.step_state(env.graph_state)))(env)
        whole = state.whole | state.done
        if self.offset_step:
            whole &= ~(state.done & (state.starts == 0))
        begun = VectorEnvState(env, jnp.zeros_like(state.done), whole, state.rng, state.starts + state.done)
        return begun, observation

    def step(self, program: Program, state: VectorEnvState, actions: jax.Array) -> tuple[VectorEnvState, Outcome]:
        """Makes one supervisor step of all environments.

        Args:
            program: the same at every step.
            state: the state from `begin`.
            actions: elements of the action space, with a leading `[num_envs]`.

        Returns:
            The next state, and the outcome of the actions, each leaf with a leading `[num_envs]`.
        """
        env, outcome = jax.vmap(GraphEnv(self.environment, program).step)(state.env, actions)
        return state.replace(env=env, done=outcome.terminated | outcome.truncated), outcome

    def _starts(self, program: Program, keys: jax.Array, numbers: jax.Array) -> EnvState:
        """Returns a new episode of each environment, each leaf with a leading `[num_envs]`."""
        return jax.vmap(self.start, (None, 0, 0))(program, keys, numbers)

    def start(self, program: Program, key: jax.Array, number: jax.Array) -> EnvState:
        """Returns episode `number`, from 0, of the environment with PRNG key `key`."""
        length = self.environment.max_steps
        own = jax.random.fold_in(key, number)
        init_rng = jax.random.fold_in(key, 0) if self.fixed_init else own
        place_rng, offset_rng = jax.random.split(jax.random.fold_in(own, 1))
        eps, step = random_start(program, length, place_rng)
        env, _ = GraphEnv(self.environment, program).reset(init_rng, eps=eps, starting_step=step)
        if self.offset_step:
            under_way = jax.random.randint(offset_rng, (), 0, length)
            env = env.replace(steps=jnp.where(number == 0, under_way, 0))
        return env


def random_start(program: Program, steps: int, rng: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns a uniformly random episode and step of the timeline from which so many steps fit."""
    places = jnp.cumsum(jnp.maximum(program.length - steps + 1, 0))
    place = jax.random.randint(rng, (), 0, places[-1])
    eps = jnp.searchsorted(places, place, side="right").astype(jnp.int32)
    first = places[eps] - jnp.maximum(program.length[eps] - steps + 1, 0)
    return eps, (place - first).astype(jnp.int32)


def check_length(program: Program, environment: Environment) -> None:
    """Raises an error for a timeline into which no episode of the task fits.

    Raises:
        RexError: names both lengths.
    """
    steps, longest = environment.max_steps, int(program.length.max())
    if steps > longest:
        rate = environment.supervisor.rate
        raise RexError(
            f"an episode of the task lasts {steps / rate:g} s, {steps} steps of supervisor "
            f"'{program.supervisor}', but the longest of the timeline has {longest}: record or simulate {steps} steps "
            f"or more, or give the task {longest / rate:g} s"
        )


def _where(done: jax.Array, new: Any, old: Any) -> jax.Array:
    """Returns `new` for environments that are done, else `old`, `[num_envs, ...]`."""
    return jnp.where(done.reshape(-1, *[1] * (new.ndim - 1)), new, old)
