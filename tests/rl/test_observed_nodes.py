"""What a task looks at: found by tracing, and the same instant whatever executes the system."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from rexcli import Environment, RexError
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.rl.graph_env import GraphEnv
from rexcli.rl.observed_nodes import observed_nodes
from rexcli.system.spec import NodeSpec
from rexcli.system.system import System
from tests.compiler.program_law import NO_SHRINKING
from tests.compiler.timelines import draw_timeline
from tests.random_systems import CLOSE_RATES, Mixer, systems
from tests.rl.observation_law import Looking, by_program, by_stepper, sees_the_same
from tests.rl.pendulum import make_system, make_task
from tests.rl.tiny import Agent, ToZero, tiny_system

quick = settings(
    max_examples=1, phases=NO_SHRINKING, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@given(data=st.data(), system=systems(4, CLOSE_RATES))
@quick
def test_a_task_sees_the_same_in_the_stepper_and_in_every_mode_of_the_program(data, system):
    sees_the_same(data, system, max_steps=6)


@pytest.mark.slow
@seed(1)
@given(data=st.data(), system=systems(8, CLOSE_RATES))
@settings(quick, max_examples=8, derandomize=False, database=None)
def test_a_task_sees_the_same_on_many_systems(data, system):
    sees_the_same(data, system, max_steps=12)


class Twin(Mixer):
    """Takes no time."""


@pytest.mark.parametrize("names", [("own", "other"), ("other", "own")])
def test_what_ends_at_the_very_instant_of_the_last_step_is_seen(names):
    """Both run at 10 Hz and take no time, in whichever order they are declared."""
    system = System([(NodeSpec(name, 10.0), Twin(draws=False)) for name in names], [], "own")
    timeline = draw_timeline(system, 1, 3)
    task = Looking(["other"], ["other"]).bind(system)
    program = Program(system, make_plan(timeline, observed=task.observed))
    seen = by_program(program, task, jax.random.split(jax.random.key(0), 1), jnp.array([0]), 3)
    stepped = by_stepper(system, timeline, task, jax.random.split(jax.random.key(0), 1)[0], 0, 3)
    assert seen["measures"]["other"][0].tolist() == stepped["measures"]["other"].tolist() == [1, 2, 34]


class Indirect(Environment):
    """Each method looks at a node in a way of its own, or seems to."""

    def reward(self, graph_state):
        @jax.jit
        def pick(a, b):
            return a.sum() * 2, b

        return pick(graph_state.state["world"], graph_state.state["agent"])[0]

    def before_step(self, graph_state):
        same = jax.tree.map(lambda leaf: leaf, graph_state.state)
        return graph_state.replace(state=same)


class Constant(Environment):
    """Looks at nothing: what it computes of the world it does not use."""

    def reward(self, graph_state):
        jnp.sin(graph_state.state["world"])
        return jnp.ones(())


class Resets(Constant):
    """Writes a state that it does not look at."""

    def before_step(self, graph_state):
        return graph_state.replace(state={**graph_state.state, "world": jnp.zeros(1)})


class Branches(Constant):
    def terminated(self, graph_state):
        return jax.lax.cond(
            graph_state.step > 1, lambda world: world[0] > 0, lambda _: False, graph_state.state["world"]
        )


@pytest.mark.parametrize(
    ("task", "observed"),
    [
        (ToZero(), ("world",)),
        (Indirect(), ("world",)),
        (Constant(), ()),
        (Resets(), ("world",)),
        (Branches(), ("world",)),
    ],
)
def test_what_a_task_looks_at_is_found(task, observed):
    assert task.bind(tiny_system()).observed == observed


def test_parameters_count_since_steps_may_change_them_and_the_supervisor_does_not():
    class Params(Environment):
        def reward(self, graph_state):
            return graph_state.params["world"].mass + graph_state.state["agent"].th

    assert Params().bind(make_system()).observed == ("world",)
    assert make_task(make_system()).observed == ("world",)


def test_outputs_are_not_for_tasks():
    class Outputs(Environment):
        def reward(self, graph_state):
            return graph_state.outputs["world"][0]

    with pytest.raises(RexError, match=r"Outputs\.reward looks at graph_state\.outputs\['world'\].*keep in its state"):
        observed_nodes(Outputs().bind(tiny_system()))


def test_before_step_keeps_types_and_shapes():
    class Widens(Constant):
        def before_step(self, graph_state):
            return graph_state.replace(state={**graph_state.state, "world": jnp.zeros(1, jnp.int32)})

    class Loses(Constant):
        def before_step(self, graph_state):
            return graph_state.replace(state={"agent": graph_state.state["agent"]})

    with pytest.raises(RexError, match=r"before_step: graph_state\.state\['world'\] becomes int32\[1\].*float32\[1\]"):
        observed_nodes(Widens().bind(tiny_system()))
    with pytest.raises(RexError, match=r"before_step returns .* return the same structure"):
        observed_nodes(Loses().bind(tiny_system()))


def test_a_program_that_was_planned_without_the_task_is_refused():
    system = tiny_system()
    plan = make_plan(draw_timeline(system, 1, 4))
    with pytest.raises(RexError, match=r"ToZero looks at the state of node 'world'.*task=task"):
        GraphEnv(ToZero().bind(system), Program(system, plan))


def test_a_task_that_is_bound_again_forgets_the_other_system():
    class Pair(Agent):
        def init_output(self, rng, graph_state):
            return jnp.zeros(2)

    task = Constant().bind(tiny_system())
    assert (task.action_space.size, task.observed) == (1, ())
    nodes = [(NodeSpec("agent", 10), Pair())]
    assert task.bind(System(nodes, [], "agent")).action_space.size == 2
