"""Defines the state of PPO between updates, and its data: collected transitions, and samples made from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import struct

from rexcli.rl.normalize import RunningStats
from rexcli.rl.vector_env import VectorEnvState

EVALUATION = 0xE7A1
"""Folded into PRNG keys, so that random numbers of evaluations differ from those of training."""

Params = Any


class Learned(struct.PyTreeNode):
    """The part of a `PPOState` that defines its policy."""

    params: Params
    observations: RunningStats


class PPOState(struct.PyTreeNode):
    """Everything that one seed carries from update to update.

    Attributes:
        params: parameters of the networks.
        optimizer: the state of Adam.
        observations: running statistics, `[obs_dim]`.
        returns: running statistics of the discounted return.
        trace: discounted sum of past rewards of each environment, `[num_envs]`.
        earned: reward of each environment since its episode began, `[num_envs]`.
        envs: the environments.
        rng: PRNG key.
        updates: int32, the number of updates made.
        failed: int32, the first update that met a number that is not finite, or -1; nothing changes after it.
        lr: float32, the learning rate if it is adaptive, else None.
        memory: recurrent states of `actor` and `critic`, each `[num_envs, memory_units]`; empty without recurrent
            networks.
        privileged: running statistics of what only the critic sees, `[size]`; None if there is nothing.
    """

    params: Params
    optimizer: optax.OptState
    observations: RunningStats
    returns: RunningStats
    trace: jax.Array
    earned: jax.Array
    envs: VectorEnvState
    rng: jax.Array
    updates: jax.Array
    failed: jax.Array
    lr: jax.Array | None = None
    memory: Mapping[str, jax.Array] = struct.field(default_factory=dict)
    privileged: RunningStats | None = None

    @property
    def learned(self) -> Learned:
        """The part of the state that defines the policy."""
        return Learned(self.params, self.observations)

    @property
    def evaluation_key(self) -> jax.Array:
        """The PRNG key of every evaluation: all policies of a training, of all its seeds, are compared on the same
        episodes, so that their returns differ by what they do and not by where they start.
        """
        return jax.random.key(EVALUATION, impl=jax.random.key_impl(self.rng))


class Transitions(struct.PyTreeNode):
    """The collected transitions, each `[num_steps, num_envs, ...]`.

    Attributes:
        observation: the observation from the environment, flattened, `[..., obs_dim]`.
        raw: the action before tanh, or the choices, `[..., action_dim]`.
        log_prob: log probability of the raw action under the policy that drew it.
        reward: the reward from the environment.
        terminated, truncated: whether the episode ended with this step.
        next_observation: the observation after the step, before any reset, `[..., obs_dim]`.
        whole: whether the episode has its full length, see `VectorEnv.offset_step`.
        value_after: the task's value after a truncation; None to ask the critic.
        starts: for recurrent networks, whether the step is an episode's first; else None.
        memory: for recurrent networks, their states before the first step, each `[num_envs, memory_units]`.
        privileged: what only the critic sees, flattened, `[..., size]`; None if there is nothing.
        next_privileged: the same, after the step.
    """

    observation: jax.Array
    raw: jax.Array
    log_prob: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array
    whole: jax.Array
    value_after: jax.Array | None
    starts: jax.Array | None = None
    memory: Mapping[str, jax.Array] = struct.field(default_factory=dict)
    privileged: jax.Array | None = None
    next_privileged: jax.Array | None = None


class Samples(struct.PyTreeNode):
    """The samples of an update, over which the loss is a mean, each `[samples, ...]`; for recurrent networks whole
    sequences, `[num_envs, num_steps, ...]`.

    `observation` is normalised, and so is `seen`, the critic's input if that is different; `value` is the critic's
    value at collection, None if nothing is clipped to it. `starts` and `memory` (`[num_envs, memory_units]`) are those
    of `Transitions`.
    """

    observation: jax.Array
    raw: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    target: jax.Array
    value: jax.Array | None = None
    seen: jax.Array | None = None
    starts: jax.Array | None = None
    memory: Mapping[str, jax.Array] = struct.field(default_factory=dict)
