"""Policies that remember: a sequence is step by step, a reset forgets, executors and the export carry the state."""

import functools
from dataclasses import replace

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.config.schema import ObservationConfig
from rexcli.rl.graph_env import GraphEnv
from rexcli.rl.networks import ActorCritic, next_memory, unrolled
from rexcli.rl.normalize import RunningStats
from rexcli.rl.policy import EXPORTED, Policy
from rexcli.rl.ppo import PPO
from rexcli.rl.spaces import Box
from rexcli.runs.recording import RecordingWriter, read_recording
from rexcli.runtime.in_memory import InMemoryRecorder
from rexcli.runtime.stepper import Stepper
from rexcli.runtime.wall.wall_clock import WallClock
from rexcli.system.spec import NodeSpec, RecordSettings
from rexcli.system.system import System
from rexcli.timeline.simulate import simulate
from tests.rl.tiny import TINY, Agent, ToZero, World, table, tiny_program, tiny_system, train_tiny

GRU = replace(TINY, memory="gru", memory_units=5, num_hidden_units=6)
SEEN = ObservationConfig(history=3, ages=True)


class Knowing(ToZero):
    """Its critic sees twice where the world is."""

    def privileged(self, graph_state):
        return {"twice": 2 * graph_state.state["world"]}


@functools.cache
def recurrent_ppo(task=ToZero, **changes):
    ppo = PPO(task().bind(tiny_system()), replace(GRU, **changes))
    return ppo, jax.jit(ppo.init)(tiny_program(), jax.random.key(0))


def random_params(init, seed=0):
    """Random weights of the shapes that `init` gives."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.5, leaf.shape), jnp.float32), jax.eval_shape(init))


@functools.cache
def make_policy(config=SEEN, key=0, space=None, memory="gru"):
    """With random weights, of what `tiny_system` shows: one number, and where ages are seen, one age."""
    size = (1 + config.ages) * config.history
    space = space or Box([-2.0], [2.0])
    network = ActorCritic(1, 2, 8, "relu", "xavier_uniform", categories=space.categories, memory=memory, memory_units=5)
    params = random_params(lambda: network.init(jax.random.key(0), jnp.zeros(size), method="act"), key)
    stats = RunningStats(jnp.full(size, 0.1), jnp.full(size, 0.3), jnp.float32(100))
    return Policy(params, stats, network, space, None, config)


def seeing(config=SEEN, task=ToZero, system=None):
    bound = task().bind(system or tiny_system())
    bound.observation_config = config
    return bound


@functools.cache
def memories():
    """A network's memory over a sequence, and after one step, as functions of parameters."""
    network = ActorCritic(1, 1, 4, memory="gru", memory_units=3)
    sequence = jax.jit(lambda params, *of: unrolled(network, params, "critic", *of))
    step = jax.jit(lambda params, *of: next_memory(network, params, "critic", *of))
    return lambda: network.init(jax.random.key(0), jnp.zeros(2)), sequence, step


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_a_sequence_is_step_by_step_with_resets_on_the_way(seed):
    init, sequence, step = memories()
    rng, params = np.random.default_rng(seed), random_params(init, seed)
    seen, starts = rng.normal(size=(7, 4, 2)).astype(np.float32), rng.random((7, 4)) < 0.3
    now = rng.normal(size=(4, 3)).astype(np.float32)
    whole = sequence(params, seen, starts, now)
    for at in range(7):
        now = step(params, seen[at], np.where(starts[at][:, None], np.float32(0), now))
        np.testing.assert_allclose(whole[at], now, atol=1e-6)


