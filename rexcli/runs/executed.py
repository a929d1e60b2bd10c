"""Reads what the steps of a run held and when they ran, from its recording or its rollouts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rexcli.runs.view import RunView
from rexcli.timeline.spec import NANOSECONDS
from rexcli.timeline.timeline import Timeline

FIELDS = ("params", "inputs", "state", "output")

Values = dict[str, dict[str, npt.NDArray]]


@dataclass(frozen=True)
class Executed:
    """The executions of a system.

    Attributes:
        timeline: when everything happens.
        episode: the timeline's episode of each execution, `[executions]`.
        seq: tick of each step by node, `[executions, steps]`, -1 past the last.
        values: recorded values by node and `<field>/<key path>`, `[executions, steps, ...]`; empty if nothing was kept.
        without: why `values` is empty although the run has some.
    """

    timeline: Timeline
    episode: npt.NDArray[np.int64]
    seq: dict[str, npt.NDArray[np.int64]]
    values: Values
    without: str | None = None


def read_executed(run: RunView) -> Executed:
    """Reads the steps of `recording.mcap`, or of `rollouts.npz` if `timeline.npz` has their times, or times alone.

    Raises:
        RexError: the run has no timeline, or a file is damaged.
    """
    if run.has("recording.mcap"):
        recording = run.recording()
        timeline = recording.timeline()
        names = [node.name for node in timeline.spec.nodes]
        counts = {name: np.minimum(recording.counts(name), timeline.steps[name].count) for name in names}
        values = {
            name: {
                "/".join(filter(None, (field, path))): _numbers(array[:, : int(counts[name].max(initial=0))])
                for field in recording.fields(name)
                for path, array in recording.values(name, field).items()
            }
            for name in names
        }
        return Executed(timeline, np.arange(timeline.num_episodes), _seqs(counts), values)
    timeline = run.timeline()
    whole = {name: steps.count for name, steps in timeline.steps.items()}
    if run.has("rollouts.npz"):
        arrays = run.arrays("rollouts.npz")
        executed = _rollouts(timeline, arrays)
        if executed is not None:
            return executed
        why = "rollouts.npz rode other delays than timeline.npz has: export a run of `rex eval`"
        return Executed(timeline, np.arange(timeline.num_episodes), _seqs(whole), {}, why)
    return Executed(timeline, np.arange(timeline.num_episodes), _seqs(whole), {})


def _rollouts(timeline: Timeline, arrays: dict[str, npt.NDArray]) -> Executed | None:
    """Returns the rollouts as executions of `timeline`; None if their times are not those of the timeline."""
    episode = arrays["episode"]
    seqs = {name: arrays[f"{name}/seq"].astype(np.int64) for name in timeline.steps if f"{name}/seq" in arrays}
    for name, seq in seqs.items():
        start, ran = timeline.steps[name].start, seq >= 0
        if episode.max(initial=0) >= len(start) or seq.max(initial=0) >= start.shape[1]:
            return None
        there = start[episode[:, None], np.maximum(seq, 0)] / NANOSECONDS
        if not np.allclose(there[ran], arrays[f"{name}/ts"][ran], rtol=1e-6, atol=1e-6):
            return None
    values: Values = {
        name: {
            key.removeprefix(f"{name}/"): _numbers(array)
            for key, array in arrays.items()
            if key.partition("/")[0] == name and key.split("/")[1] in FIELDS
        }
        for name in seqs
    }
    return Executed(timeline, episode, seqs, values)


def _seqs(counts: dict[str, npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.int64]]:
    ticks = {name: np.arange(int(count.max(initial=0))) for name, count in counts.items()}
    return {name: np.where(ticks[name] < count[:, None], ticks[name], -1) for name, count in counts.items()}


def _numbers(array: npt.NDArray) -> npt.NDArray:
    """Converts numbers to common types: complex ones to two parts along a last axis, short floats to float32."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1)
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)
