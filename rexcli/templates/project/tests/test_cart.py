"""Nodes alone, and the system in one piece: `python -m pytest`."""

import numpy as np

import rexcli as rex
from rexcli.testing import NodeTester


def test_a_push_makes_the_cart_faster():
    cart = NodeTester.declared("cart", "cart", "nodes.cart.friction=0")
    before = cart.state.speed
    after = cart.step(agent=2.0)  # one step of 10 ms with 2 N on 1 kg
    np.testing.assert_allclose(after.speed - before, 0.02, rtol=1e-5)


def test_the_encoder_counts_millimetres():
    encoder = NodeTester.declared("cart", "encoder")
    assert np.isclose(encoder.step(cart={"place": 0.12345, "speed": 1.0}).place, 0.123)


def test_the_controller_brings_the_cart_to_the_middle():
    experiment = rex.compose("cart", "record.steps=250")
    memory = rex.InMemoryRecorder()
    rex.record(experiment, rex.build(experiment), listener=memory)
    motion, _ = memory["cart"]
    assert abs(motion.state.place[-1]) < 0.05
