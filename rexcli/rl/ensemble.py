"""Combines several policies of one task, such as the seeds of a training, to one that acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from rexcli.config.schema import ObservationConfig
from rexcli.errors import RexError
from rexcli.rl.environment import Environment
from rexcli.rl.networks import Categorical
from rexcli.rl.policy import Observation, Policy, PolicyController
from rexcli.rl.spaces import ActionSpace, Dict

PyTree = Any


class Ensemble(struct.PyTreeNode):
    """Acts with the mean of its members' actions without noise; for discrete actions, with the choice of the highest
    mean probability. Each member has its own state. An ensemble is a pytree, as a `Policy` is.

    Attributes:
        members: the stacked policies, each leaf with a leading `[members]`.
    """

    members: Policy

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> Ensemble:
        """Makes an ensemble of policies of one training.

        Raises:
            RexError: if their networks or spaces differ.
        """
        if len({jax.tree.structure(policy) for policy in policies}) != 1:
            raise RexError("an ensemble's policies have networks or spaces that differ; give those of one training")
        return cls(jax.tree.map(lambda *leaves: jnp.stack(leaves), *policies))

    @property
    def observation_config(self) -> ObservationConfig:
        """What the members observe in addition to the result of the task's `observe`."""
        return self.members.observation_config

    @property
    def action_space(self) -> ActionSpace:
        """The action space of each member."""
        return self.members.action_space

    @property
    def observation_space(self) -> Dict | None:
        """The observation space of each member; None for vectors."""
        return self.members.observation_space

    @property
    def observation_size(self) -> int:
        """The size of an observation."""
        return jax.tree.map(lambda leaf: leaf[0], self.members).observation_size

    def init_state(self) -> PyTree:
        """Returns the recurrent states of the members at the start of an episode, `[members, ...]`."""
        return jax.vmap(lambda member: member.init_state())(self.members)

    def apply(self, state: PyTree, observation: Observation, rng: jax.Array | None = None) -> tuple[jax.Array, PyTree]:
        """Returns the action at one observation, and the next states of the members.

        Raises:
            RexError: if a key is given: an ensemble has no noise.
        """
        if rng is not None:
            raise RexError("an ensemble acts without noise; leave the key out, or take one of its policies")
        each = jax.vmap(lambda member, state: member.distribution_after(state, observation))
        actions, state = each(self.members, state)
        if isinstance(actions, Categorical):
            together = Categorical(jnp.log(actions.probabilities().mean(axis=0)), actions.categories)
            return self.action_space.from_unit(together.mode()), state
        return self.action_space.from_unit(actions.unit(actions.mode())).mean(axis=0), state

    def controller(self, environment: Environment) -> PolicyController:
        """Returns the supervisor's step under the ensemble, see `PolicyController`."""
        return PolicyController(self, environment)
