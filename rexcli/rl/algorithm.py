"""Defines the interface of a learning algorithm: a class with these methods can be trained instead of `PPO`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import jax

from rexcli.compiler.program import Program
from rexcli.rl.environment import Environment
from rexcli.rl.policy import Policy

LearnerState = Any
"""Everything that one seed carries from update to update, a pytree. It has

- `learned`: the part that `Algorithm.policy` takes;
- `evaluation_key`: the PRNG key of every evaluation of every seed, with which training draws nothing;
- `failed`: int32, the first update that met a number that is not finite, or -1; nothing changes after it.
"""
Metrics = dict[str, jax.Array]


class Algorithm(Protocol):
    """A learning algorithm with its task and settings. All methods but `check_size` and `find_failure` are pure
    and can be jitted.

    Attributes:
        environment: the task, bound to a system.
        settings: have `num_seeds`, `num_evals` (of the whole training) and `num_eval_envs` (episodes of each).
        numbers: the settings, by name, that are arguments of the compiled training, so that trainings that only differ
            in them share one compilation.
        num_updates: updates of each seed in the whole training.
        num_samples: environment steps that one update takes.
        devices_per_seed: devices that share a seed's environments; `learn` then runs on each, see `spread`.
    """

    environment: Environment
    settings: Any
    numbers: Mapping[str, float]
    num_updates: int
    num_samples: int
    devices_per_seed: int

    def check_size(self, program: Program, num_seeds: int) -> None:
        """Raises `RexError` if so many seeds do not fit into memory."""

    def given(self, numbers: Mapping[str, jax.Array]) -> Self:
        """Returns the algorithm with other values for its `numbers`, float32 scalars that may be traced."""

    def init(self, program: Program, rng: jax.Array) -> LearnerState:
        """Returns the state of a seed before its first update."""

    def learn(self, program: Program, state: Any, num_updates: jax.Array) -> tuple[LearnerState, Metrics]:
        """Returns the state after `num_updates` updates, an int32 scalar, and float32 means over them by name."""

    def spread(self, state: Any) -> LearnerState:
        """Returns which leaves of a state have a leading axis of environments, bool.

        If several devices share a seed, `learn` gets each device's part of these leaves, along the axis
        `rexcli.rl.data_parallel.AXIS`; all other leaves are the same on every device.
        """

    def policy(self, state: Any) -> Policy:
        """Returns the policy of what a state has `learned`."""

    def find_failure(self, program: Program, state: Any) -> str:
        """Returns a message that says which number was not finite first in the update that failed after `state`; not
        pure.
        """
