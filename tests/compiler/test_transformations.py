"""The program under jit, vmap and grad, from any step of any episode, up to the end and past it."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.system.states import GraphState
from tests.compiler import three_nodes
from tests.compiler.stepper_oracle import FIELDS, QUICK, assert_same, compare

KEEP = dict.fromkeys(("world", "sensor", "agent"), FIELDS)
fast = partial(jax.jit, compiler_options=QUICK)


def plain_roll(program: Program, key: jax.Array, eps: jax.Array):
    state, _ = program.reset(program.init(key, eps=eps))
    return program.rollout(state, keep=KEEP)


roll = fast(plain_roll)


@fast
def begin(program: Program, key: jax.Array, eps: jax.Array, starting_step: jax.Array):
    return program.reset(program.init(key, eps=eps, starting_step=starting_step))


@fast
def step(program: Program, state: GraphState):
    """What the supervisor sees, and the state after its own step."""
    return program.step_state(state), program.run(state)


@pytest.mark.parametrize("skip", ["cond", pytest.param("mask", marks=pytest.mark.slow)])
def test_every_episode_agrees_with_the_stepper(skip):
    for eps in range(three_nodes.EPISODES):
        compared = assert_same(
            three_nodes.program(skip),
            three_nodes.system(),
            three_nodes.timeline(),
            eps,
            three_nodes.STEPS,
            jax.random.key(3),
        )
        assert compared > 3 * three_nodes.STEPS


@pytest.mark.slow
def test_vmap_over_keys_and_episodes_is_one_by_one():
    program = three_nodes.program()
    keys = jax.random.split(jax.random.key(0), three_nodes.EPISODES)
    eps = jnp.arange(three_nodes.EPISODES)[::-1]
    together = fast(jax.vmap(plain_roll, in_axes=(None, 0, 0)))(program, keys, eps)
    for i in range(three_nodes.EPISODES):
        compare(roll(program, keys[i], eps[i]), jax.tree.map(lambda leaf, i=i: leaf[i], together), f"rollout {i}: ")


@pytest.mark.slow
def test_step_by_step_is_the_rollout():
    program = three_nodes.program()
    state, _ = begin(program, jax.random.key(1), 1, 0)
    last, record = roll(program, jax.random.key(1), 1)
    for k in range(three_nodes.STEPS):
        seen, state = step(program, state)
        assert int(seen.seq) == int(record["agent"].seq[k]) == k
        compare(seen.inputs, jax.tree.map(lambda leaf, k=k: leaf[k], record["agent"].fields["inputs"]), f"step {k}: ")
    compare(last, state, "last state: ")


def test_records_come_at_the_rates_of_the_nodes():
    program = three_nodes.program()
    _, record = roll(program, jax.random.key(1), 0)
    for name, node in record.items():
        seq = np.asarray(node.seq)
        assert len(seq) == three_nodes.STEPS * program.plan.template.count(name)
        ran = seq[seq >= 0]
        np.testing.assert_array_equal(ran, np.arange(ran[0], ran[-1] + 1))
        starts = three_nodes.timeline().steps[name].start[0, ran] / 1e9
        np.testing.assert_array_equal(np.asarray(node.ts)[seq >= 0], starts.astype(np.float32))
        assert ran[-1] + 1 == (three_nodes.STEPS if name == "agent" else program.plan.before[name][0, -1])
    assert (np.asarray(record["world"].seq) < 0).any()  # 25 Hz beside 10: some slots stay empty


def test_a_late_start_sees_nothing_from_before():
    program, first = three_nodes.program(), 3
    state, seen = begin(program, jax.random.key(1), 0, first)
    assert int(seen.seq) == first
    before = {name: int(program.plan.before[name][0, first + program.plan.warmup - 1]) for name in ("world", "sensor")}
    for k in range(first, three_nodes.STEPS + 1):
        window = seen.inputs["sensor"]
        newest = int(three_nodes.timeline().newest(three_nodes.timeline().spec.edge("sensor_agent"))[0, k])
        wanted = np.arange(newest - 2, newest + 1)
        wanted = np.where(wanted >= before["sensor"], wanted, -1)
        np.testing.assert_array_equal(window.seq, wanted)
        assert (np.asarray(window.ts_sent)[wanted < 0] == 0).all()
        initial = program.init(jax.random.key(1)).outputs["sensor"]
        for entry in np.flatnonzero(wanted < 0):
            compare(
                jax.tree.map(lambda leaf: leaf[0], initial),
                jax.tree.map(lambda leaf, entry=entry: leaf[entry], window.data),
                f"gap at step {k}: ",
            )
        if k < three_nodes.STEPS:
            state = step(program, state)[1]
            seen = fast(Program.step_state)(program, state)
    assert wanted.min() >= 0  # the last window is filled again


def test_past_the_end_nothing_runs():
    program = three_nodes.program()
    state, _ = roll(program, jax.random.key(1), 0)
    assert bool(program.is_over(state))
    for _ in range(3):
        seen, after = step(program, state)
        assert int(fast(Program.step_state)(program, after).seq) == -1
        for name in ("world", "sensor"):
            compare(state.state[name], after.state[name], f"{name} after the end: ")
            compare(state.outputs[name], after.outputs[name], f"what {name} sent after the end: ")
        state = after
    assert int(seen.seq) == -1


@pytest.mark.slow
def test_gradient_is_that_of_finite_differences():
    program = three_nodes.program()
    names = ("world", "sensor", "agent")
    params = dict(zip(names, map(jnp.float32, (0.6, 0.7, 0.8)), strict=True))

    def final(params):
        state, _ = program.reset(program.init(jax.random.key(4), params, eps=1))
        state, _ = program.rollout(state, keep={})
        return sum(state.state[name].value for name in names)

    gradient, value = fast(jax.grad(final))(params), fast(final)
    for name in names:
        around = [float(value({**params, name: params[name] + change})) for change in (-1e-2, 1e-2)]
        slope = (around[1] - around[0]) / 2e-2
        assert slope != 0
        np.testing.assert_allclose(gradient[name], slope, rtol=0.02, atol=2e-4)


def test_programs_of_one_layout_share_a_compilation():
    traced = []

    @fast
    def last(program: Program, key: jax.Array):
        traced.append(program)
        state, _ = program.reset(program.init(key))
        return program.rollout(state, keep={})[0].state["agent"].value

    one = three_nodes.program()
    for seed in range(1, 40):
        other = three_nodes.program(seed=seed)
        if other.layout == one.layout and other.ints.shape == one.ints.shape and (other.floats != one.floats).any():
            break
    else:
        pytest.fail("no other timeline gave the same template")
    values = [float(last(program, jax.random.key(0))) for program in (one, other)]
    assert len(traced) == 1
    assert values[0] != values[1]


def test_parameters_from_outside_reach_the_nodes():
    params = {"world": jnp.float32(0.25)}
    state = three_nodes.program().init(jax.random.key(0), params)
    assert float(state.params["world"]) == 0.25
    assert float(state.params["sensor"]) == float(three_nodes.program().init(jax.random.key(0)).params["sensor"])


# ------------------------------------------------------------------ refusals


def test_rollouts_refuse_what_there_is_not():
    program = three_nodes.program()
    state = program.init(jax.random.key(0))
    with pytest.raises(RexError, match=f"steps 7: the timeline offers 1 to {three_nodes.STEPS} steps"):
        program.rollout(state, three_nodes.STEPS + 1)
    with pytest.raises(RexError, match="steps 0"):
        program.rollout(state, 0)
    with pytest.raises(RexError, match="no node is called 'wrld'; there are world, sensor, agent"):
        program.rollout(state, keep={"wrld": ("state",)})
    with pytest.raises(RexError, match="'states' is no field of a node; there are params, inputs, state, output"):
        program.rollout(state, keep={"world": ("states",)})


def test_outputs_of_another_structure_or_shape_are_refused():
    program = three_nodes.program()
    state = program.init(jax.random.key(0))
    seen = program.step_state(state)
    with pytest.raises(RexError, match=r"node 'agent': output: step returns .* but init gave .*same structure"):
        program.step(state, seen, jnp.zeros(2))
    output = jax.tree.map(lambda leaf: leaf[0], state.outputs["agent"])
    with pytest.raises(RexError, match=r"node 'agent': output\.value: step returns shape \(3,\).*\(2,\)"):
        program.step(state, seen, output.replace(value=jnp.zeros(3)))


def test_node_code_that_changes_its_state_is_refused(monkeypatch):
    world = three_nodes.system().nodes["world"]
    step = type(world).step
    monkeypatch.setattr(world, "step", lambda seen: (seen.replace(state=jnp.zeros(())), step(world, seen)[1]), False)
    with pytest.raises(RexError, match="node 'world': state"):
        three_nodes.program().reset(three_nodes.program().init(jax.random.key(0)))


def test_a_plan_for_another_supervisor_is_refused():
    from rexcli.system.system import System

    system = three_nodes.system()
    nodes = [(system.specs[name], type(node)()) for name, node in system.nodes.items()]
    other = System(nodes, list(system.edges.values()), "sensor")
    with pytest.raises(RexError, match="supervisor 'agent', but the system's is 'sensor'; compile again"):
        Program(other, three_nodes.program().plan)
