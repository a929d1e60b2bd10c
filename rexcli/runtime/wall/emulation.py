"""Declared delays and losses on the wall clock, where all nodes are simulated: a robot's timing without the robot."""

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
"""Nanoseconds by which a step takes longer than its declared delay before it is counted."""


def check_emulation(system: System) -> None:
    """Refuses what has delays of its own, or such as only a simulation can have.

    Raises:
        DeclarationError: naming the first node or edge.
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
    """The error of a node that may be a robot's, whose delays are what they are."""
    return DeclarationError(
        "wall.emulate",
        True,
        f"node '{node}' may be a robot's hardware, which has delays of its own: {why}; put a simulated node in its "
        "place, or leave wall.emulate out",
    )


class Emulation:
    """The delays and losses of one episode: those that the simulated clock draws for it with the same seed.

    They are drawn for twice the time that the episode should take, and from there on repeated.

    Args:
        system: whose declarations.
        seed: of the experiment.
        episode: its number.
        graph_state: at its start, which holds adjustable delays.
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
        """By node, steps that took noticeably longer than their declared delay."""

    def busy(self, node: str, tick: int, took: int) -> int:
        """How long, ns, a step keeps its node busy, which took `took` ns to compute."""
        declared = _at(self._busy[node], tick)
        if took > declared + NOTICEABLE:
            self.overruns[node] += 1
        return max(took, declared)

    def delay(self, edge: str, seq: int) -> int:
        """How long, ns, a message is in flight."""
        return _at(self._delays[edge], seq)

    def lost(self, edge: str, seq: int) -> bool:
        """Whether a message is lost."""
        return bool(_at(self._lost[edge], seq))


def _at(values: npt.NDArray[Any], index: int) -> int:
    return int(values[index % len(values)])


def overrun_warnings(overruns: Mapping[str, int], ticks: Mapping[str, int]) -> list[str]:
    """A line for every node whose steps could not be as fast as they are declared."""
    return [
        f"node '{name}': {count} of {ticks[name]} steps took longer to compute here than their declared delay, which "
        "was not emulated in them; give a faster machine, or lower what the step computes"
        for name, count in overruns.items()
        if count
    ]
