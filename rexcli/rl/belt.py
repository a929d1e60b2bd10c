"""Many environments on one shared timeline: a belt that none of them can stop.

An environment whose episode ended gets off and a fresh one gets on, wherever the belt is. So what runs when never
depends on the environment: `eps` and `step` of the graph state stay unbatched, and a skipped slot costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.compiler.program import Program
from rexcli.graph.states import GraphState
from rexcli.rl.environment import Environment
from rexcli.rl.graph_env import EnvState, GraphEnv, Outcome

_ONE: Any = None
_EACH: Any = 0
SHARED = EnvState(
    graph_state=GraphState(
        eps=_ONE, step=_ONE, origin=_EACH, rng=_EACH, params=_EACH, delays=_EACH, state=_EACH, outputs=_EACH
    ),
    steps=_EACH,
)
"""Which parts of the state the environments share (None) and which have a leading `[num_envs]` (0)."""


class BeltState(struct.PyTreeNode):
    """Environments under way.

    Attributes:
        env: their states; `eps` and `step` are of the belt, all else has a leading `[num_envs]`.
        done: whose episode is over, so that it begins again before the next step, bool `[num_envs]`.
        rng: PRNG key of each, from which its starts are drawn, `[num_envs]`.
        starts: how many episodes each has begun, int32 `[num_envs]`.
    """

    env: EnvState
    done: jax.Array
    rng: jax.Array
    starts: jax.Array


@dataclass(frozen=True)
class Belt:
    """Environments that ride a program's timeline together, each with episodes of its own.

    Call `begin` and `step` in turns.

    Attributes:
        environment: the task.
        num_envs: how many.
        fixed_init: an environment starts every episode in the state in which it started its first.
        offset_step: environments begin as if under way, so that their ends are spread.
    """

    environment: Environment
    num_envs: int
    fixed_init: bool = False
    offset_step: bool = False

    def init(self, program: Program, rng: jax.Array) -> BeltState:
        """All environments off, the belt at the start of an episode of the timeline, drawn at random."""
        eps_rng, env_rng, fill_rng = jax.random.split(rng, 3)
        keys = jax.random.split(env_rng, self.num_envs)
        starts, step = jnp.zeros(self.num_envs, jnp.int32), jnp.int32(0)
        eps = jax.random.randint(eps_rng, (), 0, program.num_episodes)

        def fill(leaf: jax.ShapeDtypeStruct) -> jax.Array:
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.split(fill_rng, leaf.shape)
            return jnp.zeros(leaf.shape, leaf.dtype)

        env = jax.tree.map(fill, jax.eval_shape(self._start, program, keys, starts, eps, step))
        env = env.replace(graph_state=env.graph_state.replace(eps=eps, step=step))
        return BeltState(env, jnp.ones(self.num_envs, bool), keys, starts)

    def begin(self, program: Program, state: BeltState) -> tuple[BeltState, jax.Array]:
        """Lets those begin again that are done; returns what all see, `[num_envs, obs_dim]`."""

        def restart() -> EnvState:
            graph_state = state.env.graph_state
            over = program.is_over(graph_state)
            eps = jnp.where(over, (graph_state.eps + 1) % program.num_episodes, graph_state.eps)
            step = jnp.where(over, 0, graph_state.step)
            fresh = self._start(program, state.rng, state.starts, eps, step)
            return jax.tree.map(lambda new, old: _where(state.done, new, old), fresh, state.env)

        # At most steps nobody is done, and then nobody is initialised.
        env = jax.lax.cond(state.done.any(), restart, lambda: state.env)

        def observe(env: EnvState) -> jax.Array:
            return self.environment.observe(program.step_state(env.graph_state))

        observation = jax.vmap(observe, in_axes=(SHARED,))(env)
        begun = BeltState(env, jnp.zeros_like(state.done), state.rng, state.starts + state.done)
        return begun, observation

    def step(self, program: Program, state: BeltState, actions: jax.Array) -> tuple[BeltState, Outcome]:
        """One supervisor step of all.

        Args:
            program: the same at every step.
            state: from `begin`.
            actions: `[num_envs, action_dim]`.

        Returns:
            The state to which the actions led, and what they led to, each leaf with a leading `[num_envs]`.
        """
        single = GraphEnv(self.environment, program)
        env, outcome = jax.vmap(single.step, in_axes=(SHARED, 0), out_axes=(SHARED, 0))(state.env, actions)
        return state.replace(env=env, done=outcome.terminated | outcome.truncated), outcome

    def _start(self, program: Program, keys: jax.Array, starts: jax.Array, eps: jax.Array, step: jax.Array) -> EnvState:
        """Fresh episodes for all at a step of the belt."""
        single = GraphEnv(self.environment, program)

        def start(key: jax.Array, number: jax.Array) -> EnvState:
            own = key if self.fixed_init else jax.random.fold_in(key, number)
            env, _ = single.reset(own, eps=eps, starting_step=step)
            if self.offset_step:
                ahead = jax.random.randint(key, (), 0, self.environment.max_steps)
                env = env.replace(steps=jnp.where(number == 0, ahead, 0))
            return env

        return jax.vmap(start, out_axes=SHARED)(keys, starts)


def _where(done: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """`new` for environments that are done, `[num_envs, ...]`; what they share is `new` anyway."""
    if new.ndim == 0:
        return new
    return jnp.where(done.reshape(-1, *[1] * (new.ndim - 1)), new, old)
