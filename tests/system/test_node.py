"""What node code may leave out."""

from __future__ import annotations

import pytest

from rexcli.system.node import Node, defines
from rexcli.system.spec import NodeSpec


class Arm(Node):
    def init_state(self, rng, graph_state):
        return 1

    init_delays = None


class Longer(Arm):
    pass


def test_code_defines_what_it_or_a_class_above_it_says_and_not_what_every_node_has():
    for node in (Arm(), Longer()):
        assert defines(node, "init_state")
        assert not any(defines(node, method) for method in ("init_params", "init_output", "init_delays", "startup"))
    late = Longer()
    late.init_output = lambda rng, graph_state: 0.0
    assert defines(late, "init_output")


def test_a_node_without_a_step_says_which_it_is():
    node = Longer()
    node.spec = NodeSpec("arm", 5.0)
    with pytest.raises(TypeError, match=r"node 'arm': Longer has no step\(step_state\); write one"):
        node.step(None)
