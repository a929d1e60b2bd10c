"""Which simulated value is compared with which recorded one."""

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
        places: by signal, where its simulated values are.
        signal, episode, step, segment: of each row, `[rows]`.
        time: when the value was sensed, s, `[rows]`.
        recorded: `[rows]`.
        angle: `[rows]`.
        fitted: whether it is fitted and not held out, `[rows]`.
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
        """Compares what was recorded with what the supervisor's steps see.

        Args:
            steps: of each episode, `[episodes]`.
            signals: what was recorded.
            ticks: by signal, `seq` and time in s of what each step simulates, `[episodes, steps, window]`.
            segments: into which the episodes are cut.
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