@pytest.mark.slow
def test_an_update_starts_from_the_probabilities_of_what_was_collected_and_goes_on_where_it_ended():
    """Every ratio is 1, also after resets within a sequence, and from a state that is not zeros; the critic sees what
    only the simulator knows, at the same instants, and no policy does."""
    ppo, state = recurrent_ppo(Knowing, critic="privileged")

    @jax.jit
    def update(before):
        state, seen = ppo.collect(tiny_program(), before)
        state, samples, _ = ppo.advantages(state, seen)
        log_prob, value = ppo._actions(state.params, samples).log_prob(samples.raw), ppo._values(state.params, samples)
        last = {
            "actor": ppo._memory(state.params, "actor", samples.observation, samples)[:, -1],
            "critic": ppo._memory(state.params, "critic", samples.seen, samples)[:, -1],
        }
        told = before.privileged.normalize(seen.privileged)
        return state, seen, samples, (log_prob, value, last, told)

    for turn in range(2):
        state, seen, samples, (log_prob, value, last, told) = update(state)
        assert seen.starts[1:].any(), "an episode ends within the sequence"
        assert bool(turn) == bool(jnp.abs(samples.memory["actor"]).max() > 0)
        np.testing.assert_allclose(log_prob, samples.log_prob, atol=1e-5)
        np.testing.assert_allclose(value, samples.target - samples.advantage, atol=1e-5)
        jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), dict(state.memory), last)
        np.testing.assert_allclose(samples.seen[..., 0], samples.observation[..., 0], atol=1e-6)
        np.testing.assert_allclose(samples.seen[..., 1], told[..., 0].T, atol=1e-5)
    inside = ~np.asarray(seen.terminated | seen.truncated)[:-1]
    np.testing.assert_array_equal(
        np.asarray(seen.next_privileged)[:-1][inside], np.asarray(seen.privileged)[1:][inside]
    )
    assert float(state.privileged.count) == 2 * ppo.num_samples
    policy = ppo.policy(state.learned)
    assert set(policy.params["params"]) == {"actor", "actor_memory", "log_std"}
    assert policy.observation_size == 1


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(RexError, match=r"num_minibatches 16: with ppo.memory=gru.*8 environments"):
        PPO(ToZero().bind(tiny_system()), replace(GRU, num_minibatches=16))
    with pytest.raises(RexError, match=r"ppo.critic=privileged: ToZero has no privileged\(graph_state\)"):
        PPO(ToZero().bind(tiny_system()), replace(GRU, critic="privileged"))
    with pytest.raises(RexError, match=r"observation.history=1: .* trained with 3; give observation.history=3"):
        make_policy().controller(ToZero().bind(tiny_system()))
    with pytest.raises(RexError, match=r"this policy remembers: carry its state"):
        make_policy().action(jnp.zeros(6))
    with pytest.raises(RexError, match="critic needs more than an observation"):
        make_policy().value(jnp.zeros(6))


def test_a_history_is_that_of_numpy():
    """Oldest first, the first observation in place of those before it; a message that has not come is as old as the
    episode."""
    task, program = seeing(), tiny_program()
    env = GraphEnv(task, program)
    step, look = jax.jit(env.step), jax.jit(program.step_state)
    reset = jax.jit(lambda: env.reset(jax.random.key(0), starting_step=3))
    state, observation = reset()
    frames = []
    for turn in range(6):
        raw = look(state.graph_state)
        message = raw.inputs["world"][-1]
        frames.append([float(raw.inputs["world"].data[-1, 0]), turn * 0.1 if message.seq < 0 else float(message.age)])
        known = np.array([frames[0]] * 2 + frames)[-3:]
        np.testing.assert_allclose(observation, known.ravel(), atol=1e-6)
        state, outcome = step(state, jnp.array([0.5]))
        observation = outcome.observation
    assert task.observation_space.size == 6
    again, first = reset()
    np.testing.assert_allclose(first, np.tile(frames[0], 3), atol=1e-6)
    assert not again.graph_state.memory["observations"]["begun"]


class Named(ToZero):
    def observe(self, step_state):
        return {"place": step_state.inputs["world"][-1].data, "late": step_state.inputs["world"][-1].age > 0.05}


def test_a_dict_of_observations_is_stacked_by_name():
    task, program = seeing(task=Named), tiny_program()
    _, seen = jax.eval_shape(lambda: GraphEnv(task, program).reset(jax.random.key(0)))
    assert {name: (leaf.shape, str(leaf.dtype)) for name, leaf in seen.items()} == {
        "ages": ((3, 1), "float32"),
        "late": ((3,), "bool"),
        "place": ((3, 1), "float32"),
    }

    class Taken(ToZero):
        def observe(self, step_state):
            return {"ages": jnp.zeros(1)}

    with pytest.raises(RexError, match=r"observation.ages: Taken.observe returns 'ages' itself"):
        _ = seeing(task=Taken).observation_space


