"""Provides a tester for single nodes, and a tiny system on which to test other things.

    encoder = NodeTester.declared("cart", "encoder")             # as conf/cart.yaml declares it
    output = encoder.step(cart={"place": 0.12345})               # one message for each input, and a step
    assert abs(output.place - 0.123) < 1e-6

`pytest_plugins = ["rexcli.testing.fixtures"]` in a `conftest.py` brings `tiny_system` as a fixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli import pipeline
from rexcli.errors import RexError, suggest
from rexcli.system.call import NodeCall
from rexcli.system.delays import Constant
from rexcli.system.init import init_graph_state
from rexcli.system.node import Node
from rexcli.system.paths import leaf_paths
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System

PyTree = Any


class NodeTester:
    """Steps one node alone, with inputs that the test feeds.

    Args:
        node: the node to test.
        rate: Hz.
        inputs: an example message by input, which the node also sees before any other message.
        windows: number of messages that a step sees, by input; 1 where left out.
        params: numbers by name that replace those of `init_params`.
        seed: seed of the node's random numbers.

    Attributes:
        state, params: the node's state and parameters; may be set.
        output: the last output, at first that of `init_output`.
        step_state: what its last step saw, None before the first.

    Raises:
        RexError: the node cannot be part of a system.
    """

    def __init__(
        self,
        node: Node,
        rate: float = 50.0,
        inputs: Mapping[str, PyTree] | None = None,
        windows: Mapping[str, int] | None = None,
        params: Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        name = type(node).__name__.lower()
        specs: list[tuple[NodeSpec, Any]] = [(NodeSpec(name, rate, delay=0.0, params=dict(params or {})), node)]
        specs += [(NodeSpec(each, rate), _Source(example)) for each, example in (inputs or {}).items()]
        edges = [Edge(f"{each}_to_it", each, name, window=(windows or {}).get(each, 1)) for each in inputs or {}]
        self._begin(System(specs, edges, name), name, seed)

    @classmethod
    def declared(cls, conf: str | None, name: str, *overrides: str, seed: int = 0) -> NodeTester:
        """Makes a tester for a node of an experiment, with its rate, options, parameters and windows.

        Args:
            conf: the experiment's name; None for the project's default.
            name: the node's name.
            overrides: as on the command line.
            seed: seed of the node's random numbers.

        Raises:
            RexError: there is no such experiment or node.
        """
        system = pipeline.build(pipeline.compose(conf, *overrides))
        if name not in system.nodes:
            raise RexError(f"no node is called '{name}'{suggest(name, list(system.nodes))}")
        tester = cls.__new__(cls)
        tester._begin(system, name, seed)
        return tester

    def _begin(self, system: System, name: str, seed: int) -> None:
        start = init_graph_state(system, jax.random.key(seed))
        self.system, self.node = system, system.nodes[name]
        self.state, self.params, self.output = start.state[name], start.params[name], start.outputs[name]
        self.step_state: StepState | None = None
        self._rng = start.rng[name]
        self._call = NodeCall(self.node)
        self._sends = start.outputs[name]
        self._seq, self._period = 0, 1 / system.specs[name].rate
        self._edges = {edge.input: edge for edge in system.inputs(name)}
        self._examples = {key: start.outputs[edge.source] for key, edge in self._edges.items()}
        gap = (-1, 0.0, 0.0)
        self._windows = {key: [(*gap, self._examples[key])] * edge.window for key, edge in self._edges.items()}
        self._sent = dict.fromkeys(self._edges, 0)

    def step(self, age: float = 0.0, **messages: PyTree) -> PyTree:
        """Feeds at most one message to each input, steps the node, and returns what it sends.

        Time advances by one period per step. An input without a new message keeps its window.

        Args:
            age: age of the messages at the step, s.
            messages: what the sender would send, by input; also a mapping of some of a message's fields by key path,
                with the others as in the example.

        Raises:
            RexError: there is no such input, or the message has another structure or shape.
        """
        ts = self._seq * self._period
        for key, value in messages.items():
            if key not in self._edges:
                known = suggest(key, list(self._edges)) or "; it has none"
                raise RexError(f"node '{self.node.name}': no input is called '{key}'{known}")
            data = _message(value, self._examples[key], f"node '{self.node.name}': input '{key}'")
            self._windows[key] = [*self._windows[key][1:], (self._sent[key], ts - age, ts, data)]
            self._sent[key] += 1
        windows = {key: self._window(key, ts) for key in self._edges}
        clock = (np.int32(0), np.int32(self._seq), np.float32(ts), np.float32(self._period))
        before, after, self.output = self._call(self._rng, self.params, self.state, windows, *clock, self._sends)
        self.step_state = before
        self._rng, self.params, self.state = after.rng, after.params, after.state
        self._seq += 1
        return self.output

    def _window(self, key: str, ts: float) -> tuple[Any, ...]:
        seq, sent, received, data = zip(*self._windows[key], strict=True)
        times = np.array([sent, received], np.float32)
        return np.array(seq, np.int32), *times, np.float32(ts) - times[0], data


class _Source(Node):
    """A stand-in for the node that sends to the node under test."""

    def __init__(self, example: PyTree):
        self._example = jax.tree.map(jnp.asarray, example)

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        return self._example

    def step(self, step_state: StepState) -> tuple[StepState, PyTree]:
        return step_state, self._example


def _message(value: PyTree, like: PyTree, where: str) -> PyTree:
    """Returns a message with the structure, shapes and types of an example."""
    leaves, structure = jax.tree.flatten(like)
    bare = len(leaves) == 1 and leaves[0] is like
    paths = list(leaf_paths(like))
    if isinstance(value, Mapping) and not isinstance(like, Mapping):
        given = dict(zip(paths, leaves, strict=True))
        for path in value:
            if path not in given:
                raise RexError(f"{where}: no field is called '{path}'{suggest(str(path), paths)}")
        given |= value
        new = list(given.values())
    elif bare:
        new = [value]
    else:
        new, other = jax.tree.flatten(value)
        if str(other) != str(structure):
            raise RexError(f"{where}: a message is {structure}, not {other}; give one such, or a mapping of its fields")
    cast = []
    for path, leaf, want in zip(paths, new, leaves, strict=True):
        if np.shape(leaf) != np.shape(want):
            field = f" field '{path}'" if path else ""
            raise RexError(f"{where}:{field} has shape {np.shape(leaf)}; give {np.shape(want)}")
        cast.append(jnp.asarray(leaf, want.dtype))
    return jax.tree.unflatten(structure, cast)


class TinyWorld(Node):
    """A position that moves as it is told, m."""

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jax.random.uniform(rng, minval=-1.0, maxval=1.0)

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        place = step_state.state + step_state.dt * step_state.inputs["agent"][-1].data
        return step_state.replace(state=place), place


class TinyAgent(Node):
    """Sends the velocity that leads back to 0, m/s."""

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jnp.zeros(())

    def step(self, step_state: StepState) -> tuple[StepState, jax.Array]:
        return step_state, -step_state.inputs["world"][-1].data


def tiny_system(rate: float = 20.0, delay: Any = 0.01) -> System:
    """Returns a world and an agent in a loop, at 2 x `rate` and `rate`, Hz; messages to the agent take `delay`, s."""
    nodes = [(NodeSpec("world", 2 * rate, delay=Constant(0.0)), TinyWorld()), (NodeSpec("agent", rate), TinyAgent())]
    edges = [Edge("world_agent", "world", "agent", delay=delay), Edge("agent_world", "agent", "world", skip=True)]
    return System(nodes, edges, "agent")
