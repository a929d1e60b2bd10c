"""What a stepper does is written as the nodes' record settings say, with the times of the timeline."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from rexcli.runtime.recorder import Recorder, arrays
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec, RecordSettings
from rexcli.system.states import StepState
from rexcli.system.system import System
from tests.timeline.by_hand import MS, edge, node, run, system

NIL = np.float32(0.0)


class Part(Node):
    def step(self, step_state):
        return step_state, ()


class Written:
    """Stands in for a file: what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def step(self, episode, name, seq, start, sent, fields):
        self.told.append((episode, name, seq, start, sent, sorted(fields)))

    def message(self, episode, name, seq, sent, arrived, reader):
        self.told.append((episode, name, seq, sent, arrived, reader))


def test_every_step_is_written_with_its_messages() -> None:
    timeline = run(system(node("a", expected=4), node("b"), edge("a", "b", 3), supervisor="b"), a=4, a__b=[3, 4, 2, 9])
    settings = RecordSettings(params=True, inputs=True, output=False)
    nodes = [(NodeSpec("a", 100.0, record=settings), Part()), (NodeSpec("b", 100.0), Part())]
    written = Written()
    recorder = Recorder(written, System(nodes, [Edge("a>b", "a", "b")], "b"), timeline)  # type: ignore[arg-type]
    state: Any = StepState(NIL, (), (), {}, *[NIL] * 5)
    recorder.begin(0, None)  # type: ignore[arg-type]
    recorder.step("a", 1, state, state, ())
    recorder.step("b", 0, state, state, ())
    recorder.end(0, 3)
    assert written.told == [
        (0, "a", 1, 10 * MS, 14 * MS, ["inputs", "params", "state"]),
        (0, "a>b", 1, 14 * MS, 18 * MS, 2),
        (0, "b", 0, 7 * MS, 7 * MS, ["output", "state"]),
        (0, "b", 3, 37 * MS, 37 * MS, []),
    ]


@pytest.mark.parametrize("tree", [{"x": [1.0, {"y": np.arange(3)}]}, np.float32(2.0), ()])
def test_arrays_are_the_leaves_by_their_paths(tree: Any) -> None:
    found = arrays(tree)
    assert all(isinstance(leaf, np.ndarray) for leaf in found.values())
    assert [leaf.tolist() for leaf in found.values()] == [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(tree)]
    assert list(found) == {dict: ["x.0", "x.1.y"], tuple: []}.get(type(tree), [""])


def test_keys_are_arrays_of_their_numbers() -> None:
    key = jax.random.key(3)
    np.testing.assert_array_equal(arrays({"key": key})["key"], jax.random.key_data(key))
