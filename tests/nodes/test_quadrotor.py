"""The quadrotor: it falls freely, hovers at hover thrust, and its loops and its picture do what they say."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nodes.quadrotor import rotation
from nodes.quadrotor.attitude import Attitude
from nodes.quadrotor.path import Path
from nodes.quadrotor.world import Params, State, hover, inertia, integrate, thrusts_for, torques

LEVEL = jnp.array([1.0, 0.0, 0.0, 0.0])


def _at_rest(thrust: float, attitude: jax.Array = LEVEL, spin: tuple[float, float, float] = (0, 0, 0)) -> State:
    return State(jnp.zeros(3), jnp.array([1.0, 0.0, 2.0]), attitude, jnp.array(spin, float), jnp.full(4, thrust))


def _fly(params: Params, state: State, commands: jax.Array, steps: int) -> State:
    return jax.jit(
        lambda state: jax.lax.fori_loop(0, steps, lambda _, s: integrate(params, s, commands, 0.002), state)
    )(state)


def test_it_falls_freely() -> None:
    end = _fly(Params(drag=0.0), _at_rest(0.0), jnp.zeros(4), 500)
    np.testing.assert_allclose(end.position, [1.0, 0.0, 2.0 - 9.81 / 2], atol=1e-3)
    np.testing.assert_allclose(end.velocity, [1.0, 0.0, 2.0 - 9.81], atol=1e-3)


def test_it_hovers_at_hover_thrust_and_coasts_against_drag() -> None:
    params = Params()
    end = _fly(params, _at_rest(float(hover(params))), jnp.tile(hover(params), 4), 500)
    np.testing.assert_allclose(end.velocity, np.exp(-params.drag / params.mass) * np.array([1.0, 0.0, 2.0]), rtol=1e-3)
    np.testing.assert_allclose(end.attitude, LEVEL, atol=1e-6)


def test_without_torque_angular_momentum_and_energy_stay() -> None:
    params, spin = Params(), (3.0, -2.0, 4.0)
    begin, end = (_fly(params, _at_rest(0.0, spin=spin), jnp.zeros(4), steps) for steps in (0, 500))

    def momentum(state: State) -> np.ndarray:
        body = jnp.concatenate([jnp.zeros(1), inertia(params) * state.angular_velocity])
        world = rotation.product(rotation.product(state.attitude, body), rotation.conjugate(state.attitude))
        return np.asarray(world[1:])

    np.testing.assert_allclose(momentum(end), momentum(begin), rtol=0.02, atol=1e-4)
    energies = [float((inertia(params) * state.angular_velocity**2).sum()) for state in (begin, end)]
    assert energies[1] == pytest.approx(energies[0], rel=0.02)


def test_thrusts_give_the_total_and_torques_that_they_are_for() -> None:
    params, torque = Params(), jnp.array([0.01, -0.02, 0.003])
    thrusts = thrusts_for(params, jnp.array(5.0), torque)
    assert float(thrusts.sum()) == pytest.approx(5.0, rel=1e-5)
    np.testing.assert_allclose(torques(params, thrusts), torque, rtol=1e-4)


def test_the_attitude_loop_reaches_the_acceleration_that_is_asked_for() -> None:
    params, loop, asked = Params(drag=0.0), Attitude(), jnp.array([2.0, -1.0, 0.5])

    def step(_: int, state: State) -> State:
        thrusts = loop.thrusts(params, state.attitude, state.angular_velocity, asked)
        return integrate(params, state, thrusts, 0.002)

    settled = jax.jit(lambda state: jax.lax.fori_loop(0, 500, step, state))(_at_rest(1.2))
    later = jax.jit(lambda state: jax.lax.fori_loop(0, 50, step, state))(settled)
    np.testing.assert_allclose((later.velocity - settled.velocity) / 0.1, asked, atol=0.05)


def test_the_paths_velocity_and_acceleration_are_its_derivatives() -> None:
    path, time = Path.draw(jax.random.key(3)), jnp.array(0.7)
    _, velocity, acceleration = path.at(time)
    np.testing.assert_allclose(jax.jacfwd(lambda t: path.at(t)[0])(time), velocity, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jax.jacfwd(lambda t: path.at(t)[1])(time), acceleration, rtol=1e-4, atol=1e-4)
