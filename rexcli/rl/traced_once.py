"""Functions of which a loop has to know, before it runs them, what shapes they return.

Tracing is what a second start of a training waits for, once XLA's results are in its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

PyTree = Any
Given = ParamSpec("Given")
Result = TypeVar("Result")


def traced_once(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """`function`, traced once for all calls with arguments of the same shapes, and for those who ask for the shapes of
    its result; it leaves no mark in the program of its caller.

    Use it on a function that is made anew in each trace, such as one inside the function that is traced.
    """
    return jax.jit(function, inline=True)


def zeros_of_result(function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """Zeros of the shapes and types that `function` returns; only shapes and types of the arguments are looked at."""
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments))
