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
from rexcli.rl import evaluate as evaluation
from rexcli.rl.ppo import PPO
from rexcli.system.spec import Edge, NodeSpec

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
