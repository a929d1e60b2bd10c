"""Running mean and variance: observations and rewards of a scale that networks learn well from."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.rl.data_parallel import moments


class RunningStats(struct.PyTreeNode):
    """Mean and variance of all that was seen so far, by the parallel update of Chan, Golub and LeVeque (1983).

    Attributes:
        mean, var: `[...]`, the shape of one sample; 0 and 1 before anything was seen.
        count: float32, how many samples.
    """

    mean: jax.Array
    var: jax.Array
    count: jax.Array

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> RunningStats:
        """Nothing seen yet."""
        return cls(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))

    def update(self, samples: jax.Array, devices: int = 1) -> RunningStats:
        """With `samples` `[..., *shape]` seen as well, of each of `devices`."""
        samples = samples.reshape(-1, *self.mean.shape)
        number = samples.shape[0] * devices
        mean, var = moments(samples, devices, axis=0)
        count = self.count + number
        gap = mean - self.mean
        squares = self.var * self.count + var * number + gap**2 * self.count * number / count
        return RunningStats(self.mean + gap * number / count, squares / count, count)

    def normalize(self, value: jax.Array, limit: float = 10.0) -> jax.Array:
        """`value` `[..., *shape]` less the mean, over the deviation, within ±`limit`."""
        scaled = (value - self.mean) * jax.lax.rsqrt(self.var + 1e-8)
        return jnp.clip(scaled, -limit, limit)

    @property
    def scale(self) -> jax.Array:
        """The deviation, never 0."""
        return jnp.sqrt(self.var + 1e-8)


def discounted_traces(
    trace: jax.Array, rewards: jax.Array, dones: jax.Array, gamma: float
) -> tuple[jax.Array, jax.Array]:
    """The discounted sum of past rewards of each environment, by whose deviation rewards are scaled.

    Args:
        trace: where the sums stand, `[num_envs]`.
        rewards, dones: `[num_steps, num_envs]`; a sum starts again at 0 after its environment is done.
        gamma: discount a step.

    Returns:
        Where the sums stand now, `[num_envs]`, and all on the way, `[num_steps, num_envs]`.
    """

    def step(trace: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reward, done = now
        trace = gamma * trace + reward
        return jnp.where(done, 0.0, trace), trace

    return jax.lax.scan(step, trace, (rewards, dones))
