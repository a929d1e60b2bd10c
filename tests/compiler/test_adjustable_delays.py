"""A delay that is a parameter gives what a timeline with that delay gives; one compilation serves all of them."""

from __future__ import annotations

import functools
from dataclasses import replace
from functools import partial

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, reject, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.rl.vector_env import VectorEnv
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import Constant, Delay, Random
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from rexcli.timeline.edit import deliver
from tests.compiler import three_nodes
from tests.compiler.adjustable import ADJUSTABLE, ADJUSTED, HIGH, LOW, SETTINGS, constant, loop, variant, with_delay
from tests.compiler.stepper_oracle import FIELDS, QUICK, assert_record, compare, run_stepper
from tests.random_systems import CLOSE_RATES, Mixer, systems

STEPS, EPISODES = 8, 2
KEY = jax.random.key(3)
fast = partial(jax.jit, compiler_options=QUICK)


@functools.cache
def system(interpolation="latest") -> System:
    return loop(interpolation)


@functools.cache
def timeline():
    return rex.simulate(system(), steps=STEPS, episodes=EPISODES)


@functools.cache
def program(interpolation="latest") -> Program:
    return Program(system(interpolation), make_plan(timeline()))


@partial(jax.jit, static_argnames="steps", compiler_options=QUICK)
def roll(program: Program, key: jax.Array, eps, delays, steps: int):
    state, _ = program.reset(program.init(key, eps=eps, delays=delays))
    return program.rollout(state, steps, keep=dict.fromkeys(program.layout.nodes, FIELDS))[1]


# ------------------------------------------------------------------ the law


@pytest.mark.slow
@pytest.mark.parametrize("eps", range(EPISODES))
def test_it_is_a_timeline_with_that_delay(eps):
    for delays in SETTINGS:
        other = constant(system(), delays)
        known = rex.simulate(other, steps=STEPS, episodes=EPISODES)
        for name, steps in timeline().steps.items():
            np.testing.assert_array_equal(steps.start, known.steps[name].start)
        record = roll(program(), KEY, eps, delays, STEPS)
        assert assert_record(run_stepper(other, known, eps, STEPS, KEY), record) > 3 * STEPS


@pytest.mark.slow
def test_no_setting_compiles_again():
    before = roll._cache_size()
    seen = [roll(program(), KEY, 0, delays, STEPS)["agent"].fields["inputs"]["world"].seq for delays in SETTINGS]
    assert roll._cache_size() <= before + 1
    assert len({tuple(seq.ravel().tolist()) for seq in seen}) == len(SETTINGS)


@pytest.mark.slow
@given(data=st.data(), drawn=systems(3, CLOSE_RATES))
@settings(
    max_examples=1,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_in_random_systems(data, drawn):
    agree(data, drawn, max_steps=5)


@pytest.mark.slow
@given(data=st.data(), drawn=systems(6, CLOSE_RATES))
@settings(max_examples=6, phases=(Phase.generate,), deadline=None, suppress_health_check=list(HealthCheck))
def test_in_many_random_systems(data, drawn):
    agree(data, drawn, max_steps=10)


def agree(data, drawn: System, max_steps: int) -> None:
    """Makes every edge adjustable that can be, and sets each to anything in its range."""
    edges, delays = [], {}
    for edge in drawn.edges.values():
        if not edge.blocking and edge.jitter == "latest":
            low, width = data.draw(st.sampled_from([0.0, 0.01])), data.draw(st.sampled_from([0.02, 0.1]))
            edge = replace(edge, delay=AdjustableDelay(low, low + width))
            share = data.draw(st.sampled_from([0.0, 1.0, 0.5, 0.123]))
            delays.setdefault(edge.target, {})[edge.input] = low + share * width
        edges.append(edge)
    assume(delays)
    nodes = [(spec, type(drawn.nodes[name])(drawn.nodes[name].draws)) for name, spec in drawn.specs.items()]
    steps, seed = data.draw(st.integers(1, max_steps)), data.draw(st.integers(0, 1000))
    try:
        made = System(nodes, edges, drawn.supervisor, drawn.init_order)
        other = constant(made, delays)
        ours, known = (rex.simulate(each, seed=seed, steps=steps) for each in (made, other))
        plan = make_plan(ours)
        log = run_stepper(other, known, 0, steps, KEY)
    except RexError:
        reject()
    assume(len(plan.template) <= 20)
    try:
        compiled = Program(made, plan, data.draw(st.sampled_from(["cond", "mask"])))
        assert assert_record(log, roll(compiled, KEY, 0, delays, steps)) >= steps
        again = run_stepper(made, ours, 0, steps, KEY, delays=delays)
        for where, entry in log.steps.items():
            compare(entry, again.steps[where], str(where))
    finally:
        jax.clear_caches()


def test_values_beyond_the_range_are_clipped():
    for beyond, clipped in ((0.0, LOW), (9.0, HIGH)):
        a, b = (
            roll(program(), KEY, 0, {"agent": {"world": d}, "world": {"agent": d}}, STEPS) for d in (beyond, clipped)
        )
        compare(a, b, f"{beyond} s: ")


def test_a_late_start_sees_nothing_from_before():
    state = program().init(KEY, starting_step=4, delays=SETTINGS[2])
    _, seen = fast(lambda program, state: program.reset(state))(program(), state)
    window = seen.inputs["world"]
    assert (window.seq == -1).all()  # nothing is older than 0.11 s yet
    np.testing.assert_array_equal(window.ts_recv, np.zeros(2))
    initial = jax.tree.map(lambda leaf: leaf[0], program().init(KEY).outputs["world"])
    compare(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), initial), window.data, "gap: ")


