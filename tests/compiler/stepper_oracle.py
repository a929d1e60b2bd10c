"""The stepper as the oracle: the same episode both ways, compared entry by entry."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.node_records import Record
from rexcli.compiler.program import Program
from rexcli.runtime.stepper import Stepper
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System
from rexcli.timeline.timeline import Timeline

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Makes XLA compile in about half the time; what is compiled is the same."""

FIELDS = ("params", "inputs", "state", "output")


class Log:
    """Keeps every step that a stepper makes."""

    def __init__(self):
        self.steps: dict[tuple[str, int], tuple[StepState, StepState, object]] = {}

    def begin(self, episode: int, graph_state: GraphState) -> None:
        self.steps.clear()

    def step(self, node, seq, before, after, output) -> None:
        self.steps[node, seq] = (before, after, output)

    def end(self, episode: int, seq: int) -> None:
        pass


def roll_plainly(program: Program, state: GraphState, steps: int):
    """All that there is to keep of a rollout from a fresh state."""
    state, _ = program.reset(state)
    return program.rollout(state, steps, keep=dict.fromkeys(program.layout.nodes, FIELDS))[1]


roll = jax.jit(roll_plainly, static_argnames="steps", compiler_options=QUICK)


@partial(jax.jit, static_argnames="steps", compiler_options=QUICK)
def roll_many(program: Program, keys: jax.Array, eps: jax.Array, steps: int):
    """`roll` of a batch, each with a key and an episode of its own, `[batch, ...]`."""
    return jax.vmap(lambda key, eps: roll_plainly(program, program.init(key, eps=eps), steps))(keys, eps)


@partial(jax.jit, static_argnames="steps", compiler_options=QUICK)
def gradient(program: Program, params, others, key: jax.Array, eps: int, steps: int):
    """Of all states of the supervisor, with respect to the gains of all nodes."""

    def total(params):
        state, _ = program.reset(program.init(key, whole(params, others), eps=eps))
        _, record = program.rollout(state, steps, keep={program.supervisor: ("state",)})
        return record[program.supervisor].fields["state"].value.sum()

    return jax.grad(total)(params)


def forget() -> None:
    """Lets go of what was compiled here: hundreds of programs in one process exhaust its memory maps."""
    for compiled in (roll, roll_many, gradient):
        compiled.clear_cache()


def run_stepper(
    system: System, timeline: Timeline, eps: int, steps: int, key: jax.Array, params=None, delays=None
) -> Log:
    """An episode by the stepper, operation by operation: those of one shape are compiled once for all systems."""
    log = Log()
    for node in system.nodes.values():
        node.jit = False
    stepper = Stepper(system, timeline, listener=log)
    state, _ = stepper.reset(stepper.init(key, params, eps=eps, delays=delays))
    for _ in range(steps):
        state = stepper.run(state)
    stepper.stop()
    return log


def assert_same(
    program: Program,
    system: System,
    timeline: Timeline,
    eps: int,
    steps: int,
    key: jax.Array,
    others: tuple[int, ...] = (),
) -> int:
    """Rolls out episode `eps` both ways and compares every entry that the program filled; returns how many.

    With `others`, the program runs it in one batch with these episodes.
    """
    log = run_stepper(system, timeline, eps, steps, key)
    if others:
        keys = jax.random.split(jax.random.key(5), len(others) + 1).at[0].set(key)
        records = roll_many(program, keys, jnp.array([eps, *others]), steps)
        records = jax.tree.map(lambda leaf: leaf[0], records)
    else:
        records = roll(program, program.init(key, eps=eps), steps)
    return assert_record(log, records)


def assert_record(log: Log, records: Record) -> int:
    """Compares every entry that a program filled to the stepper's; returns how many."""
    compared = 0
    for name, record in records.items():
        for entry in np.flatnonzero(np.asarray(record.seq) >= 0):
            seq = int(record.seq[entry])
            before, after, output = log.steps[name, seq]
            got = jax.tree.map(lambda leaf, entry=entry: _plain(leaf)[entry], record.fields)
            want = {"params": after.params, "inputs": before.inputs, "state": after.state, "output": output}
            assert record.ts[entry] == before.ts
            compare(want, got, f"{name}[{seq}]")
            compared += 1
    return compared


def assert_same_gradient(
    program: Program, system: System, timeline: Timeline, eps: int, steps: int, key: jax.Array
) -> None:
    """The gradient of what the supervisor came to is that which the stepper has."""
    params = dict(program.init(key, eps=eps).params)
    others = {name: own["typed"] for name, own in params.items() if isinstance(own, dict)}
    params = {name: own["gain"] if name in others else own for name, own in params.items()}

    def total(params):
        log = run_stepper(system, timeline, eps, steps, key, whole(params, others))
        return sum(log.steps[system.supervisor, seq][1].state.value for seq in range(steps))

    compare(jax.grad(total)(params), gradient(program, params, others, key, eps, steps), "gradient: ")


def whole(gains, others):
    """Parameters by node, of those that a gradient is taken of and those that have none."""
    return {name: {"gain": gain, "typed": others[name]} if name in others else gain for name, gain in gains.items()}


def compare(want, got, where: str) -> None:
    """Types and integers exactly, floats to the rounding of their type."""
    assert jax.tree.structure(want) == jax.tree.structure(got)
    for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(want)[0], jax.tree.leaves(got), strict=True):
        a, b, message = _plain(a), _plain(b), where + jax.tree_util.keystr(path)
        assert a.dtype == b.dtype, message
        if jnp.issubdtype(a.dtype, jnp.floating):
            close = 2e-5 if jnp.finfo(a.dtype).nmant > 10 else 4 * float(jnp.finfo(a.dtype).eps)
            np.testing.assert_allclose(b.astype(np.float32), a.astype(np.float32), close, close, err_msg=message)
        else:
            np.testing.assert_array_equal(b, a, err_msg=message)


def _plain(leaf) -> np.ndarray:
    is_key = isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)
