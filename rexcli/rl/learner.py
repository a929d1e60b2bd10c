"""What PPO carries from update to update, and what it learns from: collected transitions, and samples of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import optax
from flax import struct

from rexcli.rl.normalize import RunningStats
from rexcli.rl.vector_env import VectorEnvState

EVALUATION = 0xE7A1
"""Sets the random numbers of an evaluation apart from those of training."""

Params = Any


class Learned(struct.PyTreeNode):
    """The part of a `LearnerState` that its policy is made of."""

    params: Params
    observations: RunningStats


class LearnerState(struct.PyTreeNode):
    """All that one seed carries from update to update.

    Attributes:
        params: of the networks.
        optimizer: the state of Adam.
        observations: running statistics, `[obs_dim]`.
        returns: running statistics of the discounted return.
        trace: discounted sum of past rewards of each environment, `[num_envs]`.
        earned: reward of each environment since its episode began, `[num_envs]`.
        envs: the environments.
        rng: PRNG key.
        updates: int32, the number of updates made.
        failed: int32, the first update that met a number that is not finite, or -1; nothing changes after it.
        lr: float32, the learning rate where it adapts, else None.
        memory: of recurrent networks, what `actor` and `critic` remember, each `[num_envs, memory_units]`.
        privileged: running statistics of what only the critic sees, `[size]`; None where it sees nothing else.
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
        """What a seed has learned so far."""
        return Learned(self.params, self.observations)

    @property
    def evaluation_key(self) -> jax.Array:
        """The PRNG key of an evaluation between two updates.

        Training splits `rng` in two, which gives what `fold_in` gives of 0 and 1, and no other number.
        """
        return jax.random.fold_in(self.rng, EVALUATION)


class Transitions(struct.PyTreeNode):
    """What was collected, each `[num_steps, num_envs, ...]`.

    Attributes:
        observation: as the environment gave it, flattened, `[..., obs_dim]`.
        raw: the action before tanh, or the choices, `[..., action_dim]`.
        log_prob: of the raw action, under the policy that drew it.
        reward: as the environment gave it.
        terminated, truncated: whether the episode ended with this step.
        next_observation: where the step led, before any reset, `[..., obs_dim]`.
        whole: the episode began at its beginning, see `VectorEnv.offset_step`.
        value_after: what the task says lies beyond a truncation; None to ask the critic.
        starts: of recurrent networks, whether the step is an episode's first; else None.
        memory: of recurrent networks, what they remembered before the first step, each `[num_envs, memory_units]`.
        privileged: what only the critic sees, flattened, `[..., size]`; None where it sees nothing else.
        next_privileged: the same, where the step led.
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
    """The samples of an update, over which the loss is a mean, each `[samples, ...]`; of recurrent networks whole
    sequences, `[num_envs, num_steps, ...]`.

    `observation` is normalised, and so is `seen`, what the critic sees where that is more; `value` is its guess at
    collection, None where nothing is clipped to it. `starts` and `memory` (`[num_envs, memory_units]`) are those of
    `Transitions`.
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
