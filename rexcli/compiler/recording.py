"""Records episodes with the compiled program: the same steps as the stepper's, in the same file, many times as fast.

The program runs every tick of the timeline without pruning, one piece of its rows at a time, so that an episode may
have any length: only the tables and records of one piece are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from rexcli.compiler.cut import cut
from rexcli.compiler.dependencies import find_dependencies
from rexcli.compiler.node_records import FIELDS
from rexcli.compiler.placement import place
from rexcli.compiler.plan import Plan
from rexcli.compiler.program import Controller, Program
from rexcli.compiler.slots import Skip
from rexcli.compiler.tables import Table, tabulate
from rexcli.compiler.template import find_template
from rexcli.runs.recording import RecordingWriter
from rexcli.runtime.nan import SEARCHED, NanSearch
from rexcli.runtime.recorder import arrays
from rexcli.runtime.stepper import start_nodes, stop_nodes
from rexcli.system.call import find_device
from rexcli.system.infer_outputs import trace_steps
from rexcli.system.init import init_graph_state, with_memory
from rexcli.system.states import GraphState
from rexcli.system.system import System
from rexcli.timeline.instants import begun
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Messages, Steps, Timeline

PyTree = Any
Kept = dict[str, dict[str, PyTree]]
"""The records of `Program.play`."""

ROWS = 16_384
"""Number of rows of a piece: enough that the overhead of a call is small."""


def why_not_compiled(system: System, controller: Controller | None = None) -> str | None:
    """Returns why a system cannot be recorded by the program; None if it can.

    Args:
        system: the system; the steps of its nodes are traced.
        controller: replaces the supervisor's step.
    """
    for name, node in system.nodes.items():
        if not node.jit:
            return f"node '{name}' is plain Python (jit = False)"
        if find_device(node.spec.device, name) is not None:
            return f"node '{name}' runs on a device of its own (nodes.{name}.device={node.spec.device})"
    state = jax.eval_shape(lambda: with_memory(init_graph_state(system, jax.random.key(0)), controller))
    for name in trace_steps(system, state, list(system.nodes), controller):
        return f"the step of node '{name}' cannot be jitted"
    return None


def record(
    system: System,
    timeline: Timeline,
    writer: RecordingWriter,
    rng: jax.Array,
    *,
    skip: Skip = "cond",
    controller: Controller | None = None,
    params: Mapping[str, PyTree] | None = None,
    on_steps: Callable[[int], None] | None = None,
    nan: NanSearch | None = None,
) -> None:
    """Runs all episodes of a timeline, one after another, and writes them to a recording.

    Args:
        system: the system to run; `why_not_compiled` must return None for it.
        timeline: a timeline of that system.
        writer: the writer of the recording.
        rng: PRNG key; episode e starts from `fold_in(rng, e)`.
        skip: as for `Program`.
        controller: replaces the supervisor's step; its own code if None.
        params: parameters by node, instead of those from `init_params`.
        on_steps: called with the number of supervisor steps that were made since the last call.
        nan: searches every tick for NaN.

    Raises:
        RexError: if steps wait for each other, or a node's `startup` or `stop` fails.
    """
    cuts = cut(close(timeline), prune=False)
    table = tabulate(cuts, place(cuts, find_template(find_dependencies(cuts), "mcs")))
    rings = table.rings()
    keep = {
        name: tuple(each for each in FIELDS if getattr(spec.record, each) or (nan is not None and each in SEARCHED))
        for name, spec in system.specs.items()
    }

    started = False

    @jax.jit
    def play(program: Program, state: PyTree) -> tuple[PyTree, Kept]:
        return program.play(state, keep, controller)

    def start(episode: int, program: Program) -> GraphState:
        nonlocal started
        state = init_graph_state(system, jax.random.fold_in(rng, episode), params, episode)
        if nan is not None:
            nan.begin(episode, state)
        state = with_memory(program.with_rings(state), controller)
        if not started:
            started = True
            start_nodes(system, state)
        return state

    def write(episode: int, plan: Plan, records: Kept) -> None:
        done = _write(system, writer, timeline, episode, plan, records, nan)
        if on_steps is not None:
            on_steps(done)

    try:
        for episode in range(timeline.num_episodes):
            programs = ((plan, Program(system, plan, skip)) for plan in _pieces(table.episode(episode), rings))
            _play_pieces(programs, play, partial(start, episode), partial(write, episode))
    finally:
        if started:
            stop_nodes(system)


def _play_pieces(
    programs: Iterator[tuple[Plan, Program]],
    play: Callable[[Program, GraphState], tuple[GraphState, Kept]],
    start: Callable[[Program], GraphState],
    write: Callable[[Plan, Kept], None],
) -> None:
    """Plays an episode piece by piece; each is written while the program runs the next, also the last after
    an error.
    """
    state: GraphState | None = None
    last: tuple[Plan, Kept] | None = None
    try:
        for plan, program in programs:
            state, records = play(program, start(program) if state is None else state)
            before, last = last, (plan, records)
            if before is not None:
                write(*before)
    finally:
        if last is not None:
            write(*last)


def close(timeline: Timeline) -> Timeline:
    """Returns the part of a timeline that the stepper runs, with one more supervisor tick after all others."""
    spec, limit = timeline.spec, begun(timeline)
    episodes = np.arange(timeline.num_episodes)
    steps, messages = {}, {}
    for name, old in timeline.steps.items():
        width = old.start.shape[1] + (name == spec.supervisor)
        start, end = (_widened(times, width, limit[name], NEVER) for times in (old.start, old.end))
        count = limit[name]
        if name == spec.supervisor:
            start[episodes, count] = end[episodes, count] = start[episodes, count - 1] + 1
            count = count + 1
        steps[name] = Steps(start, end, count)
    for edge in spec.edges:
        old_messages, width = timeline.messages[edge.name], steps[edge.source].start.shape[1]
        arrive = _widened(old_messages.arrive, width, limit[edge.source], NEVER)
        reader = _widened(old_messages.reader, width, limit[edge.source], -1)
        messages[edge.name] = Messages(arrive, np.where(reader < limit[edge.target][:, None], reader, -1))
    return Timeline(spec, steps, messages)


def _widened(values: np.ndarray, width: int, count: np.ndarray, fill: int) -> np.ndarray:
    """Returns `[episodes, width]` with the first `count` values of each episode, and `fill` after them."""
    wide = np.full((len(values), width), fill, np.int64)
    there = np.arange(values.shape[1]) < count[:, None]
    wide[:, : values.shape[1]] = np.where(there, values, fill)
    return wide


def _pieces(table: Table, rings: dict[str, int]) -> Iterator[Plan]:
    """Yields plans of pieces of an episode's rows, all of one size, so that they share one compilation.

    A piece has one episode, whatever its number: indices past the end of an array are clipped. Messages of earlier
    pieces count as sent, so `before` is 0.
    """
    rows = table.tick[-1].shape[1]
    size = min(ROWS, rows)
    for begin in range(0, rows, size):
        yield Plan(
            mode="mcs",
            table=table.rows(begin, size),
            warmup=1,
            length=np.ones(1, np.int32),
            before={name: np.zeros((1, size), np.int32) for name in table.before},
            rings=rings,
            pruned={},
            num_patterns=0,
            lookahead=0,
        )


def _write(
    system: System,
    writer: RecordingWriter,
    timeline: Timeline,
    episode: int,
    plan: Plan,
    records: Kept,
    nan: NanSearch | None,
) -> int:
    """Passes a piece to the writer, messages before the steps that may read them; returns its supervisor steps."""
    supervisor, last = timeline.spec.supervisor, int(timeline.num_steps[episode])
    slots = list(zip(plan.table.nodes, plan.table.tick, strict=True))
    ticks = {name: np.stack([tick[0] for node, tick in slots if node == name], axis=1) for name in records}
    valid = {name: np.flatnonzero(tick >= 0) for name, tick in ticks.items()}
    seqs = {name: tick.ravel()[valid[name]].astype(np.int64) for name, tick in ticks.items()}
    for edge in timeline.spec.edges:
        seq = seqs.get(edge.source, np.zeros(0, np.int64))  # a node that never ticks has no slot
        seq = seq[seq <= last] if edge.source == supervisor else seq
        messages, sent = timeline.messages[edge.name], timeline.steps[edge.source].end[episode, seq]
        writer.messages(episode, edge.name, seq, sent, messages.arrive[episode, seq], messages.reader[episode, seq])
    done = 0
    for name, kept in records.items():
        seq, at = seqs[name], valid[name]
        steps = timeline.steps[name]
        if name == supervisor:  # where the last step ends, it does nothing
            own = seq < last
            ends = seq[seq == last]
            writer.steps(episode, name, ends, steps.start[episode, ends], steps.end[episode, ends], {})
            seq, at, done = seq[own], at[own], int(own.sum())
        fields = {
            field: {path: leaf[at] for path, leaf in arrays(kept[field]).items()}
            for field in FIELDS  # in the order of the stepper's; a compiled function sorts them
            if field in kept
        }
        if nan is not None:
            nan.look(name, episode, seq, steps.start[episode, seq], fields)
        fields = {field: each for field, each in fields.items() if getattr(system.specs[name].record, field)}
        writer.steps(episode, name, seq, steps.start[episode, seq], steps.end[episode, seq], fields)
    return done
