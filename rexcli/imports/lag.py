"""Estimates how long after a command its response is seen, if no stamp tells when the command arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.timeline import Times

ENOUGH = 20
"""Least number of responses from which a lag can be estimated."""
ALIKE = 0.5
"""Least correlation at which a signal counts as the response to a command."""
STEP = 1_000_000
"""Step between the lags that are tried, ns."""
MOST = 20_000
"""Most responses that are used."""


@dataclass(frozen=True)
class Lag:
    """A constant lag.

    Attributes:
        lag: the lag, ns: the middle of all lags that pair every response with the same command; if both are noted at
            the same instants (frames), the longest of them, a whole number of frames.
        shortest: the shortest of these lags, ns.
        correlation: correlation between response and command at the lag.
    """

    lag: int
    shortest: int
    correlation: float


def estimate(sent: Times, commands: npt.ArrayLike, seen: Times, responses: npt.ArrayLike, longest: int) -> Lag:
    """Returns the lag at which responses correlate most with the newest command that is as old, at any scale.

    A command holds until the next one. The time that the response itself needs (such as a motor that starts to move) is
    part of the lag.

    Args:
        sent: times of the commands, ns, ascending, `[commands]`.
        commands, responses: the numbers, `[commands]` and `[responses]`.
        seen: times of the responses, ns, ascending, `[responses]`.
        longest: the longest lag that is tried, ns.

    Raises:
        RexError: a signal is constant or too short, or the two do not resemble each other.
    """
    command, response = np.asarray(commands, np.float64), np.asarray(responses, np.float64)
    for what, values in (("command", command), ("response", response)):
        if values.ndim != 1:
            raise RexError(f"{what} has {list(values.shape[1:])} numbers a message; name one of them, as position[0]")
        if not np.isfinite(values).all():
            raise RexError(f"{what} is not finite everywhere")
        if len(values) and np.ptp(values) <= 1e-12 * np.abs(values).max():
            raise RexError(f"{what} is constant, {values[0]:g}: a lag shows only in what changes")
    inside = (seen >= (sent[0] + longest if len(sent) else 0)) & (seen <= (sent[-1] if len(sent) else -1))
    if inside.sum() < ENOUGH:
        raise RexError(
            f"{int(inside.sum())} responses between the first command (and max={longest / 1e9:g} s) and the last are "
            f"too few: {ENOUGH} are needed; give a smaller max, or a longer log"
        )
    every = -(-int(inside.sum()) // MOST)
    seen, response = seen[inside][::every], response[inside][::every]
    if np.ptp(response) <= 1e-12 * np.abs(response).max():
        raise RexError(f"response is constant, {response[0]:g}: a lag shows only in what changes")
    tried = np.arange(0, longest + 1, STEP)
    scores = np.array([_correlation(command[_newest(sent, seen, lag)], response) for lag in tried.tolist()])
    first = best = int(np.argmax(np.abs(scores)))
    while best + 1 < len(tried) and abs(scores[best + 1]) >= abs(scores[first]) - 1e-12:
        best += 1
    if abs(scores[best]) < ALIKE:
        raise RexError(
            f"command and response do not resemble each other (correlation {scores[best]:.2f} at most, within "
            f"{longest / 1e9:g} s); name the two signals of which one follows the other"
        )
    upper = int((seen - sent[_newest(sent, seen, int(tried[best]))]).min())
    index = _newest(sent, seen, int(tried[first]))
    following = np.minimum(index + 1, len(sent) - 1)
    lower = int(np.where(index == len(sent) - 1, 0, seen - sent[following] + 1).max())
    if upper >= longest:
        raise RexError(f"no lag up to {longest / 1e9:g} s explains the response best; give a larger max")
    lower = min(max(0, lower), upper)
    found = upper if np.isin(seen, sent).all() else (upper + lower) // 2
    return Lag(found, lower, float(scores[best]))


def _newest(sent: Times, seen: Times, lag: int) -> Times:
    """Returns the index of the newest command sent `lag` or more before each response."""
    return np.maximum(np.searchsorted(sent, seen - lag, side="right") - 1, 0)


def _correlation(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
