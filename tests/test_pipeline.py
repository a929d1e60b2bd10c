"""The Python door: the README's session runs as it stands, but for its sizes; and both executors agree."""

from __future__ import annotations

import re
from pathlib import Path

import jax
import matplotlib as mpl
import numpy as np
import pytest

import rexcli as rex
import rexcli.rl.metrics as rex_metrics
from rexcli.compiler.plan import make_plan
from rexcli.compiler.plan_arrays import plan_from_arrays, plan_to_arrays
from rexcli.compiler.program import Program
from rexcli.pipeline import timeline_for
from rexcli.rl import evaluate as evaluation
from rexcli.rl.ppo import PPO
from rexcli.runs.rundir import Run
from rexcli.system.spec import Edge, NodeSpec
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.edit import drop

README = Path(__file__).parents[1] / "README.md"


def session() -> str:
    """The README's Python session."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    (found,) = [block for block in blocks if "rex.compose" in block]
    return found


def test_the_readme_session_records_and_draws(tmp_path, monkeypatch, capsys):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    until = session().index("# Compile it")
    exec(session()[:until].replace("range(300)", "range(20)").replace("steps=300", "steps=20"), {})
    assert Path("dataflow.png").stat().st_size > 10_000
    assert re.search(r"world angle \(2\d,\)", capsys.readouterr().out)


@pytest.mark.slow
def test_the_readme_session_runs(tmp_path, monkeypatch, capsys):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    smaller = {
        '"rollout.num=10000"': '"rollout.num=16"',
        '"ppo.num_seeds=5"': '"ppo.num_seeds=1", "ppo.total_timesteps=4096", "ppo.num_evals=1", "eval.episodes=8"',
    }
    code = session()
    for size, small in smaller.items():
        assert size in code
        code = code.replace(size, small)
    names: dict[str, object] = {}
    exec(code, names)  # the README is ours
    assert Path("dataflow.png").stat().st_size > 10_000
    assert names["angles"].shape[0] == 16  # type: ignore[attr-defined]
    assert "hold" in capsys.readouterr().out


def test_stepper_and_program_agree_on_the_pendulum():
    experiment = rex.compose("pendulum")
    system = rex.build(experiment)
    timeline = rex.simulate(system, seed=3, episodes=2, steps=30)
    program = rex.compile(experiment, system, timeline)

    @jax.jit
    def roll(program, key, eps):
        return program.rollout(program.reset(program.init(key, eps=eps))[0])[1]

    for eps in range(2):
        memory = rex.InMemoryRecorder()
        stepper = rex.Stepper(system, timeline, listener=memory)
        state, _ = stepper.reset(stepper.init(jax.random.key(1), eps=eps))
        for _ in range(30):
            state = stepper.run(state)
        stepper.stop()
        for name, record in roll(program, jax.random.key(1), eps).items():
            ran = np.asarray(record.seq) >= 0
            states, outputs = memory.steps(name, eps)
            seq = np.asarray(record.seq)[ran]
            assert ran.sum() >= 25
            for kind, want in (("state", states.state), ("output", outputs)):
                got = jax.tree.map(lambda leaf, ran=ran: np.asarray(leaf)[ran], record.fields[kind])
                jax.tree.map(
                    lambda a, b, seq=seq: np.testing.assert_allclose(b, a[seq], rtol=1e-4, atol=1e-4), want, got
                )


def saved(folder: Path, timeline: rex.Timeline) -> str:
    """A run with nothing but a timeline; returns its folder."""
    run = Run.create(folder, "pendulum", "record", argv=["rex"], seed=0, config_yaml="name: pendulum\n")
    with run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
    return str(run.path)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A timeline of the pendulum, and a run with it."""
    whole = rex.simulate(rex.build(rex.compose("pendulum")), steps=30)
    return whole, saved(tmp_path_factory.mktemp("recorded"), whole)


