"""Emulates declared delays and losses on the wall clock if all nodes are simulated: a robot's timing without
the robot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rexcli.errors import DeclarationError
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.states import GraphState
from rexcli.system.system import System
from rexcli.timeline.extent import extent

NOTICEABLE = 1_000_000
"""A step that takes this many nanoseconds longer than its declared delay is counted as an overrun."""


def check_emulation(system: System) -> None:
    """Raises an error for nodes with real delays, and for delays that only a simulation can have.

    Raises:
        DeclarationError: names the first such node or edge.
    """
    for name, node in system.nodes.items():
        if not node.jit:
            raise not_emulated(name, f"{type(node).__name__} is plain Python (jit = False)")
    for name, edge in system.edges.items():
        if isinstance(edge.delay, AdjustableDelay) and edge.delay.interpolation != "latest":
            raise DeclarationError(
                f"edges.{name}.delay",
                edge.delay,
                "with wall.emulate messages arrive as they were sent, and nothing between two of them; give "
                "interpolation: latest",
            )


def not_emulated(node: str, why: str) -> DeclarationError:
    """Returns the error for a node that may be a robot's hardware, whose delays cannot be emulated."""
    return DeclarationError(
        "wall.emulate",
        True,
        f"node '{node}' may be a robot's hardware, which has delays of its own: {why}; put a simulated node in its "
        "place, or leave wall.emulate out",
    )


class Emulation:
    """The delays and losses of one episode: those that the simulated clock draws for it with the same seed.

    They are drawn for twice the expected time of the episode, and repeated after that.

    Args:
        system: the system with the declared delays.
        seed: the seed of the experiment.
        episode: the number of the episode.
        graph_state: the state at its start, with the adjustable delays.
        steps, seconds: its length, one of the two.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        episode: int,
        graph_state: GraphState,
        *,
        steps: int | None = None,
        seconds: float | None = None,
    ):
        horizon = 2 * extent(system.timing, episodes=1, steps=steps, seconds=seconds).horizon
        ticks = {name: int(horizon * spec.rate) + 2 for name, spec in system.specs.items()}

        def draw(kind: Literal["node", "edge", "loss"], name: str, num: int) -> npt.NDArray[Any]:
            return system.sample_delays(kind, name, seed, 1, num, first_episode=episode)[0]

        self._busy = {name: draw("node", name, ticks[name]) for name in system.nodes}
        self._delays: dict[str, npt.NDArray[np.int64]] = {}
        self._lost: dict[str, npt.NDArray[np.bool_]] = {}
        for name, edge in system.edges.items():
            self._delays[name] = draw("edge", name, ticks[edge.source])
            if isinstance(edge.delay, AdjustableDelay):
                value = float(np.clip(graph_state.delays[edge.target][edge.input], edge.delay.low, edge.delay.high))
                self._delays[name] = np.full(1, round(value * 1e9), np.int64)
            self._lost[name] = draw("loss", name, ticks[edge.source]) if edge.loss.share else np.zeros(1, bool)
        self.overruns: dict[str, int] = dict.fromkeys(system.nodes, 0)
        """Number of steps that took noticeably longer than their declared delay, by node."""

    def busy(self, node: str, tick: int, took: int) -> int:
        """Returns how long, ns, a step that took `took` ns to compute keeps its node busy."""
        declared = _at(self._busy[node], tick)
        if took > declared + NOTICEABLE:
            self.overruns[node] += 1
        return max(took, declared)

    def delay(self, edge: str, seq: int) -> int:
        """Returns how long, ns, a message is in transit."""
        return _at(self._delays[edge], seq)

    def lost(self, edge: str, seq: int) -> bool:
        """Returns whether a message is lost."""
        return bool(_at(self._lost[edge], seq))


def _at(values: npt.NDArray[Any], index: int) -> int:
    return int(values[index % len(values)])


def overrun_warnings(overruns: Mapping[str, int], ticks: Mapping[str, int]) -> list[str]:
    """Returns a line for every node whose steps took longer than their declared delays."""
    return [
        f"node '{name}': {count} of {ticks[name]} steps took longer to compute here than their declared delay, which "
        "was not emulated in them; give a faster machine, or lower what the step computes"
        for name, count in overruns.items()
        if count
    ]
