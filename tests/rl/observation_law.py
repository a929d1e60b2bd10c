"""The law that a task sees the same in every executor, on random systems and random tasks."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume, reject
from hypothesis import strategies as st

from rexcli import Environment
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.runtime.stepper import Stepper
from rexcli.system.system import System
from rexcli.timeline.timeline import Timeline
from tests.compiler.program_law import MAX_SLOTS
from tests.compiler.stepper_oracle import QUICK, compare
from tests.compiler.timelines import draw_timeline


class Looking(Environment):
    """Looks at the counts and values of some nodes, and overwrites those of others before every step."""

    def __init__(self, reads: list[str], writes: list[str]):
        self.reads, self.writes = reads, writes

    def reward(self, graph_state):
        return sum((graph_state.state[name].value for name in self.reads), jnp.zeros(()))

    def terminated(self, graph_state):
        return sum((graph_state.state[name].count for name in self.reads), 0) % 5 == 3

    def measure(self, graph_state):
        return {name: graph_state.state[name].count for name in self.reads}

    def before_step(self, graph_state):
        states = dict(graph_state.state)
        for name in self.writes:
            states[name] = states[name].replace(value=0.5 * states[name].value, count=states[name].count // 2)
        return graph_state.replace(state=states)


def look(task: Environment, state):
    return {"reward": task.reward(state), "terminated": task.terminated(state), "measures": task.measure(state)}


@partial(jax.jit, static_argnames=("task", "steps"), compiler_options=QUICK)
def by_program(program: Program, task: Environment, keys: jax.Array, eps: jax.Array, steps: int):
    """What the task sees after each step, `[batch, steps]`."""

    def episode(key, eps):
        def step(state, _):
            state = task.before_step(state)
            acted, output = program.system.nodes[program.supervisor].step(program.step_state(state))
            state, _ = program.step(state, acted, output)
            return state, look(task, state)

        state, _ = program.reset(program.init(key, eps=eps))
        return jax.lax.scan(step, state, None, length=steps)[1]

    return jax.vmap(episode)(keys, eps)


def by_stepper(system: System, timeline: Timeline, task: Environment, key: jax.Array, eps: int, steps: int):
    for node in system.nodes.values():
        node.jit = False
    stepper = Stepper(system, timeline)
    state, _ = stepper.reset(stepper.init(key, eps=eps))
    seen = []
    for _ in range(steps):
        state = stepper.run(task.before_step(state))
        seen.append(look(task, state))
    stepper.stop()
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *seen)


def sees_the_same(data: st.DataObject, system: System, max_steps: int) -> None:
    """One draw of a task, a timeline and all options of the program, the episodes alone or in a batch."""
    episodes, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, max_steps))
    try:
        timeline = draw_timeline(system, episodes, steps, data.draw(st.integers(0, 1000)))
    except RexError:
        reject()
    some = st.lists(st.sampled_from(list(system.nodes)), unique=True)
    reads, writes = data.draw(some), data.draw(some)
    task = Looking(reads, writes).bind(system)
    assert set(task.observed) == {*reads, *writes} - {system.supervisor}
    plan = make_plan(
        timeline,
        mode=data.draw(st.sampled_from(["mcs", "generational", "topological"])),
        prune=data.draw(st.booleans()),
        lookahead=data.draw(st.integers(0, 2)),
        observed=task.observed,
    )
    assume(len(plan.template) <= MAX_SLOTS)
    program = Program(system, plan, data.draw(st.sampled_from(["cond", "mask"])))
    eps = data.draw(st.lists(st.integers(0, episodes - 1), min_size=1, max_size=3))
    keys = jax.random.split(jax.random.key(7), len(eps))
    try:
        seen = by_program(program, task, keys, jnp.array(eps), steps)
        for place, episode in enumerate(eps[:2]):
            want = by_stepper(system, timeline, task, keys[place], episode, steps)
            compare(want, jax.tree.map(lambda leaf, place=place: np.asarray(leaf[place]), seen), "")
    finally:
        by_program.clear_cache()
