"""Random systems for laws: 1 to 8 nodes, every edge option, rates that do not divide one another."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.graph.delays import Constant, Delay, Random
from rexcli.graph.node import Node
from rexcli.graph.states import GraphState, StepState
from rexcli.graph.system import Edge, NodeSpec, System
from rexcli.timeline.phases import check

RATES = (5.0, 10.0, 12.5, 20.0, 30.0, 33.3, 50.0)
CLOSE_RATES = (10.0, 12.5, 20.0, 33.3)
"""Rates that keep templates short, for tests that compile every system."""


@struct.dataclass
class MixState:
    """A number and a count that depend on all that a node ever saw."""

    value: jax.Array
    count: jax.Array


@struct.dataclass
class MixOutput:
    """What a `Mixer` sends."""

    value: jax.Array
    count: jax.Array


def bounded(values: jax.Array) -> jax.Array:
    """Within ±1, and little to compile."""
    return values / (1 + jnp.abs(values))


class Mixer(Node):
    """Mixes every field of every message in its windows, its clock and its random numbers into its state.

    Args:
        draws: whether a step draws a random number; most do without, since that is what takes XLA longest.
    """

    def __init__(self, draws: bool = True):
        self.draws = draws

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> jax.Array:
        return jax.random.uniform(rng, (), minval=0.5, maxval=0.9)

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> MixState:
        return MixState(value=jax.random.normal(rng), count=jnp.zeros((), jnp.int32))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> MixOutput:
        return MixOutput(value=jax.random.normal(rng, (2,)), count=jnp.zeros((), jnp.int32))

    def step(self, step_state: StepState) -> tuple[StepState, MixOutput]:
        value = step_state.params * step_state.state.value + 0.01 * step_state.ts
        count = 31 * step_state.state.count + step_state.seq + step_state.eps
        for name in sorted(step_state.inputs):
            window = step_state.inputs[name]
            weights = jnp.arange(1.0, len(window) + 1)
            value = value + (weights[:, None] * bounded(window.data.value)).sum() / 10
            value = value + 0.1 * (weights * bounded(window.ts_sent + window.ts_recv)).sum() / weights.sum()
            count = count + (weights.astype(jnp.int32) * (window.seq + 7 * window.data.count)).sum()
        value = bounded(value)
        count = count % 1_000_003
        after = step_state.replace(state=MixState(value=value, count=count))
        if self.draws:
            rng, key = jax.random.split(step_state.rng)
            value = value + 0.01 * jax.random.uniform(key)
            after = after.replace(rng=rng)
        return after, MixOutput(value=jnp.stack([value, -value]), count=count)


def _delays(draw: st.DrawFn, scale: float) -> Delay:
    if draw(st.booleans()):
        return Constant(draw(st.sampled_from([0.0, 0.001, 0.01, 0.5])) * scale)
    import distrax

    loc = draw(st.sampled_from([0.1, 0.4, 0.9])) * scale
    return Random(distrax.Normal(loc, loc * draw(st.sampled_from([0.05, 0.3, 1.0]))))


@st.composite
def systems(draw: st.DrawFn, max_nodes: int = 8, rates: tuple[float, ...] = RATES) -> System:
    """A system that the rules accept: loops are broken by `skip`, every node but the first may be cut off."""
    num = draw(st.integers(2, max_nodes))
    names = [f"n{i}" for i in range(num)]
    edges: list[Edge] = []
    for target in range(num):
        for source in draw(st.lists(st.integers(0, num - 1), max_size=3, unique=target % 2 == 0)):
            forward = source < target
            edges.append(
                Edge(
                    name=f"e{len(edges)}",
                    source=names[source],
                    target=names[target],
                    input=f"i{len(edges)}",
                    window=draw(st.integers(1, 4)),
                    blocking=draw(st.booleans()),
                    skip=not forward or draw(st.integers(0, 4)) == 0,
                    jitter=draw(st.sampled_from(["latest", "buffer"])),
                    delay=_delays(draw, 0.05),
                    expected_delay=draw(st.sampled_from([None, None, 0.02])),
                )
            )
    nodes = []
    for name in names:
        inputs = [edge for edge in edges if edge.target == name]
        can_advance = bool(inputs) and all(edge.blocking for edge in inputs)
        rate = draw(st.sampled_from(rates))
        spec = NodeSpec(
            name=name,
            rate=rate,
            delay=_delays(draw, 1 / rate),
            scheduling=draw(st.sampled_from(["frequency", "phase"])),
            advance=can_advance and draw(st.booleans()),
        )
        nodes.append((spec, Mixer(draws=name == names[0])))
    system = System(nodes, edges, draw(st.sampled_from(names)), tuple(draw(st.permutations(names))[:2]))
    try:
        check(system.timing)
    except RexError:
        from hypothesis import reject

        reject()
    return system
