"""What is said to have been drawn is what each episode has."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from rexcli.system.init import init_graph_state
from rexcli.system.node import Node
from rexcli.system.random_values import random_values
from rexcli.system.ranges import Range, Ranges
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System

SEED = 3
SCALE = Range(1.0, 2.0, operation="scale")


class Arm(Node):
    def init_params(self, rng, graph_state):
        return {"mass": 2.0}

    def step(self, step_state):
        return step_state, ()


def make(ranges: Ranges | None) -> System:
    nodes = [(NodeSpec("arm", 10.0, delay=0.01), Arm()), (NodeSpec("other", 10.0, delay=0.01), Arm())]
    return System(nodes, [Edge("e", "arm", "other", delay=0.02)], "arm", (), ranges)


@pytest.mark.slow
def test_parameters_and_delays_are_those_of_the_episode():
    system = make(Ranges({"arm": {"mass": SCALE}}, {"e": SCALE}, {"other": SCALE}))
    columns = random_values(system, SEED, [2, 0])
    assert list(columns) == ["arm.mass", "nodes.other.delay.scale", "edges.e.delay.scale"]
    state = init_graph_state(system, jax.random.fold_in(jax.random.key(SEED), 1))
    assert columns["arm.mass"][0] != columns["arm.mass"][1] == state.params["arm"]["mass"]
    for kind, name, column in (("node", "other", "nodes.other"), ("edge", "e", "edges.e")):
        seconds = (0.01 if kind == "node" else 0.02) * columns[f"{column}.delay.scale"]
        delays = system.sample_delays(kind, name, SEED, 3, 4)[[2, 0]] / 1e9
        np.testing.assert_allclose(delays, np.broadcast_to(seconds[:, None], (2, 4)), rtol=1e-5, atol=2e-9)


def test_where_nothing_is_drawn_there_is_nothing_to_say():
    assert random_values(make(None), SEED, [0, 1]) == {}
