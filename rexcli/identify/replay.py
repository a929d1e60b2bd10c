"""Defines nodes that send what they sent in a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError, suggest
from rexcli.runs.recording import Recording
from rexcli.system.init import init_graph_state
from rexcli.system.node import Node, defines
from rexcli.system.paths import leaf_paths
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System

PyTree = Any


class Replay(Node):
    """A node that begins as the node whose place it takes, and sends what that node once sent.

    Args:
        node: the node of the system whose place it takes.
        outputs: its recorded outputs, leaves `[episodes, ticks, ...]`.
        initial: what readers see before the first message.
    """

    def __init__(self, node: Node, outputs: PyTree, initial: PyTree):
        self._node, self._outputs, self._initial = node, outputs, initial

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        return self._node.init_params(rng, graph_state)

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        return self._node.init_state(rng, graph_state)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        if defines(self._node, "init_output"):
            return self._node.init_output(rng, graph_state)
        return self._initial

    def init_delays(self, rng: jax.Array, graph_state: GraphState) -> Mapping[str, Any]:
        return self._node.init_delays(rng, graph_state)

    def step(self, step_state: StepState) -> tuple[StepState, PyTree]:
        eps, seq = step_state.eps, jnp.maximum(step_state.seq, 0)
        return step_state, jax.tree.map(lambda leaf: leaf[eps, jnp.minimum(seq, leaf.shape[1] - 1)], self._outputs)


def replaying(system: System, names: Sequence[str], recordings: Sequence[Recording]) -> System:
    """Returns the system with some of its nodes replaced by replays of what they sent in recordings.

    Raises:
        RexError: there is no such node, its output was not recorded, or has another structure than the experiment's.
    """
    for name in names:
        if name not in system.nodes:
            raise RexError(f"identify.replay: no node is called '{name}'{suggest(name, list(system.nodes))}")
    sends = jax.eval_shape(lambda: init_graph_state(system, jax.random.key(0))).outputs
    nodes = []
    for name, spec in system.specs.items():
        node = system.nodes[name]
        if name in names:
            outputs = _outputs(recordings, name, sends[name])
            initial = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), sends[name])
            node = Replay(node, outputs, initial)
        nodes.append((spec, node))
    return System(nodes, list(system.edges.values()), system.supervisor, system.init_order)


def _outputs(recordings: Sequence[Recording], name: str, sends: PyTree) -> PyTree:
    wanted = leaf_paths(sends)
    found = [recorded_output(recording, name) for recording in recordings]
    for recording, values in zip(recordings, found, strict=True):
        shapes = {path: value.shape[2:] for path, value in values.items()}
        if shapes != {path: leaf.shape for path, leaf in wanted.items()}:
            raise RexError(
                f"{recording.path}: node '{name}' sent {_described(shapes)}, but the experiment's sends "
                f"{_described({path: leaf.shape for path, leaf in wanted.items()})}; give the conf of the robot"
            )
    leaves = [
        jnp.asarray(stacked([values[path] for values in found]).astype(leaf.dtype)) for path, leaf in wanted.items()
    ]
    return jax.tree.unflatten(jax.tree.structure(sends), leaves)


def _described(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{path or 'a value'} {list(shape)}" for path, shape in shapes.items()) or "nothing"


def recorded_output(recording: Recording, node: str) -> dict[str, np.ndarray]:
    """Returns what a node sent, `[episodes, ticks, ...]` by key path.

    Raises:
        RexError: it was not recorded.
    """
    if node not in [timing.name for timing in recording.spec.nodes]:
        known = [timing.name for timing in recording.spec.nodes]
        raise RexError(f"{recording.path}: node '{node}' was not recorded{suggest(node, known)}")
    return recording.values(node, "output")


def stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenates arrays `[episodes, ticks, ...]` along episodes; shorter ones are padded with zeros."""
    ticks = max(array.shape[1] for array in arrays)
    pads = [((0, 0), (0, ticks - array.shape[1]), *[(0, 0)] * (array.ndim - 2)) for array in arrays]
    return np.concatenate([np.pad(array, pad) for array, pad in zip(arrays, pads, strict=True)])
