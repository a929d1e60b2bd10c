"""Messages that are lost, or that overtake one another, in the compiled program."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import distrax
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.compiler.program_law import NO_SHRINKING, agree
from tests.compiler.stepper_oracle import QUICK, assert_same
from tests.compiler.timelines import slots
from tests.random_systems import CLOSE_RATES, Mixer, systems

STEPS = 30
LOSSES = {"bursts": (rex.GilbertElliott(0.4, 5), False), "overtaking": (0.2, True), "overtaken only": (0.0, True)}


def network(loss, reorder: bool, window: int = 3) -> System:
    """A fast sensor that is read over a network, by an agent that acts over another one."""
    jittery = distrax.Normal(0.08, 0.05)
    nodes = [(NodeSpec("sensor", 40, delay=0.002), Mixer(draws=False)), (NodeSpec("agent", 20, delay=0.004), Mixer())]
    edges = [
        Edge("up", "sensor", "agent", "up", window=window, delay=jittery, loss=loss, reorder=reorder),
        Edge("down", "agent", "sensor", "down", window=2, skip=True, delay=0.01, loss=loss, reorder=reorder),
    ]
    return System(nodes, edges, "agent")


@partial(jax.jit, static_argnames="steps", compiler_options=QUICK)
def roll_from(program: Program, key: jax.Array, eps, starting_step, steps: int):
    state, _ = program.reset(program.init(key, eps=eps, starting_step=starting_step))
    return program.rollout(state, steps, keep={"agent": ("inputs",), "sensor": ("inputs",)})[1]


@pytest.mark.parametrize("kind", LOSSES)
def test_the_program_agrees_with_the_stepper(kind):
    system = network(*LOSSES[kind])
    timeline = rex.simulate(system, steps=STEPS, episodes=2)
    assert timeline.reading(timeline.spec.edge("up")) is not None
    program = Program(system, make_plan(timeline))
    assert assert_same(program, system, timeline, 1, STEPS, jax.random.key(3)) > STEPS


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind != "overtaking" else ()) for kind in LOSSES]
)
def test_an_episode_that_begins_late_sees_nothing_from_before_it(kind):
    """Its windows are the last messages read of those that were sent since it began, whatever overtook what."""
    system = network(*LOSSES[kind])
    timeline = rex.simulate(system, steps=STEPS, episodes=2)
    plan = make_plan(timeline)
    program = Program(system, plan)
    hidden = 0
    for eps, begin in ((0, 11), (1, 11)):  # the same number of steps, so compiled once
        record = roll_from(program, jax.random.key(1), eps, begin, STEPS - begin)
        for edge in timeline.spec.edges:
            first = int(plan.before[edge.source][eps, begin + plan.warmup - 1])
            everything = timeline.window(edge, 10_000)[eps]
            seqs = record[edge.target].fields["inputs"][edge.name].seq
            for seq, seen in zip(record[edge.target].seq, seqs, strict=True):
                if seq < 0:
                    continue
                read = [each for each in everything[int(seq)].tolist() if each >= 0]
                since = [each for each in read if each >= first]
                hidden += read[-edge.window :] != since[-edge.window :]
                assert seen.tolist() == ([-1] * edge.window + since)[-edge.window :]
    assert hidden


def test_a_long_burst_makes_the_ring_longer_and_no_longer_than_it_must_be():
    timeline = rex.simulate(network(rex.GilbertElliott(0.5, 20), False), steps=200)
    plan = make_plan(timeline)
    up = timeline.spec.edge("up")
    oldest = timeline.window(up)[0][timeline.window(up)[0].min(axis=1) >= 0].min(axis=1)
    gap = int(np.diff(np.flatnonzero(timeline.messages["up"].reader[0] >= 0)).max())
    assert plan.rings["sensor"] > gap > 20
    assert len(oldest)


def test_what_nobody_loses_costs_nothing():
    """The tables of an edge without losses hold the newest message's number alone."""
    plain, lossy = network(0.0, False), network(0.3, False)
    sizes = []
    for system in (plain, lossy):
        plan = make_plan(rex.simulate(system, steps=STEPS))
        assert all(read.consecutive == (system is plain) for slot in slots(plan) for read in slot.inputs)
        sizes.append(sum(array.shape[2] for array in (Program(system, plan).ints,)) / len(plan.template))
    assert sizes[0] < sizes[1]


def test_an_adjustable_delay_needs_messages_in_order():
    system = network(0.0, True)
    timeline = rex.simulate(system, steps=STEPS)
    edges = [replace(edge, adjustable=10_000_000) for edge in timeline.spec.edges]
    with pytest.raises(RexError, match="edge 'up': its delay is adjustable, but in this timeline messages overtake"):
        make_plan(replace(timeline, spec=replace(timeline.spec, edges=tuple(edges))))


@pytest.mark.slow
@given(data=st.data(), drawn=systems(5, CLOSE_RATES))
@settings(max_examples=10, phases=NO_SHRINKING, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_many_random_systems(data, drawn):
    """Every edge loses messages, alone or in bursts, and some overtake others."""
    losses = st.sampled_from([0.1, 0.5, rex.GilbertElliott(0.3, 6), rex.GilbertElliott(0.2, 8, 0.5, 0.1)])
    edges = [replace(edge, loss=data.draw(losses), reorder=data.draw(st.booleans())) for edge in drawn.edges.values()]
    nodes = [(spec, type(drawn.nodes[name])(drawn.nodes[name].draws)) for name, spec in drawn.specs.items()]
    agree(data, System(nodes, edges, drawn.supervisor, drawn.init_order), max_steps=12)
