"""Finds where NaN comes from: the first tick whose state or output has one, by node, field, tick and episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from rexcli.system.paths import leaf_paths
from rexcli.system.states import GraphState, StepState
from rexcli.timeline.phases import topological
from rexcli.timeline.spec import SystemTiming
from rexcli.timeline.timeline import Timeline

PyTree = Any
SEARCHED = ("state", "output")
"""The fields of a tick that are searched, in the order in which they are computed."""


@dataclass(frozen=True)
class NanPlace:
    """The first tick with NaN in its new state or its output; as text, a message to the user.

    Attributes:
        node, field: the node, and the field with its key path, such as `state.th`.
        tick: sequence number; -1 for the initial state of the episode.
        seconds: when the tick started.
        episode: the number of the episode.
        what: what `episode` counts.
    """

    node: str
    field: str
    tick: int
    seconds: float
    episode: int
    what: str = "episode"

    def __str__(self) -> str:
        if self.tick < 0:
            return f"node '{self.node}': {self.field} is NaN as {self.what} {self.episode} begins; see init_state"
        return (
            f"node '{self.node}': {self.field} is NaN in step {self.tick}, at {self.seconds:.6g} s of {self.what} "
            f"{self.episode}, and nothing before it"
        )


class NanSearch:
    """Searches ticks, given in any order, and stores the first with NaN.

    Of ticks that start at the same time, the first is the one on which the others may depend.

    Args:
        spec: the timing of the system.

    Attributes:
        first: the first place with NaN; None if there is none.
    """

    def __init__(self, spec: SystemTiming):
        self.first: NanPlace | None = None
        self._turn = {name: turn for turn, name in enumerate(topological(spec))}
        self._rank: tuple[float, ...] = (np.inf,)

    def begin(self, episode: int, graph_state: GraphState) -> None:
        """Searches the states at the start of an episode."""
        for node, state in graph_state.state.items():
            self.look(node, episode, np.array([-1]), np.array([0]), {"state": state}, stacked=False)

    def look(
        self,
        node: str,
        episode: int,
        seq: npt.NDArray[np.integer],
        start: npt.NDArray[np.integer],
        fields: Mapping[str, PyTree],
        *,
        stacked: bool = True,
    ) -> None:
        """Searches some ticks of one node in one episode.

        Args:
            node: its name.
            episode: the number of the episode.
            seq: sequence number of each tick, `[ticks]`.
            start: start of each tick, ns, `[ticks]`.
            fields: a pytree for each field, each leaf `[ticks, ...]`.
            stacked: False if leaves are those of a single tick.
        """
        for order, field in enumerate(SEARCHED):
            for path, leaf in leaf_paths(fields.get(field, ())).items():
                if not may_be_nan(leaf):
                    continue
                values = np.isnan(np.asarray(leaf))
                bad = values.reshape(len(values), -1).any(axis=1) if stacked else values.any()[None]
                if not bad.any():
                    continue
                at = int(np.flatnonzero(bad)[0])
                rank = (episode, seq[at] >= 0, start[at], self._turn[node], order)
                if rank < self._rank:
                    self._rank = rank
                    self.first = NanPlace(node, named(field, path), int(seq[at]), float(start[at]) / 1e9, episode)


class NanListener:
    """A `Listener` that searches the steps of a stepper for NaN."""

    def __init__(self, search: NanSearch, timeline: Timeline):
        self._search, self._timeline, self._episode = search, timeline, 0

    def begin(self, episode: int, graph_state: GraphState) -> None:
        self._episode = episode
        self._search.begin(episode, graph_state)

    def step(self, node: str, seq: int, before: StepState, after: StepState, output: PyTree) -> None:
        if self._search.first is None:  # ticks come in an order in which none depends on a later one
            start = self._timeline.steps[node].start[self._episode, seq : seq + 1]
            fields = {"state": after.state, "output": output}
            self._search.look(node, self._episode, np.array([seq]), start, fields, stacked=False)

    def end(self, episode: int, seq: int) -> None:
        """Does nothing."""


def may_be_nan(leaf: Any) -> bool:
    """Returns whether an array may hold NaN, unlike integers and keys."""
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def named(field: str, path: str) -> str:
    """Returns a field with its key path, such as `state.th`."""
    return f"{field}.{path}" if path else field
