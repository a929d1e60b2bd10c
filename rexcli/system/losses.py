"""Which messages an edge loses: each by itself, or in bursts as networks do.

Losses are drawn apart from delays: an edge that loses messages has the delays that it would have without.
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
    """How an edge loses messages.

    Attributes:
        share: of the messages that are lost on average.
    """

    share: float

    @abstractmethod
    def sample(self, rng: np.random.Generator, num: int) -> Flags:
        """Which of the first `num` messages of an episode are lost, `[num]`. More messages extend fewer."""

    def sample_episodes(self, name: str, seed: int, episodes: npt.NDArray[np.integer], num: int) -> Flags:
        """`num` messages of each of `episodes` of edge `name`, `[len(episodes), num]`; a row depends on its episode
        alone."""
        key = zlib.crc32(f"loss {name}".encode())
        return np.stack([self.sample(np.random.default_rng([seed % 2**64, key, int(each)]), num) for each in episodes])


class IndependentLoss(Loss):
    """Every message is lost with the same probability, whatever became of the others: `loss: 0.02` in YAML.

    Args:
        share: of the messages, 0 to 1.
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
    """Messages are lost in bursts: a link that is good most of the time, and now and then bad for a while.

    The model of Gilbert (1960) and Elliott (1963): a Markov chain of two states, one step a message, that begins in its
    stationary distribution.

    Args:
        share: of the messages that are lost on average, between 0 and 1.
        burst: how many messages the link stays bad for on average. Where a bad link loses all messages and a good one
            none, it is how many are lost in a row.
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
        # A low number makes the link bad and a high one good, whatever it was; one between the two leaves it.
        turns = np.where(chain < self._begins, 1, np.where(chain >= 1 - self._ends, 0, -1))
        turns[:1] = chain[:1] < self._bad
        bad = turns[np.maximum.accumulate(np.where(turns < 0, 0, np.arange(num)))] == 1
        return fate < np.where(bad, self.lost_in_burst, self.lost_between)


def as_loss(value: Any) -> Loss:
    """A `Loss` from what a person declares: a share of the messages, or a `Loss`.

    Raises:
        RexError: for anything else.
    """
    if isinstance(value, Loss):
        return value
    if wrong_loss(value):
        raise RexError(f"loss {value!r}: give a share of the messages, 0 to 1, or rexcli.GilbertElliott")
    return IndependentLoss(value)
