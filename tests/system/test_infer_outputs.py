"""Nodes that leave `init_output` out: what they send is found by tracing `step`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.system.init import init_graph_state
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.system import System
from tests.compiler.stepper_oracle import Log, compare, roll
from tests.rl.tiny import ToZero

KEY = jax.random.key(0)


@struct.dataclass
class Reading:
    """Leaves of every kind."""

    angle: jax.Array
    count: jax.Array
    fresh: jax.Array
    key: jax.Array


class Sensor(rex.Node):
    """Sends a reading of what `init_state` gave; counts how often its step is traced."""

    traced = 0

    def __init__(self, size: int = 3):
        self.size = size

    def init_state(self, rng, graph_state):
        return jnp.ones(self.size)

    def step(self, step_state):
        self.traced += 1
        rng, key = jax.random.split(step_state.rng)
        state = 0.9 * step_state.state
        return step_state.replace(rng=rng, state=state), Reading(state, step_state.seq, step_state.seq > 1, key)


class Filter(rex.Node):
    """Ten lines: sends the mean of its window, and nothing else is written."""

    def step(self, step_state):
        return step_state, step_state.inputs["sensor"].data.angle.mean()


class Agent(rex.Node):
    def step(self, step_state):
        return step_state, {"torque": jnp.tanh(step_state.inputs["filter"][-1].data)[None], "on": 1}


class World(rex.Node):
    """Closes the loop, so it says what it sends."""

    def init_output(self, rng, graph_state):
        return jnp.full(2, 7.0)

    def step(self, step_state):
        return step_state, jnp.full(2, step_state.inputs["agent"][-1].data["torque"][0])


def chain(**options) -> System:
    """Declared against the order of dependency, so that it has to be found."""
    nodes = {"agent": Agent(), "filter": Filter(), "sensor": Sensor(**options), "world": World()}
    edges = [
        Edge("filter_agent", "filter", "agent", "filter"),
        Edge("sensor_filter", "sensor", "filter", "sensor", window=2),
        Edge("world_sensor", "world", "sensor", "world"),
        Edge("agent_world", "agent", "world", "agent", skip=True),
    ]
    return System([(NodeSpec(name, 10.0), node) for name, node in nodes.items()], edges, "agent")


def test_outputs_begin_as_zeros_of_the_structure_that_step_sends():
    state = init_graph_state(chain(), KEY)
    sensor = state.outputs["sensor"]
    assert isinstance(sensor, Reading)
    assert [leaf.dtype.name for leaf in (sensor.angle, sensor.count, sensor.fresh)] == ["float32", "int32", "bool"]
    assert sensor.key.dtype == KEY.dtype
    np.testing.assert_array_equal(sensor.angle, np.zeros(3))
    np.testing.assert_array_equal(jax.random.key_data(sensor.key), [0, 0])
    assert not sensor.fresh
    assert (state.outputs["filter"].shape, state.outputs["agent"]["torque"].shape) == ((), (1,))
    assert state.outputs["agent"]["on"].dtype == jnp.int32
    np.testing.assert_array_equal(state.outputs["world"], [7, 7])


def test_a_step_is_traced_once_for_all_initial_states():
    system = chain()
    for _ in range(3):
        jax.jit(jax.vmap(lambda key: init_graph_state(system, key).outputs))(jax.random.split(KEY, 4))
    init_graph_state(system, KEY)
    assert system.nodes["sensor"].traced == 1


def test_another_structure_of_parameters_is_another_output():
    class Wide(rex.Node):
        def init_params(self, rng, graph_state):
            return jnp.zeros(2)

        def step(self, step_state):
            return step_state, step_state.params

    system = System([(NodeSpec("wide", 10.0), Wide())], [], "wide")
    assert init_graph_state(system, KEY).outputs["wide"].shape == (2,)
    assert init_graph_state(system, KEY, {"wide": jnp.zeros(5)}).outputs["wide"].shape == (5,)


def test_stepper_and_program_agree_on_zeros_before_the_first_message():
    system = chain()
    timeline = rex.simulate(system, steps=5)
    log = Log()
    stepper = rex.Stepper(system, timeline, listener=log)
    state, seen = stepper.reset(stepper.init(KEY))
    np.testing.assert_array_equal(seen.inputs["filter"].seq, [0])
    for _ in range(5):
        state = stepper.run(state)
    assert log.steps["filter", 0][0].inputs["sensor"].seq.tolist() == [-1, 0]
    np.testing.assert_array_equal(log.steps["filter", 0][0].inputs["sensor"].data.angle[0], np.zeros(3))
    program = Program(system, make_plan(timeline))
    for name, record in roll(program, program.init(KEY), 5).items():
        for entry in np.flatnonzero(np.asarray(record.seq) >= 0):
            before, _, output = log.steps[name, int(record.seq[entry])]
            got = jax.tree.map(lambda leaf, entry=entry: leaf[entry], record.fields)
            compare((before.inputs, output), (got["inputs"], got["output"]), f"{name}[{record.seq[entry]}]")


def test_the_wall_clock_runs_them():
    assert rex.WallClock(chain()).run(KEY, steps=3).check().steps == 3


def test_a_task_knows_what_its_supervisor_sees_and_sends():
    task = ToZero().bind(chain())
    assert task.observation_space.size == 1
    assert task.action_space.size == 2
    _, output = task.act(None, jnp.array([0.5, 1.0]))
    np.testing.assert_array_equal(output["torque"], [1.0])


# ------------------------------------------------------------------ what cannot be told


class Echo(rex.Node):
    """Sends what it reads."""

    def step(self, step_state):
        return step_state, [message[-1].data for message in step_state.inputs.values()]


class Hardware(rex.Node):
    jit = False

    def step(self, step_state):
        return step_state, np.float32(1.0)


class Concrete(rex.Node):
    """Cannot be traced, which nobody has said."""

    def step(self, step_state):
        return step_state, 1.0 if float(step_state.ts) > 0 else 2.0


class Quiet(rex.Node):
    """Reads and sends nothing."""

    def step(self, step_state):
        return step_state, None


def joined(nodes: dict[str, rex.Node], *pairs: tuple[str, str]) -> System:
    edges = [Edge(f"{a}_{b}", a, b, a, skip=True) for a, b in pairs]
    return System([(NodeSpec(name, 10.0), node) for name, node in nodes.items()], edges, next(iter(nodes)))


def test_nodes_that_read_each_other_are_named():
    system = joined(
        {"d": Echo(), "a": Echo(), "b": Echo(), "c": Echo()}, ("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")
    )
    with pytest.raises(RexError, match=r"nodes a -> b -> c -> a: .* none has init_output.*write init_output"):
        init_graph_state(system, KEY)
    with pytest.raises(RexError, match="node 'a' reads itself and has no init_output"):
        init_graph_state(joined({"a": Echo()}, ("a", "a")), KEY)


def test_one_init_output_in_a_loop_is_enough():
    class Known(Echo):
        def init_output(self, rng, graph_state):
            return [jnp.zeros(2)]

    system = joined({"a": Echo(), "b": Known(), "c": Echo()}, ("a", "b"), ("b", "c"), ("c", "a"))
    assert jax.tree.map(jnp.shape, init_graph_state(system, KEY).outputs["a"]) == [[[(2,)]]]


def test_a_loop_of_nodes_that_send_nothing_is_fine():
    system = joined({"a": Quiet(), "b": Quiet(), "c": Echo()}, ("a", "b"), ("b", "a"), ("b", "c"))
    assert init_graph_state(system, KEY).outputs == {"a": (), "b": (), "c": [()]}


@pytest.mark.parametrize("node", [Hardware, Concrete])
def test_code_that_cannot_be_traced_has_to_say_what_it_sends(node):
    system = joined({"motor": node()})
    assert init_graph_state(system, KEY).outputs["motor"] == ()
    stepper = rex.Stepper(system, rex.simulate(system, steps=2))
    state, _ = stepper.reset(stepper.init(KEY))
    with pytest.raises(RexError, match=r"node 'motor': output: step returns .* no init_output .* write an init_output"):
        stepper.run(state)


def test_a_reader_of_what_is_not_known_names_its_source():
    class Uses(rex.Node):
        def step(self, step_state):
            return step_state, step_state.inputs["motor"][-1].data.th

    with pytest.raises(RexError, match=r"node 'eye': tracing Uses.step.*reads 'motor', whose output is not known"):
        init_graph_state(joined({"eye": Uses(), "motor": Hardware()}, ("motor", "eye")), KEY)


def test_a_step_that_raises_is_named():
    class Broken(rex.Node):
        def step(self, step_state):
            return step_state, step_state.stat

    with pytest.raises(RexError, match=r"node 'a': tracing Broken.step, .* AttributeError: .*stat.*mend the step"):
        init_graph_state(joined({"a": Broken()}), KEY)


def test_none_is_as_good_as_left_out():
    class Off(Quiet):
        init_output = None
        init_delays = None

    assert init_graph_state(joined({"a": Off()}), KEY).outputs == {"a": ()}
