"""Defines which messages an edge loses: independently, or in bursts as in networks.

Losses are drawn separately from delays: an edge with losses has the same delays as without.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.spec import wrong_loss

Flags = npt.NDArray[np.bool_]


class Loss(ABC):
    """A model of the losses of messages on an edge.

    Attributes:
        share: mean share of the messages that are lost.
    """

    share: float

    @abstractmethod
    def sample(self, rng: np.random.Generator, num: int) -> Flags:
        """Returns which of the first `num` messages of an episode are lost, `[num]`. More messages extend fewer."""

    def sample_episodes(self, name: str, seed: int, episodes: npt.NDArray[np.integer], num: int) -> Flags:
        """Returns which of `num` messages of edge `name` are lost, `[len(episodes), num]`; rows depend on their episode
        only."""
        key = zlib.crc32(f"loss {name}".encode())
        return np.stack([self.sample(np.random.default_rng([seed % 2**64, key, int(each)]), num) for each in episodes])


class IndependentLoss(Loss):
    """Every message is lost with the same probability, independently of the others: `loss: 0.02` in YAML.

    Args:
        share: share of the messages that are lost, 0 to 1.
    """

    def __init__(self, share: float):
        if fix := wrong_loss(share):
            raise RexError(f"loss {share}: {fix}")
        self.share = float(share)

    def __repr__(self) -> str:
        return f"{100 * self.share:.3g}% lost"

    def sample(self, rng: np.random.Generator, num: int) -> Flags:
        return rng.random(num) < self.share


class GilbertElliott(Loss):
    """Messages are lost in bursts: a link is good most of the time, and occasionally bad for a while.

    This is the model of Gilbert (1960) and Elliott (1963): a Markov chain of two states with one step per message,
    which begins in its stationary distribution.

    Args:
        share: mean share of the messages that are lost, between 0 and 1.
        burst: mean number of messages for which the link stays bad. If a bad link loses all messages and a good one
            none, it is the mean number of losses in a row.
        lost_in_burst: share of the messages that a bad link loses.
        lost_between: share of the messages that a good link loses.
    """

    def __init__(self, share: float, burst: float, lost_in_burst: float = 1.0, lost_between: float = 0.0):
        for name, value in (("share", share), ("lost_in_burst", lost_in_burst), ("lost_between", lost_between)):
            if fix := wrong_loss(value):
                raise RexError(f"loss: {name} {value}: {fix}")
        if not lost_between < share < lost_in_burst:
            raise RexError(
                f"loss: share {share:g}: give more than lost_between={lost_between:g} and less than "
                f"lost_in_burst={lost_in_burst:g}"
            )
        self.share, self.burst = float(share), float(burst)
        self.lost_in_burst, self.lost_between = float(lost_in_burst), float(lost_between)
        bad = (share - lost_between) / (lost_in_burst - lost_between)
        least = 1 / (1 - bad)
        if not (np.isfinite(burst) and burst >= least * (1 - 1e-9)):
            raise RexError(
                f"loss: burst {burst:g}: give {least:.6g} messages or more; so long are bursts where each message is "
                "lost by itself"
            )
        self._bad = bad
        self._ends = 1 / burst
        self._begins = self._ends * bad / (1 - bad)

    def __repr__(self) -> str:
        partly = "" if (self.lost_in_burst, self.lost_between) == (1.0, 0.0) else " (of which not all are lost)"
        return f"{100 * self.share:.3g}% lost, in bursts of {self.burst:.3g}{partly}"

    def sample(self, rng: np.random.Generator, num: int) -> Flags:
        chain, fate = rng.random((num, 2)).T
        # A low number makes the link bad and a high one good, whatever its state; one in between keeps the state.
        turns = np.where(chain < self._begins, 1, np.where(chain >= 1 - self._ends, 0, -1))
        turns[:1] = chain[:1] < self._bad
        bad = turns[np.maximum.accumulate(np.where(turns < 0, 0, np.arange(num)))] == 1
        return fate < np.where(bad, self.lost_in_burst, self.lost_between)


def as_loss(value: Any) -> Loss:
    """Converts what the user declares to a `Loss`: a share of the messages, or a `Loss`.

    Raises:
        RexError: for anything else.
    """
    if isinstance(value, Loss):
        return value
    if wrong_loss(value):
        raise RexError(f"loss {value!r}: give a share of the messages, 0 to 1, or rexcli.GilbertElliott")
    return IndependentLoss(value)
