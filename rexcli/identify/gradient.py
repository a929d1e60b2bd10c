"""Follows gradients through the compiled program from many starts at once (Optax's Adam)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.identify.optimizer import Optimizer, Optimum, Search
from rexcli.identify.problem import HUGE, Problem

PyTree = Any


class Gradient(Optimizer):
    """Adam on the loss, from many starts in one batch; the code of nodes must be differentiable.

    Args:
        restarts: number of starts: the declared one and others spread over the bounds.
        iterations: per start.
        lr: learning rate in coordinates from 0 to 1; it decays to 0 along a cosine.
    """

    slopes = True

    def __init__(self, restarts: int = 16, iterations: int = 150, lr: float = 0.03):
        if restarts < 1 or iterations < 1 or not lr > 0:
            raise RexError(
                f"identify.optimizer: restarts={restarts}, iterations={iterations}, lr={lr:g}: give 1 or more restarts "
                "and iterations, and a positive learning rate"
            )
        self.restarts, self.iterations, self.lr = restarts, iterations, lr

    def minimize(self, search: Search) -> Optimum:
        import optax

        problem = search.problem
        problem.rows  # noqa: B018 - made before anything is traced
        slope = jax.jit(jax.vmap(jax.value_and_grad(_loss_of(problem), argnums=2), (None, None, 0)))
        adam = optax.adam(optax.cosine_decay_schedule(self.lr, self.iterations))
        low, high = jnp.asarray(problem.lower()), jnp.asarray(problem.upper())
        z = jnp.asarray(np.clip(search.scattered(self.restarts), problem.lower(), problem.upper()), jnp.float32)
        moments, best = adam.init(z), Optimum(np.asarray(z[0]), np.inf)

        @jax.jit
        def move(z: jax.Array, grads: jax.Array, moments: PyTree) -> tuple[jax.Array, PyTree]:
            grads = jnp.where(jnp.isfinite(grads), grads, 0.0)
            grads = grads / jnp.maximum(1e-12, jnp.linalg.norm(grads, axis=-1, keepdims=True))
            steps, moments = adam.update(grads, moments, z)
            return jnp.clip(z + steps, low, high), moments

        for iteration in range(self.iterations):
            costs, grads = slope(problem.program, problem._data, z)
            problem.rollouts += self.restarts * problem.timeline.num_episodes
            found = np.nan_to_num(np.asarray(costs, np.float64), nan=HUGE**2)
            if found.min() < best.cost:
                best = Optimum(np.asarray(z[int(found.argmin())], np.float64), float(found.min()))
            z, moments = move(z, grads, moments)
            search.note(best.cost, (iteration + 1) / self.iterations)
        return search.check(best)


def _loss_of(problem: Problem) -> Any:
    """Returns the mean loss of a candidate as a JAX function that equals `Problem.cost`."""
    rows = problem.rows
    weights, scale = problem.weights[rows.signal], problem.loss_scale
    recorded, angle, fitted = jnp.asarray(rows.recorded), jnp.asarray(rows.angle), jnp.asarray(rows.fitted)

    def loss(program: PyTree, data: PyTree, z: jax.Array) -> jax.Array:
        episodes = jnp.arange(problem.timeline.num_episodes, dtype=jnp.int32)
        _, values = jax.lax.map(lambda eps: problem.one(program, data, z, eps), episodes)
        picked = [value.reshape(-1)[place] for value, place in zip(values, rows.places, strict=True)]
        difference = jnp.concatenate(picked) - recorded
        difference = jnp.where(angle, (difference + jnp.pi) % (2 * jnp.pi) - jnp.pi, difference)
        errors = difference * weights / scale
        square = errors**2
        if problem.loss == "huber":
            square = jnp.where(square <= 1, square, 2 * jnp.sqrt(jnp.maximum(square, 1.0)) - 1)
        elif problem.loss == "soft_l1":
            square = 2 * (jnp.sqrt(1 + square) - 1)
        elif problem.loss == "cauchy":
            square = jnp.log1p(square)
        return jnp.sum(jnp.where(fitted, square * scale**2, 0.0)) / fitted.sum()

    return loss
