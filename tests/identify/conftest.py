"""A project with a cart on a rail, and a recording of one whose constants and delays nobody knows."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator

import pytest

from rexcli.cli.main import main
from rexcli.config.project import Project, find_project

NODES = """
import jax
import jax.numpy as jnp
import rexcli as rex
from flax import struct


@struct.dataclass
class Params:
    mass: float = 1.0
    gain: float = 2.0
    drag: float = 0.5
    spare: float = 1.0


@struct.dataclass
class State:
    x: jax.Array
    v: jax.Array


class Cart(rex.Node):
    def default_delay(self):
        return 0.999 / self.rate

    def init_params(self, rng, graph_state):
        return Params()

    def init_state(self, rng, graph_state):
        return State(jnp.zeros(()), jnp.zeros(()))

    def init_output(self, rng, graph_state):
        return State(jnp.zeros(()), jnp.zeros(()))

    def step(self, step_state):
        p, s, dt = step_state.params, step_state.state, 1 / self.rate
        a = (p.gain * step_state.inputs["driver"][-1].data - p.drag * s.v) / p.mass
        s = State(s.x + dt * s.v + dt**2 / 2 * a, s.v + dt * a)
        return step_state.replace(state=s), s


class Sensor(rex.Node):
    def __init__(self, noise: float = 0.0):
        self.noise = noise

    def init_output(self, rng, graph_state):
        return {name: jnp.zeros(()) for name in ("x", "v", "stuck", "blind")}

    def step(self, step_state):
        s = step_state.inputs["cart"][-1].data
        noise = self.noise * jax.random.normal(jax.random.fold_in(step_state.rng, step_state.seq), (2,))
        return step_state, {"x": s.x + noise[0], "v": s.v + noise[1], "stuck": jnp.full((), 3.0), "blind": jnp.nan}


class Brain(rex.Node):
    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def step(self, step_state):
        key = jax.random.fold_in(jax.random.key(1), step_state.seq // 3)
        return step_state, jax.random.uniform(key, minval=-1.0)


class Driver(rex.Node):
    def init_output(self, rng, graph_state):
        return jnp.zeros(())

    def step(self, step_state):
        return step_state, step_state.inputs["brain"][-1].data
"""

COMMON = """
supervisor: brain
nodes:
  WORLD: {_target_: nodes.cart.Cart, rate: RATE}
  sensor: {_target_: nodes.cart.Sensor, rate: 20, delay: 0.001, noise: NOISE}
  brain: {_target_: nodes.cart.Brain, rate: 20, delay: 0.004}
  driver: {_target_: nodes.cart.Driver, rate: 20, delay: 0.001}
edges:
  WORLD_sensor: {from: WORLD, to: sensor, name: cart, delay: 0.021}
  sensor_brain: {from: sensor, to: brain, blocking: true}
  brain_driver: {from: brain, to: driver, blocking: true}
  driver_WORLD: {from: driver, to: WORLD, skip: true, delay: 0.034}
"""

IDENTIFY = """
identify:
  nodes:
    world: {gain: {low: 0.5, high: 5.0}, drag: {low: 0.0, high: 2.0}, spare: {low: 0.1, high: 10.0, log: true}}
  edges:
    world_sensor: {low: 0.0, high: 0.1, interpolation: linear}
    driver_world: {low: 0.0, high: 0.1, interpolation: hold}
  signals: {sensor: {x: {}, v: {}}}
  initial: {world: {x: {from: sensor.x}, v: {from: sensor.v}}}
  segment: 4.0
"""

TRUE = {"gain": 2.7, "drag": 0.9}
LOOP = 0.021 + 0.034
"""Seconds; the recorded world's grid adds half a period of it to either end, or none."""


def written(world: str, rate: int, noise: float) -> str:
    return COMMON.replace("WORLD", world).replace("RATE", str(rate)).replace("NOISE", str(noise))


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project, with the working directory in it; `latest:record` is the recording."""
    root = tmp_path_factory.mktemp("cart")
    files = {
        "conf/robot.yaml": written("hidden", 500, 0.01),
        "conf/model.yaml": written("world", 100, 0.0) + IDENTIFY,
        "nodes/cart.py": NODES,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(textwrap.dedent(text).lstrip())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "path", list(sys.path))
        before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "nodes"}
        for name in before:
            del sys.modules[name]
        hidden = f"nodes.hidden.params={{gain: {TRUE['gain']}, drag: {TRUE['drag']}}}"
        with pytest.MonkeyPatch.context() as undrawn:
            undrawn.setattr("rexcli.plot.draw_and_log", lambda *_: [])
            assert main(["record", "conf=robot", "record.seconds=12", hidden, "--quiet"]) == 0
        yield find_project()
        for name in [name for name in sys.modules if name.partition(".")[0] == "nodes"]:
            del sys.modules[name]
        sys.modules.update(before)
    assert os.getcwd() != str(root)
