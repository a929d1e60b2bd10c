"""Code that is no `Node` becomes one, and stays what it is."""

from __future__ import annotations

import logging

import jax
import pytest

from rexcli.errors import RexError
from rexcli.system.as_node import as_node
from rexcli.system.node import Node
from rexcli.system.spec import NodeSpec
from tests.system.test_system import Plain, make


def test_a_class_need_not_derive_from_node():
    node = make().nodes["b"]
    assert isinstance(node, Node)
    assert isinstance(node, Plain)
    assert (node.name, node.rate, node.init_state(jax.random.key(0), None)) == ("b", 20.0, ())


def test_it_is_the_same_object_with_its_own_attributes():
    code = Plain()
    code.gain = 3
    node = as_node(code, NodeSpec("arm", 5.0))
    assert node is code
    assert (node.gain, type(node).__name__, node.step) == (3, "Plain", code.step)
    assert as_node(node, NodeSpec("arm", 6.0)) is code
    assert node.rate == 6.0
    assert not isinstance(Plain(), Node)


def test_its_logger_is_heard_from_the_declared_level_on():
    for level in ("debug", "error"):
        as_node(Plain(), NodeSpec("arm", 5.0, log_level=level))
        assert logging.getLogger("rex.nodes.arm").level == getattr(logging, level.upper())


def test_what_cannot_be_a_node_is_refused_by_name():
    class Slotted:
        __slots__ = ()

        def step(self, step_state):
            return step_state, ()

    with pytest.raises(RexError, match=r"node 'arm': Slotted cannot be extended; derive it from rexcli\.Node"):
        as_node(Slotted(), NodeSpec("arm", 5.0))
    with pytest.raises(RexError, match=r"node 'arm': object has no step\(step_state\); write one"):
        as_node(object(), NodeSpec("arm", 5.0))