def test_what_a_recording_lacks_is_simulated_around_it(tmp_path):
    system = rex.build(rex.compose("pendulum"))
    whole = rex.simulate(system, seed=5, episodes=2, steps=30)
    robot = saved(tmp_path, drop(whole, nodes=["world"]))
    experiment = rex.compose("pendulum", f"from={robot}")
    timeline, parents = timeline_for(experiment, system)
    assert [str(parent) for parent in parents] == [robot]
    for name in ("sensor", "agent", "actuator"):
        np.testing.assert_array_equal(timeline.steps[name].start, whole.steps[name].start)
    assert timeline.steps["world"].count.min() > 30
    program = rex.compile(experiment, system, timeline)
    state, _ = jax.jit(lambda program: program.reset(program.init(jax.random.key(0))))(program)
    assert jax.numpy.isfinite(state.state["world"].th)


def test_what_a_system_lacks_of_a_recording_is_left_out(recorded):
    whole, run = recorded
    experiment = rex.compose("pendulum", f"from={run}", "~edges.actuator_world")
    timeline, _ = timeline_for(experiment, rex.build(experiment))
    assert "actuator_world" not in timeline.messages
    assert set(timeline.steps) == set(whole.steps)


def test_a_recording_of_other_ends_is_refused(recorded):
    changes = ("edges.world_sensor.from=actuator", "edges.world_sensor.skip=true", "edges.world_sensor.name=world")
    experiment = rex.compose("pendulum", f"from={recorded[1]}", *changes)
    with pytest.raises(rex.RexError, match="edge 'world_sensor' was world -> sensor"):
        timeline_for(experiment, rex.build(experiment))


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("nodes.world.rate=100", r"command line: nodes\.world\.rate=100: the recording was made with 50"),
        ("nodes.agent.rate=25", r"nodes\.agent\.rate=25: the recording was made with 50"),
        ("nodes.sensor.scheduling=phase", r"nodes\.sensor\.scheduling=phase: the recording was made with frequency"),
        ("nodes.agent.advance=true", r"nodes\.agent\.advance=true: the recording was made with false"),
        ("edges.sensor_agent.blocking=false", r"edges\.sensor_agent\.blocking=false: the recording was made with true"),
        ("edges.world_sensor.jitter=buffer", r"edges\.world_sensor\.jitter=buffer: the recording was made with latest"),
        ("edges.world_sensor.skip=true", r"edges\.world_sensor\.skip=true: the recording was made with false"),
        ("nodes.agent.delay=0.05", r"nodes\.agent\.delay: from=.* has the delays that were recorded"),
        ("edges.world_sensor.delay.loc=0.05", r"edges\.world_sensor\.delay: from=.* has the delays that were recorded"),
        ("timeline.steps=50", r"timeline\.steps: from=.* has a timeline of its own"),
        ("timeline.episodes=5", r"timeline\.episodes: from=.* has a timeline of its own"),
    ],
)
def test_what_a_recording_decides_cannot_be_declared_otherwise(recorded, change, refusal):
    experiment = rex.compose("pendulum", f"from={recorded[1]}", change)
    with pytest.raises(rex.RexError, match=refusal):
        timeline_for(experiment, rex.build(experiment))


@pytest.mark.parametrize(
    "change",
    ["edges.sensor_agent.window=5", "edges.world_sensor.delay={_target_: rexcli.AdjustableDelay, low: 0, high: 0.01}"],
)
def test_what_a_recording_leaves_open_is_honoured(recorded, change):
    whole, run = recorded
    experiment = rex.compose("pendulum", f"from={run}", change)
    timeline, _ = timeline_for(experiment, rex.build(experiment))
    np.testing.assert_array_equal(timeline.steps["agent"].start, whole.steps["agent"].start)
    assert timeline.spec.edge("sensor_agent").window == (5 if "window" in change else 3)
    assert timeline.spec.edge("world_sensor").adjustable == (0 if "window" in change else 10_000_000)


