"""Reads the recorded signals that a simulation is to reproduce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np

from rexcli.config.schema import SignalConfig
from rexcli.errors import RexError, suggest
from rexcli.identify.replay import recorded_output, stacked
from rexcli.runs.recording import Recording
from rexcli.timeline.timeline import Timeline

CONSTANT = 1e-7
"""Share of a signal's size; a signal that varies by less is constant."""


@dataclass(frozen=True)
class Signal:
    """One recorded output of a node.

    Attributes:
        name: its name, such as `sensor.th`.
        node, path: the node, and the key path in its output.
        values: the recorded values, float64 `[episodes, ticks, numbers]`.
        there: whether a finite value was recorded, `[episodes, ticks]`.
        angle: whether differences are wrapped to ±pi.
        weight: weight of its errors.
        deviation: standard deviation of the recorded values, in the signal's unit.
    """

    name: str
    node: str
    path: str
    values: np.ndarray
    there: np.ndarray
    angle: bool
    weight: float
    deviation: float

    def difference(self, simulated: np.ndarray, recorded: np.ndarray) -> np.ndarray:
        """Returns `simulated` minus `recorded`, wrapped for an angle."""
        difference = simulated - recorded
        return (difference + np.pi) % (2 * np.pi) - np.pi if self.angle else difference


def signals_of(
    declared: Mapping[str, Mapping[str, SignalConfig]],
    recordings: Sequence[Recording],
    timeline: Timeline,
    simulated: Sequence[str],
    angles: Sequence[str] = (),
) -> list[Signal]:
    """Reads the declared signals from recordings.

    Args:
        declared: the declared signals by node and name.
        recordings: the recordings whose episodes the timeline holds one after another.
        timeline: the timeline of all recordings.
        simulated: the nodes that are not replayed.
        angles: patterns of the quantities that are angles, such as `sensor/output/th`.

    Raises:
        RexError: none is declared, a signal was not recorded, is not simulated, or is constant.
    """
    found = []
    for node, entries in declared.items():
        if not entries:
            raise RexError(f"identify.signals.{node}: it names no signal; give {{NAME: {{}}}}, or leave it out")
        for name, config in entries.items():
            key, path = f"identify.signals.{node}.{name}", name if config.path is None else config.path
            if node not in simulated:
                raise RexError(f"{key}: node '{node}' is not simulated{suggest(node, list(simulated))}")
            each = [recorded_output(recording, node) for recording in recordings]
            if path not in each[0]:
                bare = "; what it sent has no name, so say path: ''" if "" in each[0] else suggest(path, list(each[0]))
                raise RexError(f"{key}: node '{node}' did not send '{path}'{bare}")
            values = stacked([values[path] for values in each]).astype(np.float64)
            values = values.reshape(*values.shape[:2], -1)
            there = np.arange(values.shape[1]) < timeline.steps[node].count[:, None]
            there &= np.isfinite(values).all(axis=-1)
            angle = config.angle
            if angle is None:
                angle = any(fnmatch(f"{node}/output/{path.replace('.', '/')}", pattern) for pattern in angles)
            if not there.any():
                raise RexError(f"{key}: the recording has no finite value of it; record again with the sensor running")
            known = np.unwrap(values, axis=1)[there] if angle else values[there]
            deviation = float(np.sqrt(np.mean((known - known.mean(axis=0)) ** 2)))
            if deviation <= CONSTANT * max(1.0, float(np.abs(known).max())):
                raise RexError(
                    f"{key}: '{node}.{path}' is constant in the recording ({known.flat[0]:g}), so nothing follows from "
                    "it; record while the system moves, with action.source=random say, or leave the signal out"
                )
            found.append(Signal(f"{node}.{name}", node, path, values, there, angle, config.weight, deviation))
    if not found:
        known_nodes = [node.name for node in recordings[0].spec.nodes if node.name in simulated]
        raise RexError(
            "identify.signals is empty: say which outputs are to be reproduced, "
            f"{{{known_nodes[0] if known_nodes else 'sensor'}: {{NAME: {{}}}}}}; recorded and simulated are: "
            f"{', '.join(known_nodes) or 'none'}"
        )
    return found
