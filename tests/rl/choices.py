"""Tasks whose actions are choices: a point on a plane that is told which way to go, and the cart-pole."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from rexcli import Discrete, Environment, MultiDiscrete, Node
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.system.delays import Constant
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate


class Plane(Node):
    """Moves by 0.1 along x (left, not at all, right) and y (down, up)."""

    def init_state(self, rng, graph_state):
        return jax.random.uniform(rng, (2,), minval=-0.5, maxval=0.5)

    def init_output(self, rng, graph_state):
        return self.seen(graph_state.state["world"])

    def seen(self, place):
        return {"place": {"y": place[1], "x": place[0]}, "far": jnp.abs(place) > 0.25, "cell": jnp.int8(10 * place)}

    def step(self, step_state):
        x, y = step_state.inputs["agent"][-1].data
        place = step_state.state + 0.1 * jnp.array([x - 1.0, 2.0 * y - 1])
        return step_state.replace(state=place), self.seen(place)


class Pole(Node):
    """The cart-pole of Barto, Sutton and Anderson (1983), 0.02 s a step, 10 N to the left (0) or to the right (1)."""

    def init_state(self, rng, graph_state):
        return jax.random.uniform(rng, (4,), minval=-0.05, maxval=0.05)

    def init_output(self, rng, graph_state):
        return graph_state.state["world"]

    def step(self, step_state):
        _, v, angle, speed = step_state.state
        force = 20.0 * step_state.inputs["agent"][-1].data - 10
        push = (force + 0.05 * speed**2 * jnp.sin(angle)) / 1.1
        spin = (9.8 * jnp.sin(angle) - push * jnp.cos(angle)) / (0.5 * (4 / 3 - 0.1 * jnp.cos(angle) ** 2 / 1.1))
        rate = jnp.array([v, push - 0.05 * spin * jnp.cos(angle) / 1.1, speed, spin])
        after = step_state.state + 0.02 * rate
        return step_state.replace(state=after), after


class Chooser(Node):
    """Sends whole numbers, `[size]`, or one without dimensions."""

    def __init__(self, shape=()):
        super().__init__()
        self.shape = shape

    def init_output(self, rng, graph_state):
        return jnp.zeros(self.shape, jnp.int32)

    def step(self, step_state):
        return step_state, jnp.zeros(self.shape, jnp.int32)


class ToCentre(Environment):
    """What it sees is a dict of real numbers, whole numbers and truths."""

    seconds = 1.0

    @property
    def action_space(self):
        return MultiDiscrete([3, 2])

    def observe(self, step_state):
        return step_state.inputs["world"][-1].data

    def reward(self, graph_state):
        return -jnp.abs(graph_state.state["world"]).sum()


class Balance(Environment):
    """Earns 1 a step until the pole has fallen or the cart has left the track."""

    seconds = 4.0

    @property
    def action_space(self):
        return Discrete(2)

    def reward(self, graph_state):
        return 1.0

    def terminated(self, graph_state):
        x, _, angle, _ = graph_state.state["world"]
        return (jnp.abs(x) > 2.4) | (jnp.abs(angle) > 0.21)


@functools.cache
def drawn(task):
    """The task, and a timeline that an episode of it fits into."""
    rate, world, agent = (10, Plane(), Chooser((2,))) if task is ToCentre else (50, Pole(), Chooser())
    nodes = [(NodeSpec("world", rate, delay=Constant(0.001)), world), (NodeSpec("agent", rate), agent)]
    edges = [
        Edge("world_agent", "world", "agent", "world", blocking=True),
        Edge("agent_world", "agent", "world", "agent", skip=True),
    ]
    system = System(nodes, edges, "agent")

    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 0, 1, ticks)

    return task().bind(system), simulate(system.timing, sample, episodes=1, steps=210)


@functools.cache
def chosen(task):
    """The task, and a program that an episode of it fits into."""
    bound, timeline = drawn(task)
    return bound, Program(bound.system, make_plan(timeline, observed=("world",)))
