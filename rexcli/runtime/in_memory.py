"""Stores the steps of a stepper in memory, for notebooks and tests."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from rexcli.errors import RexError
from rexcli.system.states import GraphState, StepState

PyTree = Any


class InMemoryRecorder:
    """A `Listener` that stores every step of every node."""

    def __init__(self) -> None:
        self._steps: dict[tuple[int, str], list[tuple[StepState, StepState, PyTree]]] = {}
        self._episode = 0

    def begin(self, episode: int, graph_state: GraphState) -> None:
        self._episode = episode

    def step(self, node: str, seq: int, before: StepState, after: StepState, output: PyTree) -> None:
        self._steps.setdefault((self._episode, node), []).append((before, after, output))

    def end(self, episode: int, seq: int) -> None:
        """Does nothing."""

    def __getitem__(self, node: str) -> tuple[StepState, PyTree]:
        """Returns all steps of `node` in the first episode, see `steps`."""
        return self.steps(node)

    def steps(self, node: str, episode: int = 0) -> tuple[StepState, PyTree]:
        """Returns the step states that `node` returned and what it sent, each leaf `[ticks, ...]`.

        Raises:
            RexError: if it made no step in that episode.
        """
        steps = self._steps.get((episode, node))
        if not steps:
            raise RexError(f"node '{node}' made no step in episode {episode}")
        states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[after for _, after, _ in steps])
        outputs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[output for _, _, output in steps])
        return states, outputs
