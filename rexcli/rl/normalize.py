"""Computes running mean and variance, to normalise observations and rewards for the networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.rl.data_parallel import moments


class RunningStats(struct.PyTreeNode):
    """Mean and variance of all samples so far, by the parallel update of Chan, Golub and LeVeque (1983).

    Attributes:
        mean, var: `[...]`, the shape of one sample; 0 and 1 before any sample.
        count: float32, number of samples.
    """

    mean: jax.Array
    var: jax.Array
    count: jax.Array

    @classmethod
    def empty(cls, shape: tuple[int, ...] = ()) -> RunningStats:
        """Returns the statistics before any sample."""
        return cls(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))

    def update(self, samples: jax.Array, devices: int = 1) -> RunningStats:
        """Returns the statistics updated with `samples`, `[..., *shape]`, of each of `devices` devices."""
        samples = samples.reshape(-1, *self.mean.shape)
        number = samples.shape[0] * devices
        mean, var = moments(samples, devices, axis=0)
        count = self.count + number
        gap = mean - self.mean
        squares = self.var * self.count + var * number + gap**2 * self.count * number / count
        return RunningStats(self.mean + gap * number / count, squares / count, count)

    def normalize(self, value: jax.Array, limit: float = 10.0) -> jax.Array:
        """Returns `value`, `[..., *shape]`, minus the mean, divided by the standard deviation, clipped to ±`limit`."""
        scaled = (value - self.mean) * jax.lax.rsqrt(self.var + 1e-8)
        return jnp.clip(scaled, -limit, limit)

    @property
    def scale(self) -> jax.Array:
        """The standard deviation, never 0."""
        return jnp.sqrt(self.var + 1e-8)


def discounted_traces(
    trace: jax.Array, rewards: jax.Array, dones: jax.Array, gamma: float
) -> tuple[jax.Array, jax.Array]:
    """Returns the discounted sum of past rewards of each environment, whose standard deviation scales rewards.

    Args:
        trace: the present sums, `[num_envs]`.
        rewards, dones: `[num_steps, num_envs]`; a sum starts again at 0 after its environment is done.
        gamma: discount factor per step.

    Returns:
        The sums after the last step, `[num_envs]`, and those after every step, `[num_steps, num_envs]`.
    """

    def step(trace: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reward, done = now
        trace = gamma * trace + reward
        return jnp.where(done, 0.0, trace), trace

    return jax.lax.scan(step, trace, (rewards, dones))
