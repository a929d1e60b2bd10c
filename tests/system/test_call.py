"""A node's step is called where it can be, and compiled if it can be."""

from __future__ import annotations

import logging

import jax
import pytest

import rexcli as rex
from rexcli.errors import RexError
from rexcli.system.spec import NodeSpec
from rexcli.system.system import System
from tests.runtime.test_stepper import Concrete, Counter, make


def test_code_that_cannot_be_traced_runs_as_plain_python(caplog):
    system, timeline = make(Concrete())
    stepper = rex.Stepper(system, timeline)
    with caplog.at_level(logging.WARNING, "rex.nodes.reader"):
        state, _ = stepper.reset(stepper.init(jax.random.key(0)))
        for _ in range(3):
            state = stepper.run(state)
    assert int(state.state["reader"]) == 3
    assert "jit = False" in caplog.text


def test_a_device_that_is_not_there_is_refused():
    nodes = [(NodeSpec("only", 10.0, device="tpu:3"), Counter())]
    system = System(nodes, [], "only")
    with pytest.raises(RexError, match="device 'tpu:3' is not on this machine"):
        rex.Stepper(system, rex.simulate(system, steps=2))
