"""Defines a delay that is a parameter of an episode, not of the timeline: to randomise, to sweep or to optimise."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.system.delays import Constant

PyTree = Any
Interpolation = Literal["latest", "linear", "hold"]


class AdjustableDelay(Constant):
    """A constant communication delay between `low` and `high` that each episode sets for itself.

    The timeline is simulated with `low`, as recordings and pictures show. At a step that starts at `ts`, the reader
    sees the last `window` messages with `ts_sent + delay <= ts` (`<` if the edge has `skip`), as if the timeline had
    that delay. So another value needs neither another timeline nor another compilation, and every environment of a
    batch may have its own. It is only for edges that neither block nor buffer.

    The value is taken from `init(..., delays={node: {input: seconds}})`, else from the reader's `init_delays`, else it
    is `value`, else `low`. It is stored in `graph_state.delays[node][input]` and clipped to `low … high` where it is
    used, so its gradient is zero outside.

    On the wall clock delays are real: messages are read as they arrive, and the value has no effect. A program that is
    compiled from such a recording uses the value instead of the measured delays.

    Unless declared otherwise, the edge's `expected_delay` is `high`: a reader without `skip` is scheduled for a time
    when the message of the same tick has arrived at any value.

    Args:
        low, high: seconds.
        value: seconds, between them; `low` if None.
        interpolation: `latest` sees messages as they were sent. `linear` interpolates every float and `ts_sent` between
            two messages at `ts - delay`, so that there is a gradient with respect to the delay; the whole window is
            shifted by the same share of a message. Integers, booleans and keys are those of the older message, and so
            is `seq`. If there is no newer message in the timeline's window, the newest is held. With `hold`, every
            float and `ts_sent` are the mean over the period that begins with the step, where each message is held until
            the next one is `delay` seconds old: a node that integrates over its period needs this for a command that
            changes within it; it has a gradient too. All other leaves are those of the message that holds at the start.
            A message can be used from `low` on: one that arrives within a period and changes its mean is available in
            time if the delay is at least `low` plus a period of the reader.
    """

    def __init__(self, low: float, high: float, value: float | None = None, interpolation: Interpolation = "latest"):
        if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high):
            raise RexError(f"delay from {low:g} to {high:g} s: give low, 0 or more, and a greater high; seconds")
        if value is not None and not low <= value <= high:
            raise RexError(f"delay from {low:g} to {high:g} s: value {value:g}: give a number of seconds between them")
        if interpolation not in get_args(Interpolation):
            raise RexError(f"delay: interpolation '{interpolation}': give 'latest', 'linear' or 'hold'")
        super().__init__(low)
        self.low, self.high = float(low), float(high)
        self.value = self.low if value is None else float(value)
        self.interpolation = interpolation

    def __repr__(self) -> str:
        between = {"latest": "", "linear": ", interpolated", "hold": ", held in between"}[self.interpolation]
        return f"{self.value:g} s, adjustable from {self.low:g} to {self.high:g} s{between}"

    def quantile(self, share: float) -> float:
        """Returns `high`, which the delay never exceeds, whatever its value."""
        return self.high

    def cdf(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return (np.asarray(seconds) >= self.value).astype(np.float64)


def linear_share(older: Any, newer: Any, delay: Any) -> Any:
    """Returns where between two messages the time `delay` seconds ago lies, 0 to 1; 0 if there is no newer message.

    Args:
        older, newer: seconds since they were sent; the same if there is no newer one.
        delay: seconds, between them.
    """
    span = older - newer
    return jnp.where(span > 0, (older - delay) / jnp.where(span > 0, span, 1.0), 0.0)


def blend(older: PyTree, newer: PyTree, share: Any) -> PyTree:
    """Interpolates between two messages, `share` of the way to the newer; leaves that are not floats are the older's.

    Args:
        older, newer: the same structure, leaves `[...]` or `[messages, ...]`.
        share: float32, `[]` or `[messages]`.
    """

    def leaf(a: Any, b: Any) -> Any:
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            return a
        weight = jnp.reshape(share, (*np.shape(share), *[1] * (a.ndim - np.ndim(share))))
        return a + weight.astype(a.dtype) * (b - a)

    return jax.tree.map(leaf, older, newer)


def hold_shares(age: Any, delay: Any, period: float) -> Any:
    """Returns for which share of the reader's period each message holds, `[messages]`; the shares sum to 1.

    Args:
        age: seconds since messages were sent when the period begins, oldest first, `[messages]`; the oldest one already
            holds then.
        delay: the delay of all messages, seconds.
        period: the period of the reader, seconds.
    """
    begin = jnp.clip(delay - age, 0.0, period).at[0].set(0.0)
    return jnp.diff(begin, append=period) / period


def hold(messages: Any, shares: Any, window: int) -> Any:
    """Returns a window of weighted means over successive messages; each mean begins one message later than the previous
    one.

    Args:
        messages: floats `[window - 1 + len(shares), ...]`.
        shares: the weights of the messages of each mean.
        window: number of means.
    """
    parts = jnp.stack([messages[place : place + len(shares)] for place in range(window)])
    return jnp.tensordot(parts, shares.astype(parts.dtype), axes=((1,), (0,)))


def hold_floats(seen: PyTree, messages: PyTree, shares: Any) -> PyTree:
    """Returns the messages that hold at a step's start, with their floats replaced by means, see `hold`.

    Args:
        seen: leaves `[window, ...]`.
        messages: leaves `[window - 1 + len(shares), ...]`.
        shares: the weights of the messages of each mean.
    """
    return jax.tree.map(
        lambda a, b: hold(b, shares, len(a)) if jnp.issubdtype(a.dtype, jnp.inexact) else a, seen, messages
    )
