"""A delay that is a parameter of an episode, not of the timeline: to randomise, to sweep, or to find by gradients."""

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
    """A constant communication delay that each episode sets for itself, between `low` and `high`.

    The timeline is simulated with `low`, and recordings and pictures show it so. At a step that starts at `ts`, the
    reader sees the last `window` messages with `ts_sent + delay <= ts` (`<` if the edge has `skip`), as if the timeline
    had had that delay. So another value needs neither another timeline nor another compilation, and every environment
    of a batch may have its own. Only for edges that neither block nor buffer.

    The value is what `init(..., delays={node: {input: seconds}})` gives, else what the reader's `init_delays` gives,
    else `value`, else `low`. It is held in `graph_state.delays[node][input]` and clipped to `low … high` where it is
    used, so beyond them its gradient is zero.

    On the wall clock delays are what they are: messages are read as they come, and the value has no effect. A program
    that is compiled from such a recording has the value in place of what was measured.

    Where nothing else is declared, the edge's `expected_delay` is `high`: a reader without `skip` is scheduled for
    when the message of the same tick is there at any value.

    Args:
        low, high: seconds.
        value: seconds, between them; `low` if None.
        interpolation: `latest` sees messages as they were sent. `linear` sees what lies between two of them at
            `ts - delay`, in every float and in `ts_sent`, so that there is a gradient with respect to the delay;
            the whole window slides by the same share of a message. Integers, booleans and keys are the older
            message's, and so is `seq`. The newest message in reach, which has no newer beside it, is held.
            `hold` sees, in every float and in `ts_sent`, the mean over the period that begins with the step, each
            message being held until the next one is `delay` seconds old: what a node that integrates its period needs
            of a command that changes in it, with a gradient too. All else is that of the message that holds at the
            start. A message counts from `low` on: one that changes the mean of a period within which it arrives is
            there in time if the delay is `low` and a period of the reader, or more.
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
        """`high`, within which it stays, whatever its value."""
        return self.high

    def cdf(self, seconds: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return (np.asarray(seconds) >= self.value).astype(np.float64)


def linear_share(older: Any, newer: Any, delay: Any) -> Any:
    """How far between two messages the moment `delay` seconds ago lies, 0 to 1; 0 if there is no newer one.

    Args:
        older, newer: seconds since they were sent; the same if there is no newer one.
        delay: seconds, between them.
    """
    span = older - newer
    return jnp.where(span > 0, (older - delay) / jnp.where(span > 0, span, 1.0), 0.0)


def blend(older: PyTree, newer: PyTree, share: Any) -> PyTree:
    """Between two messages, `share` of the way to the newer; of what is no float, the older.

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
    """For how much of the reader's period each message holds, `[messages]`, in all 1.

    Args:
        age: seconds since messages were sent when the period begins, oldest first, `[messages]`; the oldest one holds
            already.
        delay: seconds, of all.
        period: seconds.
    """
    begin = jnp.clip(delay - age, 0.0, period).at[0].set(0.0)
    return jnp.diff(begin, append=period) / period


def hold(messages: Any, shares: Any, window: int) -> Any:
    """A window of means of messages, each of as many as there are shares, and one message later than the mean before.

    Args:
        messages: floats `[window - 1 + len(shares), ...]`.
        shares: of the messages of each mean.
        window: how many means.
    """
    parts = jnp.stack([messages[place : place + len(shares)] for place in range(window)])
    return jnp.tensordot(parts, shares.astype(parts.dtype), axes=((1,), (0,)))


def hold_floats(seen: PyTree, messages: PyTree, shares: Any) -> PyTree:
    """What holds at a step's start, with means in place of its floats, see `hold`.

    Args:
        seen: leaves `[window, ...]`.
        messages: leaves `[window - 1 + len(shares), ...]`.
        shares: of the messages of each mean.
    """
    return jax.tree.map(
        lambda a, b: hold(b, shares, len(a)) if jnp.issubdtype(a.dtype, jnp.inexact) else a, seen, messages
    )