def replayed(call, state, places, seqs, ages):
    """Actions of an exported policy that is given one observation after another, from `state` on."""
    actions = []
    for tick, (place, seq, age) in enumerate(zip(places, seqs, ages, strict=True)):
        seen = jnp.array([place, tick * 0.1 if seq < 0 else age], jnp.float32)
        action, state = call(state, seen)
        actions.append(float(action[0]))
    return np.array(actions)


@pytest.mark.slow
def test_the_export_is_the_simulated_policy_on_every_executor(tmp_path):
    """Program, stepper and wall clock send what the exported function says, with its state carried, to 1e-6."""
    policy = make_policy()
    policy.save(tmp_path / "policy")
    again = Policy.load(tmp_path / "policy")
    assert jax.tree.structure(again) == jax.tree.structure(policy)
    exported = jax.export.deserialize(bytearray((tmp_path / "policy" / EXPORTED).read_bytes()))
    begin, _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)[0]
    begin = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), begin)
    replay = functools.partial(replayed, jax.jit(exported.call), begin)

    agent = NodeSpec("agent", 10, record=RecordSettings(inputs=True))
    edges, spec = tiny_system().edges.values(), tiny_system().specs["world"]
    system = System([(spec, World()), (agent, Agent())], list(edges), "agent")
    controller = again.controller(seeing(system=system))

    def sample(kind, name, ticks):
        return system.sample_delays(kind, name, 0, 1, ticks)

    timeline = simulate(system.timing, sample, episodes=1, steps=12)
    keep = {"agent": ("inputs", "output")}
    program = tiny_program()

    @jax.jit
    def roll(key):
        start, _ = program.reset(program.init(key))
        return program.rollout(start, 12, controller=controller, keep=keep)

    state, record = roll(jax.random.key(3))
    world = record["agent"].fields["inputs"]["world"]
    sent = record["agent"].fields["output"][:, 0]
    assert np.ptp(sent) > 0.1, "the policy acts"
    known = replay(world.data[:, 0, 0], world.seq[:, 0], world.age[:, 0])
    np.testing.assert_allclose(sent, known, atol=1e-6)
    one_by_one = zip(world.data[:, 0], world.seq, world.age, strict=True)
    forgetful = [replay(*each)[0] for each in one_by_one]
    assert np.abs(np.array(forgetful) - sent).max() > 1e-3, "the state matters"

    recorder = InMemoryRecorder()
    stepper = Stepper(system, timeline, recorder)
    now, _ = stepper.reset(stepper.init(jax.random.key(3)))
    for _ in range(12):
        now = stepper.run(now, controller)
    stepper.stop()
    np.testing.assert_allclose(recorder["agent"][1][:, 0], sent, atol=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-6), now.memory, state.memory)

    with RecordingWriter(tmp_path / "recording.mcap", system.timing) as writer:
        WallClock(system, writer, controller=controller).run(jax.random.key(3), steps=8).check()
    wall = read_recording(tmp_path / "recording.mcap")
    inputs, output = wall.values("agent", "inputs"), wall.values("agent", "output")[""][0, :8, 0]
    known = replay(*(inputs[f"world.{name}"][0, :8].reshape(8) for name in ("data", "seq", "age")))
    np.testing.assert_allclose(output, known, atol=1e-6)


@pytest.mark.slow
def test_a_training_that_remembers_goes_on_bit_for_bit_and_names_what_is_not_finite():
    changes = replace(GRU, critic="privileged")
    kept = []
    whole = train_tiny(seeing(task=Knowing), changes, on_checkpoint=kept.append)
    rest = train_tiny(seeing(task=Knowing), changes, start=kept[0])
    assert table(rest) == (table(whole)[0], table(whole)[1][2:])
    for one, other in zip(whole.policies, rest.policies, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)

    class Poisoned(ToZero):
        def observe(self, step_state):
            seen = super().observe(step_state)
            return jnp.where((step_state.eps == 1) & (step_state.seq == 9), jnp.nan, seen)

    with pytest.raises(RexError, match=r"the task's observation is NaN at step 9 of 'agent'"):
        train_tiny(seeing(task=Poisoned), GRU)
