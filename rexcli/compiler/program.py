"""Compiles a plan and node code to pure, jittable functions.

Three things make it fast under `vmap`. The timeline is an input of the program and not part of the state that it
carries, so what runs when does not depend on the environment, and a skipped slot costs nothing. Messages are stored in
rings that are as short as the plan allows. Whatever node code does not change is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.compiler.identical_nodes import batches, see_batch, see_inputs
from rexcli.compiler.inputs import Row, shielded
from rexcli.compiler.node_records import FIELDS, NodeRecord, Record, by_node, flat, kept_as, own_entries, record_of
from rexcli.compiler.packing import Packing
from rexcli.compiler.plan import Plan
from rexcli.compiler.slots import Layout, Skip, Slot, make_tables
from rexcli.compiler.stacked_nodes import (
    Names,
    groups_of,
    message_types,
    rows,
    stack_nodes,
    unstack_nodes,
    with_one,
    with_rows,
    write,
    write_rows,
)
from rexcli.errors import RexError
from rexcli.system.init import Declared, Delays, init_graph_state, with_memory
from rexcli.system.states import GraphState, StepState
from rexcli.system.system import System
from rexcli.system.types import conform_step

PyTree = Any
T = TypeVar("T")
Controller = Callable[[StepState], tuple[StepState, PyTree]]

Batches = list[list[Slot]]
"""Slots in the order in which they run; those in one list run as one batch."""


@jax.tree_util.register_pytree_node_class
class Program:
    """A compiled system on a timeline.

    All methods are pure: they can be jitted, vmapped and (if the node code can) differentiated. A program is a pytree
    of its tables, so pass it to a jitted function as an argument. Under `vmap`, leave `eps` and `step` of the graph
    state unbatched if the environments share a timeline: then a skipped slot costs nothing.

    Args:
        system: the system of the nodes.
        plan: the plan of a timeline of that system.
        skip: `cond` branches around a skipped slot, `mask` runs it and discards the result. On a CPU `cond` is faster
            even where nearly every slot runs; `backend.choose_skip` says by how much.
    """

    def __init__(self, system: System, plan: Plan, skip: Skip = "cond"):
        self.plan: Plan | None = plan
        if plan.template[-1] != system.supervisor:
            raise RexError(
                f"the plan was made for supervisor '{plan.template[-1]}', but the system's is "
                f"'{system.supervisor}'; compile again"
            )
        slots, tables = make_tables(system, plan)
        nodes = tuple(system.nodes)
        self.layout = Layout(system, slots, tuple(plan.rings.items()), plan.warmup, skip, nodes, plan.observed)
        with jax.ensure_compile_time_eval():  # arrays, even if this is called while another function is traced
            self.ints, self.floats, self.spans = map(jnp.asarray, tables)
            self.before = jnp.asarray(np.stack([plan.before[name] for name in nodes], axis=-1))
            self.length = jnp.asarray(plan.length)
        self.declared = Declared.of(system)

    def tree_flatten(self) -> tuple[tuple[Any, ...], tuple[Layout, int]]:
        tables = self.ints, self.floats, self.spans, self.before, self.length
        return (*tables, self.declared), (self.layout, self._steps)

    @classmethod
    def tree_unflatten(cls, static: tuple[Layout, int], children: tuple[Any, ...]) -> Program:
        program = object.__new__(cls)
        program.plan = None
        program.layout = static[0]
        program.ints, program.floats, program.spans, program.before, program.length, program.declared = children
        return program

    def on(self, system: System) -> Program:
        """Returns the program, with all its numbers, for another system, which may differ from its own only in declared
        numbers and delays."""
        program = jax.tree.unflatten(jax.tree.structure(self), jax.tree.leaves(self))
        program.plan, program.layout = self.plan, replace(self.layout, system=system)
        return program

    @property
    def system(self) -> System:
        return self.layout.system

    @property
    def supervisor(self) -> str:
        return self.layout.system.supervisor

    @property
    def observed(self) -> tuple[str, ...]:
        """Nodes whose states, as `reset` and `step` return them, are those at the start of the supervisor's tick: after
        the newest tick that has ended by then. The states of other nodes may be older or newer."""
        return self.layout.observed

    @property
    def num_episodes(self) -> int:
        return self.ints.shape[0]

    @property
    def _steps(self) -> int:
        return self.ints.shape[1] - self.layout.warmup - 1

    @property
    def max_steps(self) -> int:
        """The number of supervisor steps of the longest episode; `length[eps]` has that of each."""
        return self._steps

    # ------------------------------------------------------------------ states

    def init(
        self,
        rng: jax.Array,
        params: Mapping[str, PyTree] | None = None,
        *,
        eps: Any = 0,
        starting_step: Any = 0,
        delays: Delays | None = None,
        states: Mapping[str, PyTree] | None = None,
    ) -> GraphState:
        """Returns the state of every node before anything has run.

        Args:
            rng: PRNG key.
            params: parameters by node, instead of those from `init_params`.
            eps: the episode of the timeline; `jax.random.randint(key, (), 0, program.num_episodes)` for a random one.
            starting_step: the step of the episode at which to begin. Messages from before it count as never sent.
            delays: delays of edges with an `AdjustableDelay`, seconds by reader and input, instead of those from
                `init_delays`.
            states: states by node, instead of those from `init_state`.

        Raises:
            RexError: if the timeline has no such episode or step; this is only checked for values that are not traced.
        """
        self._check_place(eps, starting_step)
        start = init_graph_state(self.system, rng, params, eps, starting_step, delays, states, self.declared)
        return self.with_rings(start)

    @cached_property
    def initial_shapes(self) -> GraphState:
        """The shapes and types of what `init` returns."""
        return jax.eval_shape(lambda: self.init(jax.random.key(0)))

    def with_rings(self, graph_state: GraphState) -> GraphState:
        """Returns the graph state with rings of messages in place of the nodes' initial outputs."""
        rings = dict(self.layout.rings)
        outputs = {
            name: jax.tree.map(lambda leaf, n=rings[name]: jnp.broadcast_to(leaf, (n + 1, *leaf.shape)), output)
            for name, output in graph_state.outputs.items()
        }
        return graph_state.replace(outputs=outputs)

    def _check_place(self, eps: Any, step: Any) -> None:
        """Raises an error if an index is known to be beyond the timeline: indices into its tables would be clipped
        silently.
        """
        known = [not isinstance(each, jax.core.Tracer) for each in (eps, step)]
        if known[0] and not 0 <= np.min(eps) <= np.max(eps) < self.num_episodes:
            raise RexError(f"eps {eps}: the timeline has episodes 0 to {self.num_episodes - 1}")
        if known[1] and not 0 <= np.min(step) <= np.max(step) < self.max_steps:
            raise RexError(f"starting_step {step}: the timeline has steps 0 to {self.max_steps - 1}")

    def reset(self, graph_state: GraphState) -> tuple[GraphState, StepState]:
        """Runs everything before the supervisor's tick at `graph_state.step`, and returns what that tick sees.

        For step 0 this is the whole warm-up, for a later one only that step's own row.
        """
        graph_state, found = self._gathered(graph_state)
        graph_state = self._reset(graph_state, found)
        return unstack_nodes(graph_state, dict(self.layout.rings)), self.step_state(graph_state)

    def _gathered(self, graph_state: GraphState) -> tuple[GraphState, Batches]:
        """Returns the graph state for a loop, see `together`, and the batches of slots that the loop runs."""
        found = list(batches(self.system, self.layout.slots[:-1], graph_state))
        return stack_nodes(graph_state, groups_of(found)), found

    def _reset(self, graph_state: GraphState, found: Batches) -> GraphState:
        step, first = graph_state.step, self.layout.warmup - 1
        idle = self.ints.shape[1] - 1

        def run(state: GraphState, row: jax.Array) -> tuple[GraphState, None]:
            return self._run_row(state, jnp.where((step == 0) | (row == first), step + row, idle), found)[0], None

        # One body for all rows, so that XLA compiles it once, and a loop of known length, so that it has a gradient.
        return jax.lax.scan(run, graph_state, jnp.arange(first + 1, dtype=jnp.int32))[0]

    def step_state(self, graph_state: GraphState) -> StepState:
        """Returns what the supervisor sees at `graph_state.step`."""
        slot, table = self.layout.slots[-1], self._row(graph_state)
        there = table.ints[slot.entry] != slot.spare
        seen = shielded(self._step_state(graph_state, slot, table), there)
        return seen.replace(seq=jnp.where(there, seen.seq, -1))

    def step(self, graph_state: GraphState, step_state: StepState, output: PyTree) -> tuple[GraphState, StepState]:
        """Runs one step of the supervisor, whose output is given, and then everything before its next tick.

        Past the last step of the episode nothing runs, and the supervisor's `seq` is -1.

        Args:
            graph_state: as returned by `reset` or `step`.
            step_state: that of the supervisor, with its new state, params and rng.
            output: what the supervisor sends.
        """
        graph_state, _ = self._advance(graph_state, step_state, output)
        return graph_state, self.step_state(graph_state)

    def step_and_keep(
        self, graph_state: GraphState, step_state: StepState, output: PyTree, keep: Mapping[str, tuple[str, ...]]
    ) -> tuple[GraphState, Record]:
        """Runs `step`, and also returns the records of its ticks, by node, as `rollout` does."""
        runs, seen = ~self.is_over(graph_state), self.step_state(graph_state)
        graph_state, records = self._advance(graph_state, step_state, output, keep)
        if self.supervisor in keep:
            records.append(((self.supervisor,), record_of(keep[self.supervisor], runs, seen, step_state, output)))
        return graph_state, by_node([names for names, _ in records], [record for _, record in records], 0)

    def run(self, graph_state: GraphState) -> GraphState:
        """Runs one step of the supervisor by its own node code, and then everything before its next tick."""
        seen, _ = self._supervisor_sees(graph_state)
        step_state, output = self.system.nodes[self.supervisor].step(seen)
        return self._advance(graph_state, step_state, output)[0]

    def is_over(self, graph_state: GraphState) -> jax.Array:
        """Returns whether the episode has no further step, bool."""
        return graph_state.step >= self.length[graph_state.eps]

    def rollout(
        self,
        graph_state: GraphState,
        steps: int | None = None,
        *,
        controller: Controller | None = None,
        keep: Mapping[str, tuple[str, ...]] | None = None,
    ) -> tuple[GraphState, Record]:
        """Runs many steps and records the given fields.

        Args:
            graph_state: as returned by `reset` or `step`.
            steps: number of steps; all steps of the timeline from step 0 on if None.
            controller: steps the supervisor, `step_state -> (step_state, output)`; its own code if None.
            keep: fields to record by node, out of `params`, `inputs`, `state`, `output`; states and outputs of all
                nodes if None.

        Returns:
            The last state, and by node one entry for each of its slots in each step (`seq` is -1 where it did not run).
            The supervisor's entry is its step; the other nodes' entries are their ticks between that step and the next.

        Raises:
            RexError: if there are more steps than the timeline has, or a node or a field does not exist.
        """
        owners = self.owners(graph_state, keep)
        graph_state, found = self._gathered(graph_state)
        graph_state, kept = self._rollout(graph_state, found, steps, controller, keep)
        return unstack_nodes(graph_state, dict(self.layout.rings)), flat(by_node(owners, kept, 1))

    def reset_and_rollout(
        self,
        graph_state: GraphState,
        steps: int | None = None,
        *,
        controller: Controller | None = None,
        keep: Mapping[str, tuple[str, ...]] | None = None,
    ) -> dict[int, NodeRecord]:
        """Returns what `rollout` records after `reset`, with the records of nodes that run as one batch still in one
        array.

        This gives few arrays however many nodes there are, which takes much less time to compile. `own_entries`
        extracts those of one node.

        Args:
            graph_state, steps, controller, keep: as for `reset` and `rollout`.

        Returns:
            The records by index in `owners`, leaves `[steps, owners, ...]`, or `[steps, ...]` for a single owner.
        """
        graph_state, found = self._gathered(graph_state)
        graph_state = self._reset(graph_state, found)
        return dict(enumerate(self._rollout(graph_state, found, steps, controller, keep)[1]))

    def owners(self, graph_state: GraphState, keep: Mapping[str, tuple[str, ...]] | None = None) -> list[Names]:
        """Returns the owners of each record of `reset_and_rollout`; only the shapes and types of a graph state are
        used.
        """
        keep = dict.fromkeys(self.layout.nodes, ("state", "output")) if keep is None else keep
        found = batches(self.system, self.layout.slots[:-1], graph_state)
        names = [own for batch in found for own in kept_as(batch, keep)]
        return [*names, *([(self.supervisor,)] if self.supervisor in keep else [])]

    def _rollout(
        self,
        graph_state: GraphState,
        found: Batches,
        steps: int | None,
        controller: Controller | None,
        keep: Mapping[str, tuple[str, ...]] | None,
    ) -> tuple[GraphState, list[NodeRecord]]:
        steps = self.max_steps if steps is None else steps
        if not 0 < steps <= self.max_steps:
            raise RexError(f"steps {steps}: the timeline offers 1 to {self.max_steps} steps")
        keep = dict.fromkeys(self.layout.nodes, ("state", "output")) if keep is None else keep
        for name, fields in keep.items():
            if name not in self.layout.nodes:
                raise RexError(f"keep: no node is called '{name}'; there are {', '.join(self.layout.nodes)}")
            for field in fields:
                if field not in FIELDS:
                    raise RexError(f"keep: '{field}' is no field of a node; there are {', '.join(FIELDS)}")
        control = controller or self.system.nodes[self.supervisor].step

        def body(state: GraphState, _: Any) -> tuple[GraphState, list[NodeRecord]]:
            seen, runs = self._supervisor_sees(state)
            acted, output = self._conform(state, control(seen))
            state, records = self._advance(state, acted, output, keep, found)
            if self.supervisor in keep:
                records.append(((self.supervisor,), record_of(keep[self.supervisor], runs, seen, acted, output)))
            return state, [record for _, record in records]

        return jax.lax.scan(body, with_memory(graph_state, controller), None, length=steps)

    def play(
        self, graph_state: GraphState, keep: Mapping[str, tuple[str, ...]], controller: Controller | None = None
    ) -> tuple[GraphState, dict[str, dict[str, PyTree]]]:
        """Runs every row of the tables, also those before the supervisor's first tick, and records the given fields.

        Args:
            graph_state: as returned by `init`, or by `play` on the preceding rows.
            keep, controller: as for `rollout`.

        Returns:
            The last state, and by node and field pytrees with leading `[rows * slots of the node]`, whose entries are
            meaningless where the tables skip a slot. The entries of nodes other than the supervisor are of ticks before
            its step of that row.
        """
        control = controller or self.system.nodes[self.supervisor].step
        slot = self.layout.slots[-1]
        packing = Packing()
        graph_state, found = self._gathered(graph_state)
        owners: list[Names] = []

        def body(state: GraphState, row: jax.Array) -> tuple[GraphState, list[jax.Array]]:
            state, records = self._run_row(state, row, found, keep)
            table = self._row(state, row)
            runs = table.ints[slot.entry] != slot.spare
            seen = shielded(self._step_state(state, slot, table), runs)
            acted, output = self._conform(state, control(seen))
            state = self._act(state, acted, output, runs, table)
            if self.supervisor in keep:
                records.append(((self.supervisor,), record_of(keep[self.supervisor], runs, seen, acted, output)))
            owners[:] = [names for names, _ in records]
            return state, packing.pack([record.fields for _, record in records])

        every = jnp.arange(self.ints.shape[1], dtype=jnp.int32)
        graph_state, packed = jax.lax.scan(body, with_memory(graph_state, controller), every)
        fields = flat(by_node(owners, packing.unpack(packed), 1))
        return unstack_nodes(graph_state, dict(self.layout.rings)), fields

    # ------------------------------------------------------------------ one row

    def _row(self, graph_state: GraphState, row: jax.Array | None = None) -> Row:
        """Returns a row of the tables, that of `graph_state.step` if `row` is None; rows past the end are idle."""
        eps, origin, first = graph_state.eps, graph_state.origin, self.layout.warmup - 1
        row = graph_state.step + first if row is None else row
        row = jnp.minimum(row, self.ints.shape[1] - 1)
        first_seq = self.before[eps, jnp.where(origin == 0, 0, origin + first)]
        ints, floats, spans = (table[eps, row] for table in (self.ints, self.floats, self.spans))
        return Row(ints, floats, spans, dict(zip(self.layout.nodes, first_seq, strict=True)), first_seq)

    def _advance(
        self,
        graph_state: GraphState,
        step_state: StepState,
        output: PyTree,
        keep: Mapping[str, tuple[str, ...]] | None = None,
        found: Batches | None = None,
    ) -> tuple[GraphState, list[tuple[Names, NodeRecord]]]:
        step_state, output = self._conform(graph_state, (step_state, output))
        graph_state = self._act(graph_state, step_state, output, ~self.is_over(graph_state), self._row(graph_state))
        step = jnp.minimum(graph_state.step + 1, self.max_steps + 1)
        graph_state = graph_state.replace(step=step)
        if found is None:
            found = list(batches(self.system, self.layout.slots[:-1], graph_state))
        return self._run_row(graph_state, step + self.layout.warmup - 1, found, keep)

    def _act(
        self, graph_state: GraphState, step_state: StepState, output: PyTree, runs: jax.Array, table: Row
    ) -> GraphState:
        """Returns the graph state with the result of the supervisor's step, or as it was if `runs` is false."""
        name, slot = self.supervisor, self.layout.slots[-1]
        before = self._kept(graph_state)
        if not before.memory:  # the first step of a controller with memory, given from outside
            before = before._replace(memory=step_state.memory)
        after = _Kept(step_state.rng, step_state.params, step_state.state, step_state.memory)
        rng, params, state, memory = jax.tree.map(partial(jnp.where, runs), after, before)
        at = jnp.where(runs, table.ints[slot.entry], slot.spare)
        graph_state = _with_result(graph_state, name, rng, params, state, output, at)
        return graph_state.replace(memory=memory)

    def _run_row(
        self,
        graph_state: GraphState,
        row: jax.Array,
        found: Batches,
        keep: Mapping[str, tuple[str, ...]] | None = None,
    ) -> tuple[GraphState, list[tuple[Names, NodeRecord]]]:
        """Runs the slots of a row except the supervisor's, in order and batch by batch.

        Returns the state, and each record with its owners; for several owners, its leaves are `[nodes, ...]`."""
        table = self._row(graph_state, row)
        records: list[tuple[Names, NodeRecord]] = []
        for batch in found:
            if len(batch) > 1:
                graph_state = self._run_batch(graph_state, batch, table, keep or {}, records)
                continue
            slot = batch[0]
            name = slot.node
            node = self.system.nodes[name]
            before = self._step_state(graph_state, slot, table)
            spare = jax.tree.map(lambda ring: ring[0], graph_state.outputs[name])
            at = table.ints[slot.entry]
            runs = at != slot.spare

            def step(state: StepState, runs: jax.Array, node: Any = node, spare: PyTree = spare) -> tuple[PyTree, ...]:
                state = shielded(state, runs)
                after, output = conform_step(node.name, state, spare, node.step(state))
                return after.rng, after.params, after.state, output

            def leave(state: StepState, runs: jax.Array, spare: PyTree = spare) -> tuple[PyTree, ...]:
                return state.rng, state.params, state.state, spare

            if self.layout.skip == "cond":
                rng, params, state, output = jax.lax.cond(runs, step, leave, before, runs)
            else:
                ran, left = step(before, runs), leave(before, runs)
                rng, params, state, output = jax.tree.map(partial(jnp.where, runs), ran, left)
            graph_state = _with_result(graph_state, name, rng, params, state, output, at)
            if keep is not None and name in keep:
                after = before.replace(rng=rng, params=params, state=state)
                records.append(((name,), record_of(keep[name], runs, before, after, output)))
        return graph_state, records

    def _run_batch(
        self,
        graph_state: GraphState,
        slots: list[Slot],
        table: Row,
        keep: Mapping[str, tuple[str, ...]],
        records: list[tuple[Names, NodeRecord]],
    ) -> GraphState:
        """Runs slots that do not depend on one another, and whose nodes are identical, as one batch; see
        `identical_nodes`.
        """
        names, node = [slot.node for slot in slots], self.system.nodes[slots[0].node]
        sends = message_types(graph_state.outputs, node.name)

        def column(values: jax.Array, of: str) -> jax.Array:
            return values.at[np.array([getattr(slot, of) for slot in slots])].get(mode="promise_in_bounds")

        rng, params, state = (rows(each, names) for each in (graph_state.rng, graph_state.params, graph_state.state))
        ts, at = column(table.floats, "ts"), column(table.ints, "entry")
        runs = at != jnp.asarray([slot.spare for slot in slots], at.dtype)
        inputs = see_batch(graph_state, slots, table, ts, self.layout.nodes.index)
        seq, dt = column(table.ints, "at"), column(table.spans, "dt")
        before = StepState(rng, params, state, inputs, graph_state.eps, seq, ts, dt, jnp.zeros(()))
        axes: Any = StepState(0, 0, 0, 0, None, 0, 0, 0, None)  # type: ignore[arg-type]

        def one(state: StepState, runs: jax.Array) -> tuple[PyTree, ...]:
            state = shielded(state, runs)
            after, output = conform_step(node.name, state, sends, node.step(state))
            return after.rng, after.params, after.state, output

        def step(before: StepState, runs: jax.Array) -> tuple[PyTree, ...]:
            ran = jax.vmap(one, (axes, 0))(before, runs)
            nothing = jax.tree.map(jnp.zeros_like, ran[3])
            left = (before.rng, before.params, before.state, nothing)
            return jax.tree.map(lambda new, old: jnp.where(_beside(runs, new), new, old), ran, left)

        def leave(before: StepState, runs: jax.Array) -> tuple[PyTree, ...]:
            nothing = jax.tree.map(lambda leaf: jnp.zeros((len(slots), *leaf.shape), leaf.dtype), sends)
            return before.rng, before.params, before.state, nothing

        if self.layout.skip == "cond":
            rng, params, state, output = jax.lax.cond(runs.any(), step, leave, before, runs)
        else:
            rng, params, state, output = step(before, runs)
        values = {"params": params, "inputs": inputs, "state": state, "output": output}
        record = NodeRecord(jnp.where(runs, seq, -1), ts, values)
        for owners in kept_as(slots, keep):
            own = record if len(owners) > 1 else own_entries(record, owners[0], names.index(owners[0]), 0)
            records.append((owners, own.replace(fields={field: own.fields[field] for field in keep[owners[0]]})))
        return graph_state.replace(
            rng=with_rows(graph_state.rng, names, rng),
            params=with_rows(graph_state.params, names, params),
            state=with_rows(graph_state.state, names, state),
            outputs=write_rows(graph_state.outputs, names, output, at),
        )

    def _kept(self, graph_state: GraphState) -> _Kept:
        """Returns what the supervisor's node keeps between steps."""
        name = self.supervisor
        return _Kept(graph_state.rng[name], graph_state.params[name], graph_state.state[name], graph_state.memory)

    def _conform(self, graph_state: GraphState, returned: Any) -> tuple[StepState, PyTree]:
        """Returns the result of the supervisor's step, or of its replacement, with the types that init gave."""
        sends = message_types(graph_state.outputs, self.supervisor)
        return conform_step(self.supervisor, self._kept(graph_state), sends, returned)

    def _supervisor_sees(self, graph_state: GraphState) -> tuple[StepState, jax.Array]:
        """Returns what the supervisor sees at `graph_state.step`, and whether there is such a step; if not, what its
        last tick saw.
        """
        runs = ~self.is_over(graph_state)
        return shielded(self._step_state(graph_state, self.layout.slots[-1], self._row(graph_state)), runs), runs

    def _step_state(self, graph_state: GraphState, slot: Slot, table: Row) -> StepState:
        ts = table.floats[slot.ts]
        return StepState(
            rng=graph_state.rng[slot.node],
            params=graph_state.params[slot.node],
            state=graph_state.state[slot.node],
            inputs=see_inputs(graph_state, slot, table, ts, self.layout.nodes.index),
            eps=graph_state.eps,
            seq=table.ints[slot.at],
            ts=ts,
            dt=table.spans[slot.dt],
            stamp_offset=jnp.zeros(()),
            memory=graph_state.memory if slot.node == self.supervisor else {},
        )


class _Kept(NamedTuple):
    """The values that a node keeps from one step to the next."""

    rng: Any
    params: PyTree
    state: PyTree
    memory: PyTree


def _beside(runs: jax.Array, leaf: jax.Array) -> jax.Array:
    """Reshapes `[slots]` so that it broadcasts against `[slots, ...]`."""
    return runs.reshape(len(runs), *(1,) * (leaf.ndim - 1))


def _with_result(
    graph_state: GraphState, name: str, rng: Any, params: PyTree, state: PyTree, output: PyTree, at: jax.Array
) -> GraphState:
    """Returns the graph state with the result of a step, its output at entry `at` of the node's ring."""
    return graph_state.replace(
        rng=with_one(graph_state.rng, name, rng),
        params=with_one(graph_state.params, name, params),
        state=with_one(graph_state.state, name, state),
        outputs=with_one(graph_state.outputs, name, write(graph_state.outputs[name], output, at)),
    )
