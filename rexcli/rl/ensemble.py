"""Several policies of one task, such as the seeds of a training, that act together."""

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
    """Acts with the mean of its members' actions, each without noise; where actions are choices, with the one that has
    the highest mean probability. Each member carries its own state. A pytree, as a `Policy` is.

    Attributes:
        members: the policies as one, each leaf with a leading `[members]`.
    """

    members: Policy

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> Ensemble:
        """Of policies of one training.

        Raises:
            RexError: they are not alike.
        """
        if len({jax.tree.structure(policy) for policy in policies}) != 1:
            raise RexError("an ensemble's policies have networks or spaces that differ; give those of one training")
        return cls(jax.tree.map(lambda *leaves: jnp.stack(leaves), *policies))

    @property
    def observation_config(self) -> ObservationConfig:
        """What its members see beside what the task's `observe` gives."""
        return self.members.observation_config

    @property
    def action_space(self) -> ActionSpace:
        """That of each member."""
        return self.members.action_space

    @property
    def observation_space(self) -> Dict | None:
        """That of each member."""
        return self.members.observation_space

    @property
    def observation_size(self) -> int:
        """Numbers in an observation."""
        return jax.tree.map(lambda leaf: leaf[0], self.members).observation_size

    def init_state(self) -> PyTree:
        """What the members remember when an episode begins, `[members, ...]`."""
        return jax.vmap(lambda member: member.init_state())(self.members)

    def apply(self, state: PyTree, observation: Observation, rng: jax.Array | None = None) -> tuple[jax.Array, PyTree]:
        """The action at one observation, and what the members then remember.

        Raises:
            RexError: if given a key: together they have no noise.
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
        """The supervisor's step under all of them, see `PolicyController`."""
        return PolicyController(self, environment)
