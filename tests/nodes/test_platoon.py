"""The platoon: vehicles follow with a lag, cars do what they hear, the coordinator knows who is where."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from nodes.platoon.car import GAP
from nodes.platoon.vehicle import Motion, Params, integrate
from rexcli.testing import NodeTester


def _motion(position: float = 0.0, speed: float = 20.0, acceleration: float = 0.0) -> Motion:
    return Motion(*map(jnp.asarray, (position, speed, acceleration)))


def test_an_acceleration_follows_with_a_lag_and_steps_of_any_length_agree() -> None:
    whole = integrate(Params(), _motion(), jnp.array(2.0), 0.6)
    half = integrate(Params(), integrate(Params(), _motion(), jnp.array(2.0), 0.3), jnp.array(2.0), 0.3)
    assert float(whole.acceleration) == pytest.approx(2.0 * (1 - np.exp(-2.0)), rel=1e-4)
    np.testing.assert_allclose([half.position, half.speed], [whole.position, whole.speed], rtol=1e-5)
    assert float(whole.speed) == pytest.approx(20.0 + 2.0 * (0.6 - 0.3 * (1 - np.exp(-2.0))), rel=1e-5)


def test_a_car_does_what_it_heard_and_what_is_ordered_at_its_place() -> None:
    car = NodeTester.declared("platoon", "car_2")
    ahead = {"position": 0.0, "speed": 20.0, "acceleration": 1.0}
    motion = car.step(ahead=ahead, coordinator={"orders": [9.0, 9.0, -3.0, 9.0]})
    assert float(motion.acceleration) == pytest.approx(-2.0 * (1 - np.exp(-0.05 / Params().lag)), rel=1e-4)
    assert float(motion.position) == pytest.approx(-3 * (GAP + Params().length) + 1.0, abs=1.1)


def test_the_coordinator_closes_a_gap_that_is_too_wide_however_old_the_news() -> None:
    tester = NodeTester.declared("platoon", "coordinator")
    heard = {
        name: {"position": -place * (GAP + Params().length) - (place > 2), "speed": 20.0, "acceleration": 0.0}
        for place, name in enumerate(("leader", "car_0", "car_1", "car_2", "car_3"))
    }
    orders = tester.step(age=0.15, **heard).orders
    np.testing.assert_allclose(orders, [0.0, 0.0, 0.5, 0.0], atol=1e-4)
