"""`dt` and `age`: exact however long an episode is, and the same in every executor."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.runtime.wall.message_queue import ReceivedMessage
from rexcli.runtime.wall.realtime_call import CallState, prepare
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import Constant, Delay
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.timeline import Messages, Timeline

KEY = jax.random.key(0)
LATE = 8192 * 10**9
STEPS = 6


class Clock(rex.Node):
    """Sends what it makes of time."""

    def __init__(self, jit=True):
        self.jit = jit

    def init_output(self, rng, graph_state):
        return {"dt": jnp.zeros(()), "ages": [jnp.zeros(2), jnp.zeros(2)]}

    def step(self, step_state):
        ages = [step_state.inputs[name].age for name in ("plain", "other") if step_state.inputs]
        return step_state, {"dt": step_state.dt, "ages": ages or [np.zeros(2, np.float32)] * 2}


class Quiet(rex.Node):
    def step(self, step_state):
        return step_state, None


def make(delay: Delay, jit: bool = True) -> System:
    nodes = [
        (NodeSpec("source", 700.0, delay=Constant(0.0004)), Clock(jit)),
        (NodeSpec("agent", 300.0, delay=Constant(0.0001)), Clock(jit)),
    ]
    edges = [
        Edge("plain", "source", "agent", "plain", window=2, delay=Constant(0.0007)),
        Edge("other", "source", "agent", "other", window=2, delay=delay, expected_delay=0.001),
    ]
    return System(nodes, edges, "agent")


def late(timeline: Timeline) -> Timeline:
    """The same, `LATE` ns later."""
    return replace(
        timeline,
        steps={name: replace(s, start=s.start + LATE, end=s.end + LATE) for name, s in timeline.steps.items()},
        messages={name: Messages(m.arrive + LATE, m.reader) for name, m in timeline.messages.items()},
    )


def by_stepper(system: System, timeline: Timeline):
    memory = rex.InMemoryRecorder()
    stepper = rex.Stepper(system, timeline, listener=memory)
    state, _ = stepper.reset(stepper.init(KEY, delays=delays(system)))
    for _ in range(STEPS):
        state = stepper.run(state)
    return {name: memory[name][1] for name in system.nodes}


def delays(system: System):
    return {"agent": {"other": 0.0023}} if system.adjustable("agent") else None


def by_program(system: System, timeline: Timeline):
    program = Program(system, make_plan(timeline))
    state, _ = program.reset(program.init(KEY, delays=delays(system)))
    record = jax.jit(lambda program, state: program.rollout(state)[1])(program, state)
    return {name: (np.asarray(each.seq), each.fields["output"]) for name, each in record.items()}


@pytest.mark.parametrize(
    "delay",
    [
        Constant(0.0002),
        *(
            pytest.param(AdjustableDelay(0.0, 0.004, interpolation=how), marks=pytest.mark.slow)
            for how in ("latest", "linear", "hold")
        ),
    ],
    ids=["constant", "adjustable", "interpolated", "held"],
)
@pytest.mark.parametrize("shift", [0, LATE])
def test_stepper_and_program_have_what_nanoseconds_give(delay, shift):
    system = make(delay)
    timeline = rex.simulate(system, steps=STEPS)
    timeline = late(timeline) if shift else timeline
    stepped, rolled = by_stepper(system, timeline), by_program(system, timeline)
    for name, (seq, output) in rolled.items():
        ran = seq[seq >= 0]
        jax.tree.map(
            lambda a, b, ran=ran, seq=seq: np.testing.assert_array_equal(np.asarray(a)[ran], np.asarray(b)[seq >= 0]),
            stepped[name],
            output,
        )
        start = timeline.steps[name].start[0]
        rate = system.specs[name].rate
        want = np.concatenate([[round(1e9 / rate)], np.diff(start[: int(timeline.steps[name].count[0])])]) / 1e9
        np.testing.assert_array_equal(np.asarray(stepped[name]["dt"]), want[: len(stepped[name]["dt"])].astype("f4"))
    newest = timeline.newest(timeline.spec.edge("plain"))[0]
    for k in range(STEPS):
        start = timeline.steps["agent"].start[0, k]
        sent = [timeline.steps["source"].end[0, i] if i >= 0 else 0 for i in (newest[k] - 1, newest[k])]
        np.testing.assert_array_equal(stepped["agent"]["ages"][0][k], ((start - np.array(sent)) / 1e9).astype("f4"))
    if isinstance(delay, AdjustableDelay) and delay.interpolation == "linear":
        seen = np.asarray(stepped["agent"]["ages"][1])[3:, 1]
        np.testing.assert_allclose(seen, 0.0023, rtol=1e-5)


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("shift", [0, LATE])
def test_so_has_the_wall_clock(jit, shift):
    system = make(Constant(0.0002), jit)
    state = rex.Stepper(system, rex.simulate(system, steps=1)).init(KEY)
    gap = ReceivedMessage(-1, 0, 0, state.outputs["source"])
    messages = (gap, ReceivedMessage(0, shift + 1_000_001, shift + 1_500_000, state.outputs["source"]))
    given = CallState(state.rng["agent"], state.params["agent"], state.state["agent"])
    call = prepare(system.nodes["agent"], None, given, state.outputs["agent"], {"plain": messages, "other": messages})
    done = call(call.given(*given), 0, 3, shift + 2_000_003, 999_983, [messages, messages])
    assert float(done.output["dt"]) == np.float32(0.000999983)
    want = np.float32([(shift + 2_000_003) / 1e9, 0.001000002])
    for ages in done.output["ages"]:
        np.testing.assert_array_equal(ages, want)


@pytest.mark.parametrize("jit", [True, False])
def test_how_much_later_a_step_took_place_is_exact_after_hours(jit):
    class Late(Clock):
        def step(self, step_state):
            step_state, output = super().step(step_state)
            return step_state.replace(stamp_offset=step_state.stamp_offset + np.float32(0.0001234)), output

    system = System([(NodeSpec("late", 100.0), Late(jit))], [], "late")
    state = rex.Stepper(system, rex.simulate(system, steps=1)).init(KEY)
    given = CallState(state.rng["late"], state.params["late"], state.state["late"])
    call = prepare(system.nodes["late"], None, given, state.outputs["late"], {})
    assert call(call.given(*given), 0, 3, LATE, 10**7, []).stamp_offset == np.float32(0.0001234)


def test_a_slow_reader_of_a_fast_source_sees_the_same_as_by_a_look_at_every_message():
    """The stepper looks a few messages up; which, is what counting all of them gives."""
    for skip in (False, True):
        delay = AdjustableDelay(0.0, 0.02)
        nodes = [(NodeSpec("source", 1000.0), Clock()), (NodeSpec("agent", 50.0), Quiet())]
        edge = Edge("e", "source", "agent", "source", window=2, skip=skip, delay=delay, expected_delay=0.0)
        system = System(nodes, [edge], "agent")
        timeline = rex.simulate(system, steps=STEPS)
        stepper = rex.Stepper(system, timeline)
        for value in (0.0, 0.003, 0.0035, 0.02):
            state, seen = stepper.reset(stepper.init(KEY, delays={"agent": {"source": value}}))
            newest = timeline.newest(timeline.spec.edges[0])[0]
            for k in range(STEPS):
                sent = timeline.steps["source"].end[0, : newest[k] + 1]
                ages = ((timeline.steps["agent"].start[0, k] - sent) / 1e9).astype(np.float32)
                count = int((ages > np.float32(value) if skip else ages >= np.float32(value)).sum())
                assert seen.inputs["source"].seq.tolist() == [max(-1, count - 2), max(-1, count - 1)]
                state = stepper.run(state)
                seen = stepper.step_state(state)