def test_a_saved_plan_is_the_plan_that_a_search_finds(tmp_path):
    experiment = rex.compose("pendulum")
    system = rex.build(experiment)
    timeline = rex.simulate(system, episodes=3, steps=40)
    plan = rex.compile(experiment, system, timeline).plan
    again = plan_from_arrays(plan_to_arrays(plan), timeline)
    assert again.template == plan.template
    assert (again.warmup, again.rings, again.efficiency) == (plan.warmup, plan.rings, plan.efficiency)
    for slot, other in zip(plan.table.slots(), again.table.slots(), strict=True):
        jax.tree.map(np.testing.assert_array_equal, vars(slot)["tick"], vars(other)["tick"])
    with pytest.raises(rex.RexError, match="run rex compile again"):
        plan_from_arrays(plan_to_arrays(plan), rex.simulate(system, episodes=2, steps=40))


class Bare:
    """The least that a node can be: it sends nothing."""

    def step(self, step_state):
        return step_state, None


def test_a_node_may_be_three_lines():
    nodes = [(NodeSpec("a", 20.0), Bare()), (NodeSpec("b", 10.0), Bare())]
    edges = [Edge("ab", "a", "b", "a", window=2), Edge("ba", "b", "a", "b", skip=True, blocking=True)]
    system = rex.System(nodes, edges, "b")
    timeline = rex.simulate(system, steps=5)
    stepper = rex.Stepper(system, timeline)
    state, _ = stepper.reset(stepper.init(jax.random.key(0)))
    for _ in range(5):
        state = stepper.run(state)
    program = Program(system, make_plan(timeline))
    state, _ = program.reset(program.init(jax.random.key(0)))
    state = program.run(state)
    state, record = program.rollout(state, 3)
    assert int(state.step) == 4
    assert record["a"].seq.max() > 4


@pytest.fixture(scope="module")
def small():
    """A pendulum whose policy has learned nothing: experiment, program of 40 steps, task, policy."""
    experiment = rex.compose("pendulum", "eval.episodes=3", "eval.seconds=0.8", "eval.metrics.hold.last=0.2")
    system = rex.build(experiment)
    program = rex.compile(experiment, system, rex.simulate(system, steps=40))
    task = rex.environment(experiment, system)
    ppo = PPO(task, experiment.ppo)
    return experiment, program, task, ppo.policy(jax.jit(ppo.init)(program, jax.random.key(0)).learned)


@pytest.mark.slow
def test_a_second_evaluation_compiles_nothing_and_a_changed_task_does(small):
    experiment, program, task, policy = small
    rex.evaluate(experiment, program, task, policy)
    compiled = evaluation._compiled_evaluation()._cache_size()
    again = rex.evaluate(experiment, program, task, policy)
    assert evaluation._compiled_evaluation()._cache_size() == compiled
    task.metrics = {**task.metrics, "low": rex_metrics.Lowest("upright")}
    assert "low" in rex.evaluate(experiment, program, task, policy).summary
    assert "low" not in again.summary
    assert evaluation._compiled_evaluation()._cache_size() == compiled + 1


def test_python_refuses_what_the_commands_refuse(small):
    _, program, task, policy = small

    def changed(*overrides):
        return rex.compose("pendulum", "eval.seconds=0.8", "eval.metrics.hold.last=0.2", *overrides)

    with pytest.raises(rex.RexError, match=r"eval\.seconds=5 takes 250 supervisor steps, but the timeline has 40"):
        rex.evaluate(changed("eval.seconds=5"), program, task, policy)
    with pytest.raises(rex.RexError, match="steps 41: the timeline offers 1 to 40"):
        rex.rollout(changed("rollout.steps=41"), program)
    with pytest.raises(rex.RexError, match=r"lasts 3 s, 150 steps of supervisor 'agent', but the longest .* has 40"):
        rex.train(changed(), program, task)
    with pytest.raises(rex.RexError, match=r"params: no node is called 'wrld'; did you mean 'world'"):
        rex.rollout(changed("rollout.num=2"), program, params={"wrld": 1})
    with pytest.raises(rex.RexError, match="eps 1: the timeline has episodes 0 to 0"):
        program.init(jax.random.key(0), eps=1)
    with pytest.raises(rex.RexError, match="starting_step 40: the timeline has steps 0 to 39"):
        program.init(jax.random.key(0), starting_step=40)
    with pytest.raises(rex.RexError, match="init_order=agent: it stands there twice"):
        rex.build(changed("init_order=[agent,agent]"))
