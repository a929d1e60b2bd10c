"""A node alone does what it does in a system."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rexcli import Node, RexError, Stepper, testing
from rexcli.runtime.in_memory import InMemoryRecorder
from rexcli.testing import NodeTester
from rexcli.testing.fixtures import tiny_system
from rexcli.timeline.simulate import simulate

__all__ = ["tiny_system"]


@struct.dataclass
class Seen:
    place: Any
    mark: Any


class Filter(Node):
    def init_state(self, rng, graph_state):
        return jnp.float32(1.0)

    def step(self, step_state):
        window = step_state.inputs["camera"]
        state = step_state.state + step_state.dt * window.data.place.sum() + window[-1].age
        return step_state.replace(state=state), state


def test_messages_fill_the_window_and_time_goes_on() -> None:
    tester = NodeTester(Filter(), 10, {"camera": Seen(0.0, jnp.int32(7))}, {"camera": 2})
    np.testing.assert_allclose(tester.step(camera={"place": 2.0}), 1.2)
    assert tester.step_state is not None
    np.testing.assert_array_equal(tester.step_state.inputs["camera"].seq, [-1, 0])
    np.testing.assert_array_equal(tester.step_state.inputs["camera"].data.mark, [7, 7])
    np.testing.assert_allclose(tester.step(age=0.03, camera=Seen(1.0, 5)), 1.2 + 0.3 + 0.03)
    np.testing.assert_array_equal(tester.step_state.inputs["camera"].seq, [0, 1])
    np.testing.assert_allclose(tester.step(), 1.53 + 0.3 + 0.13)  # nothing new: the message is a period older


def test_what_is_fed_wrong_is_refused_by_name() -> None:
    tester = NodeTester(Filter(), 10, {"camera": Seen(0.0, jnp.int32(7))})
    for feed, said in (
        ({"camara": 1.0}, "no input is called 'camara'; did you mean 'camera'"),
        ({"camera": {"plac": 1.0}}, "no field is called 'plac'; did you mean 'place'"),
        ({"camera": {"place": [1.0, 2.0]}}, r"field 'place' has shape \(2,\); give \(\)"),
        ({"camera": 1.0}, "a message is"),
    ):
        with pytest.raises(RexError, match=said):
            tester.step(**feed)
    with pytest.raises(RexError, match="no node is called 'sensr'; did you mean 'sensor'"):
        NodeTester.declared("pendulum", "sensr")


def test_alone_it_does_what_it_does_in_the_system(tiny_system) -> None:
    def sample(kind, name, ticks):
        return tiny_system.sample_delays(kind, name, 0, 1, ticks)

    timeline = simulate(tiny_system.timing, sample, episodes=1, steps=10)
    memory = InMemoryRecorder()
    stepper = Stepper(tiny_system, timeline, memory)
    state, _ = stepper.reset(stepper.init(jax.random.key(0)))
    for _ in range(10):
        state = stepper.run(state)
    _, pushes = memory["agent"]
    seen, _ = memory["agent"]
    tester = NodeTester(testing.TinyAgent(), 20, {"world": 0.0})
    for k in range(10):
        np.testing.assert_allclose(tester.step(world=seen.inputs["world"].data[k, -1]), pushes[k], rtol=1e-6)