# ------------------------------------------------------------------ transformations


@pytest.mark.slow
def test_every_environment_of_a_batch_may_have_its_own():
    def one(delays):
        state, _ = program().reset(program().init(KEY, delays=delays))
        return program().rollout(state, STEPS, keep={"agent": FIELDS})[1]["agent"].fields

    batch = jax.tree.map(lambda *values: jnp.array(values), *SETTINGS)
    together = fast(jax.vmap(one))(batch)
    for i, delays in enumerate(SETTINGS):
        alone = roll(program(), KEY, 0, delays, STEPS)["agent"].fields
        compare(alone, jax.tree.map(lambda leaf, i=i: leaf[i], together), f"{delays}: ")


@pytest.mark.slow
def test_environments_draw_them_anew_for_every_episode():
    class Drawing(Mixer):
        def init_delays(self, rng, graph_state):
            return {"world": jax.random.uniform(rng, minval=LOW, maxval=HIGH)}

    drawing = variant(system(), agent=Drawing())
    compiled = Program(drawing, make_plan(rex.simulate(drawing, steps=STEPS)))
    envs = VectorEnv(Still().bind(drawing), 4)

    @fast
    def two_steps(program, key):
        state, _ = envs.begin(program, envs.init(program, key))
        first = state.env.graph_state.delays["agent"]["world"]
        state, _ = envs.step(program, state, jnp.zeros((4, 3)))
        again, _ = envs.begin(program, state.replace(done=jnp.array([True, False, False, True])))
        return first, again.env.graph_state.delays["agent"]["world"]

    first, second = two_steps(compiled, KEY)
    assert len(np.unique(first)) == 4
    np.testing.assert_array_equal(first != second, [True, False, False, True])


class Still(rex.Environment):
    """A task that earns nothing."""

    def reward(self, graph_state):
        return jnp.zeros(())


# ------------------------------------------------------------------ interpolation


class Clock(rex.Node):
    """Sends when it sends, in a float and, in ms, in an integer."""

    def step(self, step_state):
        ts = step_state.ts + 0.003
        return step_state, {"ts": ts, "ms": jnp.round(ts * 1000).astype(jnp.int32)}


class Watch(rex.Node):
    """Sends its newest reading."""

    def step(self, step_state):
        return step_state, step_state.inputs["clock"][-1].data["ts"]


def clocks() -> Program:
    """A supervisor that reads the time that a clock sent."""
    edge = Edge("e", "clock", "watch", "clock", window=2, delay=AdjustableDelay(0.0, 0.2, interpolation="linear"))
    nodes = [(NodeSpec("clock", 30.0, delay=Constant(0.003)), Clock()), (NodeSpec("watch", 10.0), Watch())]
    made = System(nodes, [edge], "watch")
    return Program(made, make_plan(rex.simulate(made, steps=20)))


