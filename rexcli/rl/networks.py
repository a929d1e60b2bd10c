"""Defines the networks of actor and critic, and the distribution of actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rexcli.config.schema import Activation, KernelInit, Memory

PyTree = Any
Part = Literal["actor", "critic"]

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    name: getattr(nn, name) for name in ("tanh", "relu", "gelu", "softplus", "silu")
}
KERNELS: dict[str, Callable[[], Any]] = {
    name: getattr(nn.initializers, name) for name in ("xavier_uniform", "xavier_normal", "lecun_normal", "he_normal")
} | {"orthogonal": lambda: nn.initializers.orthogonal(np.sqrt(2))}
LOG_STD_RANGE = (-10.0, 2.0)
"""The range of the log standard deviation if a network computes it."""


class MLP(nn.Module):
    """`layers` hidden layers of `units`, then a linear one with small weights."""

    size: int
    layers: int
    units: int
    activation: Activation
    kernel_init: KernelInit
    last_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.layers):
            x = ACTIVATIONS[self.activation](nn.Dense(self.units, kernel_init=KERNELS[self.kernel_init]())(x))
        return nn.Dense(self.size, kernel_init=nn.initializers.orthogonal(self.last_scale))(x)


class ActorCritic(nn.Module):
    """A separate policy and value network.

    Attributes:
        action_size: size of an action.
        layers, units: number and size of the hidden layers of each.
        activation, kernel_init: activation and initialisation of these layers, as in `rexcli.config.schema`.
        state_independent_std: whether the standard deviation of a dimension is the same for all observations; else the
            network computes it.
        squash: whether actions pass through tanh; else the action space clips them.
        categories: the number of options of each choice if actions are discrete, so that `state_independent_std` and
            `squash` have no effect; empty for continuous actions.
        memory: `gru`: policy and value network each have a recurrent state of `memory_units` numbers, zero at the
            start, which is an input of their hidden layers together with the observation.
        memory_units: size of the recurrent state.
    """

    action_size: int
    layers: int = 2
    units: int = 64
    activation: Activation = "tanh"
    kernel_init: KernelInit = "orthogonal"
    state_independent_std: bool = True
    squash: bool = True
    categories: tuple[int, ...] = ()
    memory: Memory = "none"
    memory_units: int = 64

    @property
    def recurrent(self) -> bool:
        """Whether the networks are recurrent."""
        return self.memory != "none"

    def setup(self) -> None:
        outputs = self.action_size if self.state_independent_std else 2 * self.action_size
        if self.categories:
            outputs = sum(self.categories)
        self.actor = self._mlp(outputs, last_scale=0.01)
        self.critic = self._mlp(1, last_scale=1.0)
        if self.state_independent_std and not self.categories:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.action_size,))
        if self.recurrent:
            self.actor_memory, self.critic_memory = (nn.GRUCell(self.memory_units) for _ in range(2))

    def _mlp(self, size: int, last_scale: float) -> MLP:
        return MLP(size, self.layers, self.units, self.activation, self.kernel_init, last_scale)

    def remember(self, part: Part, seen: jax.Array, state: jax.Array) -> jax.Array:
        """Returns the next recurrent state of the policy or the critic, `[..., memory_units]`, after the input
        `[..., size]`.
        """
        cell = self.actor_memory if part == "actor" else self.critic_memory
        return cell(state, seen)[0]

    def policy(self, observation: jax.Array, state: jax.Array | None = None) -> ActionDistribution | Categorical:
        """Returns the distribution of actions at observations `[..., obs_dim]`; recurrent networks need the state after
        these."""
        observation = _beside(observation, state)
        if self.categories:
            return Categorical(self.actor(observation), self.categories)
        if self.state_independent_std:
            mean = self.actor(observation)
            log_std = jnp.broadcast_to(self.log_std, mean.shape)
        else:
            mean, log_std = jnp.split(self.actor(observation), 2, axis=-1)
            log_std = jnp.clip(log_std, *LOG_STD_RANGE)
        return ActionDistribution(mean, log_std, self.squash)

    def value(self, seen: jax.Array, state: jax.Array | None = None) -> jax.Array:
        """Returns the expected discounted return, `[...]`, from the critic's input `[..., size]`; `state` as for
        `policy`."""
        return self.critic(_beside(seen, state))[..., 0]

    def act(self, observation: jax.Array) -> ActionDistribution | Categorical:
        """Returns the distribution of actions at the start of an episode."""
        return self.policy(observation, self._begin("actor", observation))

    def __call__(
        self, observation: jax.Array, seen: jax.Array | None = None
    ) -> tuple[ActionDistribution | Categorical, jax.Array]:
        seen = observation if seen is None else seen
        return self.act(observation), self.value(seen, self._begin("critic", seen))

    def _begin(self, part: Part, seen: jax.Array) -> jax.Array | None:
        if not self.recurrent:
            return None
        return self.remember(part, seen, jnp.zeros((*seen.shape[:-1], self.memory_units)))


def _beside(seen: jax.Array, state: jax.Array | None) -> jax.Array:
    return seen if state is None else jnp.concatenate([seen, state], axis=-1)


def action_distribution(
    network: ActorCritic, params: PyTree, observation: jax.Array, state: jax.Array | None = None
) -> ActionDistribution | Categorical:
    """Returns `network.policy` with these parameters."""
    result: Any = network.apply(params, observation, state, method="policy")
    return result


def state_value(network: ActorCritic, params: PyTree, seen: jax.Array, state: jax.Array | None = None) -> jax.Array:
    """Returns `network.value` with these parameters."""
    result: Any = network.apply(params, seen, state, method="value")
    return result


def next_memory(network: ActorCritic, params: PyTree, part: Part, seen: jax.Array, state: jax.Array) -> jax.Array:
    """Returns `network.remember` with these parameters."""
    result: Any = network.apply(params, part, seen, state, method="remember")
    return result


def unrolled(
    network: ActorCritic, params: PyTree, part: Part, seen: jax.Array, starts: jax.Array, state: jax.Array
) -> jax.Array:
    """Returns the recurrent states of sequences after each step, `[num_steps, sequences, memory_units]`.

    Args:
        network, params: the network and its parameters.
        part: the policy or the critic.
        seen: inputs, `[num_steps, sequences, size]`.
        starts: bool `[num_steps, sequences]`, whether an episode begins, so that the state is reset.
        state: the states before the first step, `[sequences, memory_units]`.
    """

    def step(state: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        seen, start = now
        state = next_memory(network, params, part, seen, reset_memory(state, start))
        return state, state

    return jax.lax.scan(step, state, (seen, starts))[1]


def reset_memory(state: jax.Array, start: jax.Array) -> jax.Array:
    """Returns states `[sequences, memory_units]` with zeros where an episode begins."""
    return jnp.where(start[:, None], 0.0, state)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
"""For means over a standard normal: sum of `WEIGHTS / sqrt(2 pi)` times the function at `NODES`."""

LOG_SQRT_TAU = 0.5 * float(np.log(2 * np.pi))


class ActionDistribution(struct.PyTreeNode):
    """Independent normal distributions, squashed by tanh into ±1 or not. Samples are *raw*: the arguments of the tanh.

    Probability ratios of raw and squashed actions are equal, and raw ones need no inverse of tanh, which loses
    all digits near ±1.

    Attributes:
        mean, log_std: mean and log standard deviation of the raw action, `[..., action_size]`.
        squash: whether `unit` is tanh.
    """

    mean: jax.Array
    log_std: jax.Array
    squash: bool = struct.field(pytree_node=False)

    def sample(self, rng: jax.Array) -> jax.Array:
        """Draws a raw action, `[..., action_size]`."""
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(rng, self.mean.shape)

    def mode(self) -> jax.Array:
        """Returns the raw action without noise, `[..., action_size]`."""
        return self.mean

    def unit(self, raw: jax.Array) -> jax.Array:
        """Returns a raw action in the form of `Box.from_unit`: within ±1 if it is squashed."""
        return jnp.tanh(raw) if self.squash else raw

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Returns the log density of `unit(raw)` (of `raw` itself without squashing), `[...]`."""
        normal = -0.5 * jnp.square((raw - self.mean) * jnp.exp(-self.log_std)) - self.log_std - LOG_SQRT_TAU
        return (normal - self._log_slope(raw)).sum(axis=-1)

    def entropy(self) -> jax.Array:
        """Returns the differential entropy for the density of `log_prob`, by quadrature if squashed, `[...]`."""
        entropy = self.log_std + 0.5 + LOG_SQRT_TAU
        if self.squash:
            raw = self.mean[..., None] + jnp.exp(self.log_std)[..., None] * NODES.astype(np.float32)
            entropy += self._log_slope(raw) @ (WEIGHTS / np.sqrt(2 * np.pi)).astype(np.float32)
        return entropy.sum(axis=-1)

    def _log_slope(self, raw: jax.Array) -> jax.Array:
        return log_tanh_slope(raw) if self.squash else jnp.zeros_like(raw)


