"""Random systems for laws: 1 to 8 nodes, every edge option, rates that do not divide one another."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from hypothesis import strategies as st

from rexcli.errors import RexError
from rexcli.system.delays import Constant, Delay, Random
from rexcli.system.losses import GilbertElliott, Loss
from rexcli.system.node import Node
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System
from rexcli.timeline.phases import check

RATES = (5.0, 10.0, 12.5, 20.0, 30.0, 33.3, 50.0)
LOSSES: tuple[float | Loss, ...] = (0.0, 0.0, 0.0, 0.2, GilbertElliott(0.3, 4))
KINDS = ("", "", "", "half", "integer", "weak", "key", "nested")
CLOSE_RATES = (10.0, 12.5, 20.0, 33.3)
"""Rates that keep templates short, for tests that compile every system."""


@struct.dataclass
class MixState:
    """A number and a count that depend on all that a node ever saw."""

    value: jax.Array
    count: jax.Array
    typed: Any = ()


@struct.dataclass
class MixOutput:
    """What a `Mixer` sends."""

    value: jax.Array
    count: jax.Array
    typed: Any = ()


def typed(kind: str, key: jax.Array) -> Any:
    """Leaves of one kind, as init gives them."""
    return {
        "": (),
        "half": {"half": jnp.zeros((), jnp.float16), "brain": jnp.ones((2,), jnp.bfloat16)},
        "integer": (jnp.zeros((), jnp.int8), jnp.zeros((), bool), jnp.zeros((3,), jnp.uint8), jnp.zeros((), jnp.int16)),
        "weak": {"number": 0.5, "count": 1, "array": jnp.asarray(2.0)},
        "key": [key, jax.random.split(key)],
        "nested": {"none": None, "empty": ((), {}, [jnp.zeros((0, 2))]), "deep": [{"leaf": (jnp.zeros(()),)}]},
    }[kind]


def turned(kind: str, old: Any, value: jax.Array, count: jax.Array) -> Any:
    """The same leaves a step later, some of a type that the declared one holds."""
    if kind == "half":
        return {"half": old["half"] / 2 + value.astype(jnp.float16), "brain": old["brain"] * 0.5 + 1}
    if kind == "integer":
        return (old[0] + 3, count % 2 == 0, old[2] ^ old[0].astype(jnp.uint8), old[1])
    if kind == "weak":
        return {"number": count % 2 == 0, "count": 2, "array": (count % 7).astype(jnp.float16)}
    if kind == "key":
        return [old[1][0], jnp.stack([old[1][1], old[0]])]
    return jax.tree.map(lambda leaf: leaf + value, old)


def bounded(values: jax.Array) -> jax.Array:
    """Within ±1, and little to compile."""
    return values / (1 + jnp.abs(values))


class Mixer(Node):
    """Mixes every field of every message in its windows, its clock and its random numbers into its state.

    Args:
        draws: whether a step draws a random number; most do without, since that is what takes XLA longest.
        kind: of the leaves that it has besides, one of `KINDS`; parameters are `{"gain": …, "typed": …}` if it has any.
    """

    def __init__(self, draws: bool = True, kind: str = ""):
        self.draws = draws
        self.kind = kind

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> Any:
        gain = jax.random.uniform(rng, (), minval=0.5, maxval=0.9)
        return {"gain": gain, "typed": typed(self.kind, rng)} if self.kind else gain

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> MixState:
        return MixState(jax.random.normal(rng), jnp.zeros((), jnp.int32), typed(self.kind, rng))

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> MixOutput:
        return MixOutput(jax.random.normal(rng, (2,)), jnp.zeros((), jnp.int32), typed(self.kind, rng))

    def step(self, step_state: StepState) -> tuple[StepState, MixOutput]:
        params = step_state.params
        gain = params["gain"] if self.kind else params
        value = gain * step_state.state.value + 0.01 * step_state.ts + step_state.dt
        count = 31 * step_state.state.count + step_state.seq + step_state.eps
        for name in sorted(step_state.inputs):
            window = step_state.inputs[name]
            weights = jnp.arange(1.0, len(window) + 1)
            value = value + (weights[:, None] * bounded(window.data.value)).sum() / 10
            value = (
                value
                + 0.1 * (weights * bounded(window.ts_sent + window.ts_recv + 2 * window.age)).sum() / weights.sum()
            )
            count = count + (weights.astype(jnp.int32) * (window.seq + 7 * window.data.count)).sum()
        value = bounded(value)
        count = count % 1_000_003
        old = step_state.state.typed
        new = turned(self.kind, old, value, count)
        after = step_state.replace(state=MixState(value=value, count=count, typed=new))
        if self.kind:
            after = after.replace(params={"gain": gain, "typed": turned(self.kind, params["typed"], value, count)})
        if self.draws:
            rng, key = jax.random.split(step_state.rng)
            value = value + 0.01 * jax.random.uniform(key)
            after = after.replace(rng=rng)
        return after, MixOutput(value=jnp.stack([value, -value]), count=count, typed=new)


def _delays(draw: st.DrawFn, scale: float) -> Delay:
    if draw(st.booleans()):
        return Constant(draw(st.sampled_from([0.0, 0.001, 0.01, 0.5])) * scale)
    import distrax

    loc = draw(st.sampled_from([0.1, 0.4, 0.9])) * scale
    return Random(distrax.Normal(loc, loc * draw(st.sampled_from([0.05, 0.3, 1.0]))))


@st.composite
def systems(
    draw: st.DrawFn, max_nodes: int = 8, rates: tuple[float, ...] = RATES, losses: tuple[float | Loss, ...] = LOSSES
) -> System:
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
                    input_name=f"i{len(edges)}",
                    window=draw(st.integers(1, 4)),
                    blocking=draw(st.booleans()),
                    skip=not forward or draw(st.integers(0, 4)) == 0,
                    jitter=draw(st.sampled_from(["latest", "buffer"])),
                    delay=_delays(draw, 0.05),
                    expected_delay=draw(st.sampled_from([None, None, 0.02])),
                    loss=draw(st.sampled_from(losses)),
                    reorder=draw(st.integers(0, 3)) == 3,
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
            thread=draw(st.sampled_from(["auto", "own", "shared"])),
            advance=can_advance and draw(st.booleans()),
        )
        nodes.append((spec, Mixer(name == names[0], draw(st.sampled_from(KINDS)))))
    system = System(nodes, edges, draw(st.sampled_from(names)), tuple(draw(st.permutations(names))[:2]))
    try:
        check(system.timing)
    except RexError:
        from hypothesis import reject

        reject()
    return system