def test_a_signal_linear_in_time_is_read_exactly_as_long_ago_as_the_delay():
    compiled = clocks()

    def last(delay):
        state, _ = compiled.reset(compiled.init(KEY, delays={"watch": {"clock": delay}}))
        record = compiled.rollout(state, keep={"watch": ("inputs",)})[1]["watch"]
        return record.ts[10:], jax.tree.map(lambda leaf: leaf[10:], record.fields["inputs"]["clock"])

    for delay in (0.04, 0.1, 0.1777):
        ts, window = fast(last)(delay)
        np.testing.assert_allclose(window.data["ts"][:, -1], ts - delay, atol=2e-6)
        np.testing.assert_allclose(window.data["ts"][:, 0], ts - delay - 1 / 30, atol=2e-6)
        np.testing.assert_allclose(window.ts_sent, window.data["ts"], atol=2e-6)
        np.testing.assert_allclose(window.ts_recv[:, -1], ts, atol=2e-6)
        assert (np.diff(window.seq) == 1).all()
        older = np.floor((np.asarray(window.ts_sent) - 0.003) * 30 + 1e-3) / 30 + 0.003
        np.testing.assert_array_equal(window.data["ms"], np.round(older * 1000))
    slope = fast(jax.grad(lambda delay: last(delay)[1].data["ts"][:, -1].mean()))(0.1234)
    np.testing.assert_allclose(slope, -1, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["linear", "hold"])
def test_interpolated_programs_agree_with_the_stepper(how):
    for delays in SETTINGS:
        log = run_stepper(system(how), timeline(), 1, STEPS, KEY, delays=delays)
        assert assert_record(log, roll(program(how), KEY, 1, delays, STEPS)) > 3 * STEPS


@pytest.mark.slow
def test_a_delay_is_found_by_its_gradient():
    def final(delay):
        compiled = program("linear")
        state, _ = compiled.reset(compiled.init(KEY, delays={"agent": {"world": delay}}))
        return compiled.rollout(state, keep={})[0].state["agent"].value

    value, slope = fast(final), fast(jax.grad(final))
    at = 0.0537
    numeric = (value(at + 1e-3) - value(at - 1e-3)) / 2e-3
    assert abs(numeric) > 1e-2
    np.testing.assert_allclose(slope(at), numeric, rtol=0.02, atol=2e-3)
    assert slope(HIGH + 0.01) == 0


# ------------------------------------------------------------------ who does not use it


def test_other_systems_carry_nothing_of_it():
    assert three_nodes.program().init(KEY).delays == {}
    assert not any(read.adjustable for slot in three_nodes.program().plan.table.slots() for read in slot.inputs)


def test_rings_hold_no_more_than_the_range_needs():
    def ring(delay: Delay) -> int:
        return make_plan(rex.simulate(with_delay(system(), delay), steps=STEPS)).rings["world"]

    fixed, narrow, wide = (ring(each) for each in (Constant(LOW), AdjustableDelay(LOW, 0.05), ADJUSTABLE))
    assert fixed < narrow < wide == program().plan.rings["world"]
    assert wide <= fixed + (HIGH - LOW) * 25 + 1


def test_a_plan_for_another_kind_of_delay_is_refused():
    fixed = constant(system(), SETTINGS[0])
    with pytest.raises(RexError, match=r"edge 'agent_world': delay is 0.01 s, but .* adjustable delay; compile again"):
        Program(fixed, program().plan)
    plan = make_plan(rex.simulate(fixed, steps=STEPS))
    with pytest.raises(RexError, match="plan was made for no adjustable delay; compile again"):
        Program(system(), plan)


def test_a_recorded_timeline_is_delivered_anew_with_the_shortest():
    recorded, short, long = (
        rex.simulate(with_delay(system(), delay), steps=STEPS, episodes=EPISODES)
        for delay in (Random(distrax.Normal(0.02, 0.01)), Constant(0.01), Constant(0.05))
    )
    for delay, wanted in ((10_000_000, short), (50_000_000, long)):
        delivered = deliver(recorded, dict.fromkeys(ADJUSTED, delay))
        for name, messages in wanted.messages.items():
            np.testing.assert_array_equal(delivered.messages[name].arrive, messages.arrive)
            np.testing.assert_array_equal(delivered.messages[name].reader, messages.reader)
