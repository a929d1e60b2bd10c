"""Cuts recorded episodes into segments, each simulated from its own start, and splits off the part that is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segments:
    """The supervisor steps at which simulations begin, counted from 0 in each episode.

    Attributes:
        begin: first step of each segment, `[episodes, segments]`, fitted segments first; past an episode's last
            segment, the number of its steps.
        of_step: the segment of each supervisor step, `[episodes, steps]`.
        fitted: number of fitted segments.
    """

    begin: np.ndarray
    of_step: np.ndarray
    fitted: int

    @property
    def held_out(self) -> int:
        return self.begin.shape[1] - self.fitted

    @classmethod
    def of(cls, steps: np.ndarray, length: int | None, held_out: float) -> Segments:
        """Cuts the fitted and the held-out part of each episode into segments of `length` steps.

        The last segment of either part takes the remaining steps. If `length` is None, a single segment spans both
        parts.

        Args:
            steps: number of supervisor steps of each episode, `[episodes]`.
            length: supervisor steps of a segment.
            held_out: share of each episode, at its end, that is held out.
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
    """Returns how many supervisor steps of each episode are fitted, `[episodes]`."""
    return np.asarray(np.maximum(1, np.round(steps * (1 - held_out)).astype(int)))
