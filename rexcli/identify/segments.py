"""Where the simulations of a recorded episode begin, and which part of it is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segments:
    """Where simulations begin: supervisor steps, the first of each episode is 0.

    Attributes:
        begin: `[episodes, segments]`, those that are fitted first; past an episode's last the number of its steps.
        of_step: which segment each supervisor step belongs to, `[episodes, steps]`.
        fitted: how many of the segments are.
    """

    begin: np.ndarray
    of_step: np.ndarray
    fitted: int

    @property
    def held_out(self) -> int:
        return self.begin.shape[1] - self.fitted

    @classmethod
    def of(cls, steps: np.ndarray, length: int | None, held_out: float) -> Segments:
        """Of so many steps each, in what is fitted and in what is held out, the last of either longer; if `length` is
        None, one that goes on through both.

        Args:
            steps: of each episode, `[episodes]`.
            length: of a segment.
            held_out: share of each episode, at its end.
        """
        number = np.arange(int(steps.max()))
        if length is None:
            return cls(np.zeros((len(steps), 1), int), np.zeros((len(steps), len(number)), int), 1)
        fitted = fitted_steps(steps, held_out)
        parts, of_step, count = [], np.zeros((len(steps), len(number)), int), 0
        for first, size in ((np.zeros_like(steps), fitted), (fitted, steps - fitted)):
            here = np.maximum(size // length, size > 0)[:, None]
            each = np.arange(here.max())
            parts.append(np.where(each < here, first[:, None] + each * length, steps[:, None]))
            inside = (number >= first[:, None]) & (number < (first + size)[:, None])
            of_step = np.where(inside, count + np.minimum((number - first[:, None]) // length, here - 1), of_step)
            count += len(each)
        return cls(np.concatenate(parts, axis=1), of_step, parts[0].shape[1])


def fitted_steps(steps: np.ndarray, held_out: float) -> np.ndarray:
    """How many supervisor steps of each episode are fitted, `[episodes]`."""
    return np.asarray(np.maximum(1, np.round(steps * (1 - held_out)).astype(int)))
