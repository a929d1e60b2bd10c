"""Writes the steps of a stepper to a recording, as they happen."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from rexcli.runs.recording import RecordingWriter
from rexcli.system.paths import leaf_paths
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System
from rexcli.system.types import is_key
from rexcli.timeline.timeline import Timeline

PyTree = Any


class Recorder:
    """A `Listener` that appends every step, and the messages that it sends, to an MCAP file.

    Args:
        writer: the writer of the recording.
        system: the system, whose record settings select the recorded fields.
        timeline: the timeline of the steps.
    """

    def __init__(self, writer: RecordingWriter, system: System, timeline: Timeline):
        self._writer = writer
        self._system = system
        self._timeline = timeline
        self._episode = 0

    def begin(self, episode: int, graph_state: GraphState) -> None:
        self._episode = episode

    def step(self, node: str, seq: int, before: StepState, after: StepState, output: PyTree) -> None:
        keep = self._system.specs[node].record
        fields: dict[str, dict[str, np.ndarray]] = {}
        if keep.params:
            fields["params"] = arrays(after.params)
        if keep.inputs:
            fields["inputs"] = arrays(dict(before.inputs))
        if keep.state:
            fields["state"] = arrays(after.state)
        if keep.output:
            fields["output"] = arrays(output)
        self._write(node, seq, fields)

    def end(self, episode: int, seq: int) -> None:
        self._write(self._system.supervisor, seq, {})

    def _write(self, node: str, seq: int, fields: dict[str, dict[str, np.ndarray]]) -> None:
        episode, steps = self._episode, self._timeline.steps[node]
        sent = int(steps.end[episode, seq])
        self._writer.step(episode, node, seq, int(steps.start[episode, seq]), sent, fields)
        for edge in self._timeline.spec.outputs(node):
            messages = self._timeline.messages[edge.name]
            arrive, reader = int(messages.arrive[episode, seq]), int(messages.reader[episode, seq])
            self._writer.message(episode, edge.name, seq, sent, arrive, reader)


def arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """Returns the leaves as NumPy arrays by key path; PRNG keys as their data."""
    return {path: _numpy(leaf) for path, leaf in leaf_paths(tree).items()}


def _numpy(leaf: Any) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
