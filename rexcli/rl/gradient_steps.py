"""Makes the gradient steps of one update: epochs over the samples, early stopping, and an adaptive learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from rexcli.config.schema import PPOSettings
from rexcli.rl.algorithm import Metrics
from rexcli.rl.data_parallel import averaged, own_key
from rexcli.rl.traced_once import traced_once, zeros_of_result

PyTree = Any
Loss = Callable[[PyTree, PyTree], tuple[jax.Array, Metrics]]

LR_RANGE = (1e-5, 1e-2)
"""The range of an adaptive learning rate, as in rsl_rl (Rudin et al., 2022)."""


class TrainState(struct.PyTreeNode):
    """The state that gradient steps change.

    Attributes:
        params: parameters of the networks.
        optimizer: its state.
        lr: float32, the factor of the optimizer's update; None if the optimizer has its own learning rate.
    """

    params: PyTree
    optimizer: optax.OptState
    lr: jax.Array | None


def take_gradient_steps(
    at: TrainState,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    samples: PyTree,
    rng: jax.Array,
    settings: PPOSettings,
) -> tuple[TrainState, Metrics]:
    """Makes `update_epochs` passes over the samples, each in `num_minibatches` gradient steps in a new order.

    Args:
        at: the state to start from.
        loss: function of parameters and a minibatch; its metrics have `kl`, the divergence to the policy that
            collected.
        optimizer: computes the update from the gradient.
        samples: each leaf `[samples, ...]`; those of this device if `settings.devices_per_seed` share them.
        rng: PRNG key; draws the orders.
        settings: the settings of PPO.

    Returns:
        The final state, and means over the steps of the loss's metrics and of `grad_norm`. With `target_kl`, they are
        over the steps that were tried, and `gradient_steps` is the number of steps made; with `desired_kl`, `lr` is the
        learning rate after the last epoch.
    """
    number = len(jax.tree.leaves(samples)[0])

    def step(at: TrainState, minibatch: PyTree) -> tuple[TrainState, Metrics]:
        gradient, metrics = averaged(jax.grad(loss, has_aux=True)(at.params, minibatch), settings.devices_per_seed)
        change, state = optimizer.update(gradient, at.optimizer, at.params)
        if at.lr is not None:
            change = jax.tree.map(lambda leaf: at.lr * leaf, change)
        metrics["grad_norm"] = optax.tree.norm(gradient)
        return at.replace(params=optax.apply_updates(at.params, change), optimizer=state), metrics

    def stoppable(carry: PyTree, minibatch: PyTree) -> tuple[PyTree, Metrics]:
        """Makes a step unless the divergence is too large; then neither it nor any later step is made, as in
        Stable-Baselines3 (Raffin et al., 2021)."""
        at, stopped = carry
        limit = 1.5 * (0.0 if settings.target_kl is None else settings.target_kl)

        @traced_once
        def tried() -> tuple[PyTree, Metrics]:
            after, metrics = step(at, minibatch)
            far = metrics["kl"] > limit
            kept = jax.tree.map(lambda old, new: jnp.where(far, old, new), at, after)
            return (kept, far), metrics | {"tried": jnp.float32(1), "made": 1 - far.astype(jnp.float32)}

        def left_out() -> tuple[PyTree, Metrics]:
            return carry, zeros_of_result(tried)[1]

        return jax.lax.cond(stopped, left_out, tried)

    def epoch(carry: PyTree, rng: jax.Array) -> tuple[PyTree, Metrics]:
        at, stopped = carry
        order = random_order(own_key(rng, settings.devices_per_seed), number).reshape(settings.num_minibatches, -1)
        minibatches = jax.tree.map(lambda leaf: leaf[order], samples)
        if stopped is None:
            at, metrics = jax.lax.scan(step, at, minibatches)
        else:
            (at, stopped), metrics = jax.lax.scan(stoppable, (at, stopped), minibatches)
        if settings.desired_kl is not None and at.lr is not None:
            tried = jnp.maximum(metrics["tried"].sum(), 1) if "tried" in metrics else settings.num_minibatches
            at = at.replace(lr=adapted_lr(at.lr, metrics["kl"].sum() / tried, settings.desired_kl))
        return (at, stopped), metrics

    start = at, None if settings.target_kl is None else jnp.asarray(False)
    (at, _), metrics = jax.lax.scan(epoch, start, jax.random.split(rng, settings.update_epochs))
    means = jax.tree.map(jnp.mean, metrics)
    if settings.target_kl is not None:
        tried = means.pop("tried")
        del means["made"]
        means = {name: mean / tried for name, mean in means.items()} | {"gradient_steps": metrics["made"].sum()}
    if at.lr is not None:
        means["lr"] = at.lr
    return at, means


def adapted_lr(lr: jax.Array, kl: jax.Array, desired_kl: jax.Array | float) -> jax.Array:
    """Returns the learning rate after an epoch whose minibatches had a mean divergence `kl`.

    It is that of rl_games' `standard` schedule with rsl_rl's factor and range. It does not change after an epoch in
    which no step was tried, where `kl` is 0.
    """
    lower, higher = jnp.maximum(lr / 1.5, LR_RANGE[0]), jnp.minimum(lr * 1.5, LR_RANGE[1])
    return jnp.where(kl > 2 * desired_kl, lower, jnp.where((kl > 0) & (kl < desired_kl / 2), higher, lr))


def random_order(rng: jax.Array, number: int) -> jax.Array:
    """Returns a random permutation of `0 … number - 1`, int32.

    Sorting one array of integers, random bits above and index below, is several times as fast on CPU as
    `jax.random.permutation`. Two indices with equal bits keep their order, which is rare and irrelevant here.
    """
    index_bits = max(1, (number - 1).bit_length())
    if index_bits > 16:
        return jax.random.permutation(rng, number)
    low = jnp.uint32(2**index_bits - 1)
    keys = (jax.random.bits(rng, (number,), jnp.uint32) & ~low) | jnp.arange(number, dtype=jnp.uint32)
    return (jnp.sort(keys) & low).astype(jnp.int32)
