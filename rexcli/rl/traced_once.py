"""Traces functions once for the loops that need the shapes of their results before they run them.

Tracing takes most of the time of a second start of a training, when XLA's results are in its cache.
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
    """Returns `function`, traced only once for all calls with arguments of equal shapes, and for the shapes of its
    result. It is inlined into the program of its caller.

    Use it on a function that is defined anew in each trace, such as one inside the traced function.
    """
    return jax.jit(function, inline=True)


def zeros_of_result(function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """Returns zeros of the shapes and types that `function` returns; only shapes and types of the arguments
    are used.
    """
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, *arguments))
