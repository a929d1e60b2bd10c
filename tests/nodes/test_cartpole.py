"""The cart-pole: physics that keep energy and momentum, a detector that is late, a picture of what was known when."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rexcli as rex
from nodes.cartpole import picture
from nodes.cartpole.world import Params, State, acceleration, energy, integrate
from rexcli.plot.motion import Series
from rexcli.testing import NodeTester

FREE = Params(cart_damping=0.0, pole_damping=0.0)


def test_without_friction_and_force_energy_and_momentum_are_kept() -> None:
    start = State(x=jnp.array(0.3), v=jnp.array(-0.5), th=jnp.array(2.0), w=jnp.array(4.0))

    def momentum(state: State) -> float:
        moment = FREE.pole_mass * FREE.half_length
        return float((FREE.cart_mass + FREE.pole_mass) * state.v + moment * state.w * jnp.cos(state.th))

    end = jax.jit(lambda state: jax.lax.fori_loop(0, 1000, lambda _, s: integrate(FREE, s, jnp.zeros(()), 0.01), state))
    assert float(energy(FREE, end(start))) == pytest.approx(float(energy(FREE, start)), abs=2e-3)
    assert momentum(end(start)) == pytest.approx(momentum(start), abs=1e-4)


def test_forces_do_their_work_and_friction_takes_it() -> None:
    """The change of energy in an instant is force times speed, less what both dampers take."""
    params, force = Params(), jnp.array(3.0)
    state = State(x=jnp.array(0.0), v=jnp.array(0.7), th=jnp.array(1.1), w=jnp.array(-2.0))
    linear, angular = acceleration(params, state, force)
    change = State(x=state.v, v=linear, th=state.w, w=angular)
    _, power = jax.jvp(lambda state: energy(params, state), (state,), (change,))
    lost = params.cart_damping * state.v**2 + params.pole_damping * state.w**2
    assert float(power) == pytest.approx(float(force * state.v - lost), rel=1e-4)


def test_the_camera_sees_places_and_the_motor_has_a_limit() -> None:
    seen = NodeTester.declared("cartpole", "camera").step(world={"x": 0.5, "th": -1.0})
    assert float(seen.x) == pytest.approx(0.5, abs=0.02)
    assert float(seen.th) == pytest.approx(-1.0, abs=0.02)
    assert float(NodeTester.declared("cartpole", "motor").step(agent={"force": 99.0}).force) == 10.0


def test_the_agent_reads_late_frames() -> None:
    system = rex.build(rex.compose("cartpole"))
    timeline = rex.simulate(system, steps=60)
    [edge] = [name for name in timeline.messages if name == "camera_agent"]
    sent, reader = timeline.steps["camera"].end[0], timeline.messages[edge].reader[0]
    read = reader >= 0
    age = timeline.steps["agent"].start[0][reader[read]] - sent[: len(reader)][read]
    assert 40e6 < np.min(age) < np.max(age) < 150e6


def test_the_picture_shows_the_pole_where_it_is_and_where_the_agent_knows_it() -> None:
    time = np.arange(11) / 50
    still = Series(time, np.full((11, 1), 0.5))
    frames = picture.draw(
        still, Series(time, np.zeros((11, 1))), None, still, Series(time, np.full((11, 1), np.pi / 2))
    ).frames
    assert len(frames) == 6
    colours = np.asarray([[0x86, 0x2E, 0x9C], [0xF7, 0x83, 0xAC]])
    (up, upright), (side, level) = (
        np.nonzero((np.abs(frames[2][:200].astype(int) - colour) < 30).all(-1)) for colour in colours
    )
    assert np.ptp(up) > 50 > 15 > np.ptp(upright)
    assert np.ptp(level) > 30 > 15 > np.ptp(side)
