"""What is kept in memory is what was told, by node and episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rexcli.errors import RexError
from rexcli.runtime.in_memory import InMemoryRecorder
from rexcli.system.states import StepState

NIL = np.float32(0.0)


def step_state(value: float) -> Any:
    return StepState(NIL, (), {"x": np.float32(value)}, {}, *[NIL] * 5)


def test_each_episode_of_a_node_has_its_own_steps_in_their_order() -> None:
    memory = InMemoryRecorder()
    for episode, ticks in ((0, 2), (2, 3)):
        memory.begin(episode, None)  # type: ignore[arg-type]
        for tick in range(ticks):
            for number, node in enumerate(("eye", "arm")):
                value = 100 * episode + 10 * number + tick
                memory.step(node, tick, step_state(-1), step_state(value), {"y": np.float32(value + 0.5)})
        memory.end(episode, ticks)
    for (episode, ticks), (number, node) in zip(((0, 2), (2, 3)) * 2, ((0, "eye"), (1, "arm")) * 2, strict=True):
        states, outputs = memory.steps(node, episode)
        want = 100.0 * episode + 10 * number + np.arange(ticks)
        np.testing.assert_array_equal(states.state["x"], want)
        np.testing.assert_array_equal(outputs["y"], want + 0.5)
    np.testing.assert_array_equal(memory["arm"][1]["y"], memory.steps("arm", 0)[1]["y"])
    for node, episode in (("arm", 1), ("leg", 0)):
        with pytest.raises(RexError, match=f"node '{node}' made no step in episode {episode}"):
            memory.steps(node, episode)
