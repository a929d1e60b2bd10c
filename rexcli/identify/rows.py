"""Pairs simulated values with the recorded values that they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rexcli.identify.recorded import Signal
from rexcli.identify.segments import Segments, fitted_steps


@dataclass(frozen=True)
class Rows:
    """Every comparison of a simulated value with a recorded one.

    Attributes:
        places: indices of the simulated values, by signal.
        signal, episode, step, segment: what each row belongs to, `[rows]`.
        time: when the value was sensed, s, `[rows]`.
        recorded: the recorded value, `[rows]`.
        angle: whether the value is an angle, `[rows]`.
        fitted: whether the row is fitted, not held out, `[rows]`.
    """

    places: list[np.ndarray]
    signal: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    segment: np.ndarray
    time: np.ndarray
    recorded: np.ndarray
    angle: np.ndarray
    fitted: np.ndarray

    @property
    def size(self) -> int:
        return len(self.signal)

    @classmethod
    def of(
        cls,
        steps: np.ndarray,
        signals: Sequence[Signal],
        ticks: Sequence[tuple[np.ndarray, np.ndarray]],
        segments: Segments,
        held_out: float,
    ) -> Rows:
        """Pairs what was recorded with what the supervisor's steps see.

        Args:
            steps: number of supervisor steps of each episode, `[episodes]`.
            signals: the recorded signals.
            ticks: sequence number and time, s, of what each step simulates, by signal, `[episodes, steps, window]`.
            segments: the segments into which episodes are cut.
            held_out: the share of each episode, at its end, that is not fitted.
        """
        columns: dict[str, list[np.ndarray]] = {}
        places = []
        for index, (signal, (seq, ts)) in enumerate(zip(signals, ticks, strict=True)):
            episode, step, _ = np.indices(seq.shape)
            tick = np.clip(seq, 0, signal.values.shape[1] - 1)
            there = (seq >= 0) & (step < steps[:, None, None]) & signal.there[episode, tick]
            width = signal.values.shape[2]
            place = np.flatnonzero(np.repeat(there.ravel(), width))
            places.append(place)
            fitted = step < fitted_steps(steps, held_out)[:, None, None]
            repeated = {
                "signal": np.full(seq.shape, index),
                "episode": episode,
                "step": step,
                "segment": segments.of_step[episode, step],
                "time": ts,
                "angle": np.full(seq.shape, signal.angle),
                "fitted": fitted,
            }
            for name, values in repeated.items():
                columns.setdefault(name, []).append(np.repeat(values[there], width))
            columns.setdefault("recorded", []).append(signal.values[episode, tick].reshape(-1)[place])
        return cls(places, **{name: np.concatenate(parts) for name, parts in columns.items()})
