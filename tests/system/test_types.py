"""What a step may return: the same for every executor, and never a number that is lost without a word."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rexcli as rex
from rexcli.compiler.plan import make_plan
from rexcli.compiler.program import Program
from rexcli.errors import RexError
from rexcli.runtime.wall.realtime_call import CallState, prepare
from rexcli.system.spec import Edge, NodeSpec
from rexcli.system.states import StepState
from rexcli.system.system import System
from rexcli.system.types import StepTypes, conform, conform_step

KEY = jax.random.key(0)
NAMES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "bfloat16", "float32", "complex64")
TYPES = [jnp.dtype(name) for name in NAMES]
BOOL = TYPES[0]


def extremes(dtype) -> np.ndarray:
    """Values of a type that are the hardest to hold."""
    if dtype == BOOL:
        return np.array([False, True])
    if jnp.issubdtype(dtype, jnp.integer):
        info = jnp.iinfo(dtype)
        return np.array([info.min, info.max, info.max - 1], dtype)
    info = jnp.finfo(dtype)
    values = np.array([info.max, info.tiny, info.smallest_subnormal, 1 + info.eps, -1.0]).astype(info.dtype)
    return values * np.array(1j, dtype) if jnp.issubdtype(dtype, jnp.complexfloating) else values.astype(dtype)


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from(TYPES))
def test_a_cast_is_made_where_no_value_is_lost_and_refused_elsewhere(want, got):
    values = extremes(got)
    with np.errstate(all="ignore"):
        back = values.astype(want, copy=True)
    held = (back.astype(np.complex128) == values.astype(np.complex128)).all()
    exact = want == got or (held and want != BOOL)
    declared = jax.ShapeDtypeStruct(values.shape, want)
    for returned in (values, jnp.asarray(values)):
        if exact:
            cast = conform("n", "state", declared, returned)
            assert cast.dtype == want
            np.testing.assert_array_equal(np.asarray(cast).astype(np.complex128), back.astype(np.complex128))
        else:
            with pytest.raises(RexError, match=rf"node 'n': state: step returns .*, but init gave {want.name}"):
                conform("n", "state", declared, returned)


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from([True, 1, 0.5, 1j]))
def test_numbers_of_python_take_the_declared_type_if_it_is_of_their_kind(want, number):
    kinds = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)
    of_want = next(i for i, kind in enumerate(kinds) if jnp.issubdtype(want, kind))
    declared = jnp.zeros((), want)
    weak = jax.jit(lambda: jnp.asarray(number) * 1 if number is not True else jnp.asarray(number))()
    for returned in (number, weak):
        if (bool, int, float, complex).index(type(number)) <= of_want:
            cast = conform("n", "output", declared, returned)
            assert (cast.dtype, cast.weak_type) == (want, False)
            assert complex(cast) == number
        else:
            with pytest.raises(RexError, match="node 'n': output: step returns"):
                conform("n", "output", declared, returned)


def returned_leaves() -> st.SearchStrategy:
    """Leaves that a step may return: arrays of either library, scalars of NumPy and of Python, and strings."""
    shapes = st.sampled_from([(), (1,), (2,)])
    arrays = st.builds(lambda dtype, shape: np.ones(shape, dtype), st.sampled_from(TYPES), shapes)
    scalars = st.sampled_from([True, 1, 300, 0.5, float("nan"), 1j, np.float64(0.1), np.int64(2**40), "one"])
    return st.one_of(arrays, arrays.map(jnp.asarray), arrays.map(lambda array: array.reshape(-1)[0]), scalars)


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.sampled_from([(), (2,)]), returned_leaves())
def test_the_quick_check_of_a_step_finds_what_the_whole_one_finds(want, shape, leaf):
    before = CallState(KEY, {"mass": jnp.ones(())}, {"leaf": jnp.zeros(shape, want)})
    nil = jnp.zeros(())
    after = StepState(KEY, before.params, {"leaf": leaf}, {}, *[nil] * 5)

    def outcome(check):
        try:
            found, output = check((after, None))
        except RexError as error:
            return str(error)
        kept = found.state["leaf"]
        return type(kept), kept.dtype, kept.shape, np.asarray(kept).tobytes(), output

    quick = outcome(StepTypes("n", before, ()).conform)
    assert quick == outcome(lambda returned: conform_step("n", before, (), returned, as_numpy=True))


@pytest.mark.parametrize(("want", "got"), [(jnp.uint8, 256), (jnp.int32, np.int64(2**40)), (jnp.int8, -129)])
def test_integers_that_do_not_fit_are_refused_with_the_number(want, got):
    with pytest.raises(RexError, match=f"'count'.*: step returns {got}, but init gave {jnp.dtype(want).name}"):
        conform("n", "state", {"count": jnp.zeros((), want)}, {"count": got})


class Odd(rex.Node):
    """Begins with one thing and returns another."""

    def __init__(self, begin, change, part="state", jit=True):
        self.begin, self.change, self.part, self.jit = begin, change, part, jit

    def _first(self, part):
        return {"leaf": self.begin} if part == self.part else ()

    def init_params(self, rng, graph_state):
        return self._first("params")

    def init_state(self, rng, graph_state):
        return self._first("state")

    def init_output(self, rng, graph_state):
        return {"seen": jnp.zeros(())} if self.part != "output" else self._first("output")

    def step(self, step_state):
        if self.part == "output":
            return step_state, {"leaf": self.change(self.begin)}
        old = getattr(step_state, self.part)
        new = {"leaf": self.change(old["leaf"])}
        return step_state.replace(**{self.part: new}), {"seen": jnp.asarray(new["leaf"]).sum().astype(jnp.float32)}


class Boss(rex.Node):
    """Does nothing."""

    def step(self, step_state):
        return step_state, None


def pair(node: Odd, supervisor: str) -> System:
    """`odd` and `boss`; the supervisor reads the other, with `skip`."""
    other = "odd" if supervisor == "boss" else "boss"
    nodes = [(NodeSpec("odd", 10.0), node), (NodeSpec("boss", 10.0), Boss())]
    return System(nodes, [Edge("e", other, supervisor, "other")], supervisor)


def numbers(executor: str, node: Odd, steps: int = 4) -> dict[int, tuple[str, float]]:
    """Type and sum of the leaf in question, by tick, as an executor has them."""
    node.jit = executor not in ("plain stepper", "plain wall")
    found = {}

    def note(k, part, output):
        leaf = (output if node.part == "output" else part)["leaf"]
        found[k] = str(jnp.result_type(leaf)), float(np.asarray(leaf, np.float32).sum())

    system = pair(node, "boss")
    timeline = rex.simulate(system, steps=steps)
    if "stepper" in executor:
        memory = rex.InMemoryRecorder()
        stepper = rex.Stepper(system, timeline, listener=memory)
        state, _ = stepper.reset(stepper.init(KEY))
        for _ in range(steps):
            state = stepper.run(state)
        after, output = memory["odd"]
        for k in range(steps):
            note(k, *jax.tree.map(lambda leaf, k=k: leaf[k], (getattr(after, node.part, ()), output)))
    elif "wall" in executor:
        state = rex.Stepper(system, timeline).init(KEY)
        given = CallState(state.rng["odd"], state.params["odd"], state.state["odd"])
        call = prepare(node, None, given, state.outputs["odd"], {})
        given = call.given(*given)
        for k in range(steps):
            done = call(given, 0, k, 0, 0, [])
            given = done.given
            note(k, getattr(given, node.part, ()), done.output)
    else:
        program = Program(system, make_plan(timeline), executor)  # type: ignore[arg-type]
        keep = ("params", "state", "output")

        @jax.jit
        def roll(program):
            return program.rollout(program.reset(program.init(KEY))[0], keep={"odd": keep})[1]

        record = roll(program)
        for entry in np.flatnonzero(record["odd"].seq >= 0):
            fields = jax.tree.map(lambda leaf, entry=entry: leaf[entry], record["odd"].fields)
            note(int(record["odd"].seq[entry]), fields.get(node.part), fields["output"])
    return found


EXECUTORS = ("stepper", "plain stepper", "cond", "mask", "wall", "plain wall")


@pytest.mark.parametrize(
    ("begin", "change", "part"),
    [
        (0, lambda x: x + 0.3, "state"),
        (jnp.zeros((), jnp.float16), lambda x: x + jnp.float32(0.1), "output"),
        (jnp.zeros((), bool), lambda x: x + 1, "params"),
        (jnp.zeros(()), lambda x: x + 1j, "state"),
        (jnp.zeros(()), lambda x: jnp.asarray(3, jnp.int32), "output"),
    ],
    ids=["int to float", "half to float", "bool to int", "real to complex", "float to int32"],
)
def test_what_would_be_lost_is_refused_by_every_executor_in_the_same_words(begin, change, part):
    said = set()
    for executor in EXECUTORS:
        with pytest.raises(RexError, match=rf"node 'odd': {part}\['leaf'\]: step returns .*, but init gave") as error:
            numbers(executor, Odd(begin, change, part))
        if executor != "plain wall":  # where code computes with NumPy, whose numbers are never weak
            said.add(str(error.value))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("begin", "change", "dtype", "part"),
    [
        (0.0, lambda x: x + 0.25, "float32", "state"),
        (jnp.asarray(0.0), lambda x: 0.5, "float32", "output"),
        (0, lambda x: x + True, "int32", "params"),
        (jnp.zeros(()), lambda x: (x + 1).astype(jnp.float16), "float32", "state"),
        (jnp.zeros((), jnp.bfloat16), lambda x: (x + 0.5).astype(jnp.bfloat16), "bfloat16", "state"),
        (jnp.zeros((3,), jnp.int16), lambda x: (x + 1).astype(jnp.uint8), "int16", "params"),
        (np.zeros(2), lambda x: np.ones(2), "float32", "output"),
    ],
)
def test_what_is_held_has_its_type_and_the_same_numbers_everywhere(begin, change, dtype, part):
    found = [numbers(executor, Odd(begin, change, part)) for executor in EXECUTORS]
    assert {each for each, _ in found[0].values()} == {dtype}
    for each in found:
        assert len(each) >= 3
        assert {k: each[k] for k in each if k in found[0]} == {k: found[0][k] for k in found[0] if k in each}


def test_parameters_from_outside_have_the_types_that_they_come_with():
    node = Odd(0.0, lambda x: x * 2.0, "params")
    system = pair(node, "odd")
    timeline = rex.simulate(system, steps=2)
    params = {"odd": {"leaf": 3.0}}
    stepper = rex.Stepper(system, timeline)
    program = Program(system, make_plan(timeline))
    for executor in (stepper, program):
        state, _ = executor.reset(executor.init(KEY, params))
        assert not state.params["odd"]["leaf"].weak_type
        state = executor.run(executor.run(state))
        assert (state.params["odd"]["leaf"].dtype, float(state.params["odd"]["leaf"])) == (jnp.float32, 12.0)


def test_what_acts_for_the_supervisor_is_checked_as_its_own_step_is():
    node = Odd(0.0, lambda x: x, "output")
    system = pair(node, "odd")
    timeline = rex.simulate(system, steps=2)
    for executor in (rex.Stepper(system, timeline), Program(system, make_plan(timeline))):
        state, seen = executor.reset(executor.init(KEY))
        with pytest.raises(RexError, match=r"node 'odd': output\['leaf'\]: step returns int32, but init gave float32"):
            executor.step(state, seen, {"leaf": jnp.zeros((), jnp.int32)})
        with pytest.raises(RexError, match="node 'odd': state: step returns"):
            executor.step(state, seen.replace(state=1), {"leaf": 1.0})


@pytest.mark.parametrize("returned", [None, (1, 2, 3), (1.0, 2.0)])
def test_what_is_no_step_state_with_an_output_is_refused(returned):
    class Wrong(rex.Node):
        def init_output(self, rng, graph_state):
            return jnp.zeros(())

        def step(self, step_state):
            return returned

    system = System([(NodeSpec("wrong", 10.0), Wrong())], [], "wrong")
    stepper = rex.Stepper(system, rex.simulate(system, steps=1))
    state, _ = stepper.reset(stepper.init(KEY))
    with pytest.raises(RexError, match=r"node 'wrong': step returns .*; return step_state, output"):
        stepper.run(state)