class Categorical(struct.PyTreeNode):
    """Independent discrete choices. Samples are the choices themselves, int32.

    Attributes:
        logits: unnormalised log probabilities, those of the first choice first, `[..., sum(categories)]`.
        categories: the number of options of each choice.
    """

    logits: jax.Array
    categories: tuple[int, ...] = struct.field(pytree_node=False)

    def sample(self, rng: jax.Array) -> jax.Array:
        """Draws random choices, `[..., action_size]`, by the largest of Gumbel-perturbed logits."""
        return self.replace(logits=self.logits + jax.random.gumbel(rng, self.logits.shape)).mode()

    def mode(self) -> jax.Array:
        """Returns the most likely choices, `[..., action_size]`; of several the first."""
        return jnp.stack([part.argmax(axis=-1).astype(jnp.int32) for part in self._log_probs()], axis=-1)

    def unit(self, raw: jax.Array) -> jax.Array:
        """Returns the choices as they are."""
        return raw

    def log_prob(self, raw: jax.Array) -> jax.Array:
        """Returns the log probability of choices `[..., action_size]`, `[...]`."""
        parts = [
            jnp.take_along_axis(part, raw[..., place, None], axis=-1)[..., 0]
            for place, part in enumerate(self._log_probs())
        ]
        return jnp.stack(parts).sum(axis=0)

    def entropy(self) -> jax.Array:
        """Returns the joint entropy of all choices, nat, `[...]`."""
        return jnp.stack([-(jnp.exp(part) * part).sum(axis=-1) for part in self._log_probs()]).sum(axis=0)

    def probabilities(self) -> jax.Array:
        """Returns the probabilities of all options, those of the first choice first, `[..., sum(categories)]`."""
        return jnp.exp(jnp.concatenate(self._log_probs(), axis=-1))

    def _log_probs(self) -> list[jax.Array]:
        """Returns the log probabilities of each choice's options, `[..., categories]`."""
        cuts = np.cumsum(self.categories)[:-1].tolist()
        return [jax.nn.log_softmax(part, axis=-1) for part in jnp.split(self.logits, cuts, axis=-1)]


@jax.custom_jvp
def log_tanh_slope(x: jax.Array) -> jax.Array:
    """Returns `log(d tanh(x) / dx)`, precise for all x: `-2 log cosh x` without its overflow."""
    size = jnp.abs(x)
    return 2 * (np.float32(np.log(2)) - size - jnp.log(1 + jnp.exp(-2 * size)))


@log_tanh_slope.defjvp
def _log_tanh_slope_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return log_tanh_slope(primals[0]), -2 * jnp.tanh(primals[0]) * tangents[0]
