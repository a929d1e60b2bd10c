"""Runs many rollouts of one program at once, spread over devices."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli import memory_limit
from rexcli.compiler import backend
from rexcli.compiler.node_records import NodeRecord, Record, own_entries
from rexcli.compiler.program import Controller, Program
from rexcli.compiler.stacked_nodes import Names
from rexcli.errors import RexError
from rexcli.machine import collecting_rarely
from rexcli.runtime.nan import SEARCHED, NanPlace, may_be_nan, named
from rexcli.system.paths import leaf_paths
from rexcli.system.states import GraphState
from rexcli.system.types import is_key
from rexcli.timeline.phases import topological
from rexcli.timeline.spec import SystemTiming

PyTree = Any
SPREAD = PartitionSpec(None, "rollouts")
"""How arrays `[episodes, rollouts of each, ...]` are split over devices: by rollouts."""


@dataclass(frozen=True)
class Rollouts:
    """The results of many rollouts.

    Attributes:
        record: by node, `seq` and `ts` `[episodes, entries]`, the same for all rollouts of an episode, and fields with
            leading `[num, entries]`; an entry in which nothing ran has `seq` -1. They are NumPy arrays if they ran on a
            CPU.
        episode: the episode of the timeline that each rollout ran on, `[num]`.
        steps: supervisor steps of each rollout.
        compile_seconds, run_seconds: wall time of compilation and of running it once.
        devices: number of devices that shared the batch.
        nan: a message that says where the first NaN is, and how many rollouts have NaN; None if the recorded fields
            have none, or have not been searched, see `find_nan`.
    """

    record: Record
    episode: np.ndarray
    steps: int
    compile_seconds: float
    run_seconds: float
    devices: int
    nan: str | None = None

    @property
    def num(self) -> int:
        return len(self.episode)

    @property
    def steps_per_second(self) -> float:
        """The supervisor steps of all rollouts divided by the run time."""
        return self.num * self.steps / self.run_seconds


Array = Any
"""An array of JAX or NumPy."""
Compiled = Callable[..., dict[int, NodeRecord]]


@dataclass(frozen=True)
class CompiledRollouts:
    """Compiled rollouts, which can be run any number of times; see `compile_rollouts`.

    Attributes:
        steps, devices, episode: as in `Rollouts`.
    """

    steps: int
    devices: int
    episode: np.ndarray
    _owners: list[Names]
    _code: tuple[Any, ...]
    _compiled: Future[tuple[Compiled, float]]
    _arguments: tuple[Any, ...]
    _everywhere: NamedSharding

    @property
    def seconds(self) -> float:
        """The wall time of the compilation."""
        return self._compiled.result()[1]

    def batches(self, rng: jax.Array) -> dict[int, NodeRecord]:
        """Runs the rollouts and returns their records as they lie on the devices, see `Program.reset_and_rollout`.

        Fields have leading `[episodes, rollouts of each]`, `seq` and `ts` have `[episodes]`."""
        program, given, index = self._arguments
        call, _ = self._compiled.result()
        return jax.block_until_ready(call(program, given, jax.device_put(rng, self._everywhere), index))

    def run(self, rng: jax.Array) -> Rollouts:
        """Runs the rollouts; rollout i starts from `fold_in(rng, i)`, however many there are."""
        self._compiled.result()
        began = time.perf_counter()
        kept = self.batches(rng)
        run_seconds = time.perf_counter() - began
        if self._everywhere.mesh.devices.flat[0].platform == "cpu":  # NumPy reorders arrays without compilation
            kept = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), kept)
        num, episodes = len(self.episode), self._arguments[2].shape[0]

        def in_order(leaf: Array) -> Array:
            if episodes == 1:
                return leaf[0, :num]
            return leaf.swapaxes(0, 1).reshape(leaf.shape[0] * leaf.shape[1], *leaf.shape[2:])[:num]

        record: Record = {}
        for name, slots in self._slots(kept).items():
            seq, ts = (_merged([getattr(slot, part) for slot in slots], 1) for part in ("seq", "ts"))
            fields = jax.tree.map(lambda *some: in_order(_merged(some, 2)), *(slot.fields for slot in slots))
            record[name] = NodeRecord(seq, ts, fields)
        return Rollouts(record, self.episode, self.steps, self.seconds, run_seconds, self.devices)

    def _slots(self, kept: dict[int, NodeRecord]) -> dict[str, list[NodeRecord]]:
        """Returns the records of each slot of each node, by name."""
        found: dict[str, list[NodeRecord]] = {}
        for names, each in zip(self._owners, kept.values(), strict=True):
            for index, name in enumerate(names):
                own = each
                if len(names) > 1:
                    seq, ts = own_entries((each.seq, each.ts), name, index, 2)
                    own = NodeRecord(seq, ts, own_entries(each.fields, name, index, 3))
                found.setdefault(name, []).append(own)
        return found


def _merged(slots: Sequence[Array], axis: int) -> Array:
    """Joins the entries of a node's slots in one row, one after another along `axis`, for all rows."""
    if len(slots) == 1:
        return slots[0]
    leaf: Array = (jnp if isinstance(slots[0], jax.Array) else np).stack(slots, axis + 1)
    return leaf.reshape(*leaf.shape[:axis], -1, *leaf.shape[axis + 2 :])


def compile_rollouts(
    program: Program,
    rng: jax.Array,
    num: int,
    *,
    steps: int | None = None,
    params: Mapping[str, PyTree] | None = None,
    controller: Controller | None = None,
    keep: Mapping[str, tuple[str, ...]] | None = None,
    devices: Sequence[jax.Device] | None = None,
    beside: Executor | None = None,
    like: CompiledRollouts | None = None,
) -> CompiledRollouts:
    """Compiles `num` rollouts, each from a new initial state, spread evenly over the timeline's episodes.

    Rollouts of one episode run as one batch, so that all of them run the same ticks at the same time; the batches of
    different episodes follow one another on each device.

    Args:
        program: the program of the system.
        rng: a PRNG key like the one that they will run with.
        num: number of rollouts.
        steps: number of supervisor steps of each; as many as the shortest episode has if None.
        params: parameters by node, the same for all.
        controller: steps the supervisor; its own node code if None.
        keep: fields by node, see `Program.rollout`.
        devices: the devices to use; all if None.
        beside: runs the compilation by XLA in its thread, so that this function returns after tracing; it is then
            compiled with options for a short compilation, which suit few rollouts.
        like: rollouts that were compiled earlier; if their code is the same, it is used and not compiled again.

    Raises:
        RexError: if the number of rollouts or steps is invalid.
    """
    steps = check_rollouts(program, num, steps)
    state = program.initial_shapes
    if params:
        state = jax.eval_shape(lambda: program.init(jax.random.key(0), params))
    _check_size(program, num, steps, state, keep)
    owners = program.owners(state, keep)
    episodes = min(program.num_episodes, num)
    members = list(devices or jax.devices())[: math.ceil(num / episodes)]
    width = math.ceil(num / episodes / len(members)) * len(members)  # rollouts of one episode, the same for all
    index = np.arange(episodes * width, dtype=np.uint32).reshape(width, episodes).T  # rollout i runs on episode i % E
    mesh = Mesh(np.array(members), ("rollouts",))
    # The numbers of a policy are arguments, so that another policy can use the compiled program.
    leaves, structure = jax.tree.flatten(controller)
    is_data = all(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)
    act = partial(jax.tree.unflatten, structure) if is_data else lambda _: controller
    everywhere = NamedSharding(mesh, PartitionSpec())
    given = dict(params or {}), leaves if is_data else []
    program, given, rng = jax.device_put((program, given, rng), everywhere)
    placed = jax.device_put(index, NamedSharding(mesh, SPREAD))
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), jax.tree.leaves((program, given, placed)))
    trees = jax.tree.structure((program, given)), type(controller), structure if is_data else object()
    code = *trees, shapes, steps, repr(keep), members, beside is None
    done: Future[tuple[Compiled, float]] = Future()
    if like is not None and like._code == code:
        done = like._compiled
    else:
        began = time.perf_counter()
        batches = _sharded_batches(len(owners), mesh, episodes, steps, act, keep)
        with collecting_rarely():
            lowered = jax.jit(batches).lower(program, given, rng, placed)

        def compiled() -> tuple[Compiled, float]:
            return lowered.compile({} if beside is None else backend.compiler_options()), time.perf_counter() - began

        if beside is None:
            done.set_result(compiled())
        else:
            done = beside.submit(compiled)
    return CompiledRollouts(
        steps=steps,
        devices=len(members),
        episode=np.tile(np.arange(episodes), width)[:num],
        _owners=owners,
        _code=code,
        _compiled=done,
        _arguments=(program, given, placed),
        _everywhere=everywhere,
    )


def _sharded_batches(
    owners: int,
    mesh: Mesh,
    episodes: int,
    steps: int,
    act: Callable[[list[jax.Array]], Controller | None],
    keep: Mapping[str, tuple[str, ...]] | None,
) -> Callable[..., dict[int, NodeRecord]]:
    """Returns the function that each device runs: its rollouts of one episode as a batch, episode after episode.

    It is given parameters, and the leaves from which `act` makes the controller."""
    out_axes = NodeRecord(seq=None, ts=None, fields=0)  # type: ignore[arg-type]

    def one(program: Program, given: PyTree, eps: jax.Array, key: jax.Array) -> dict[int, NodeRecord]:
        params, leaves = given
        graph_state = program.init(key, params, eps=eps)
        return program.reset_and_rollout(graph_state, steps, controller=act(leaves), keep=keep)

    def batches(program: Program, given: PyTree, rng: jax.Array, index: jax.Array) -> dict[int, NodeRecord]:
        def batch(args: tuple[jax.Array, jax.Array]) -> dict[int, NodeRecord]:
            eps, members = args
            keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, members)
            return jax.vmap(one, (None, None, None, 0), dict.fromkeys(range(owners), out_axes))(
                program, given, eps, keys
            )

        return jax.lax.map(batch, (jnp.arange(episodes, dtype=jnp.int32), index))

    out_specs = NodeRecord(seq=PartitionSpec(), ts=PartitionSpec(), fields=SPREAD)  # type: ignore[arg-type]
    return jax.shard_map(
        batches,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec(), SPREAD),
        out_specs=dict.fromkeys(range(owners), out_specs),
        check_vma=False,
    )


def _check_size(
    program: Program,
    num: int,
    steps: int,
    state: GraphState,
    keep: Mapping[str, tuple[str, ...]] | None,
) -> None:
    """Raises an error if the records of the rollouts do not fit into memory."""
    each = _bytes(state) + steps * sum(kept_sizes(program, state, keep).values())
    memory_limit.check(
        2 * num * each,
        f"{num} rollouts of {steps} steps",
        "give fewer (rollout.num), shorter ones (rollout.steps), or keep less of them (rollout.keep)",
    )


def kept_sizes(
    program: Program, state: GraphState | None = None, keep: Mapping[str, tuple[str, ...]] | None = None
) -> dict[tuple[str, str], int]:
    """Returns the bytes that a rollout records in each step, by node and field.

    Args:
        program: the program of the rollouts.
        state: as returned by `init`, only its shapes and types are used; computed if None.
        keep: as for `compile_rollouts`.
    """
    state = program.initial_shapes if state is None else state
    names = dict.fromkeys(program.layout.nodes, ("state", "output")) if keep is None else keep
    sizes: dict[tuple[str, str], int] = {}
    for slot in program.layout.slots:
        sent = {read.name: read.window * _message(state, read.source) for read in slot.inputs}
        held = {
            "params": _bytes(state.params[slot.node]),
            "inputs": sum(sent.values()),
            "state": _bytes(state.state[slot.node]),
            "output": _message(state, slot.node),
        }
        for field in names.get(slot.node, ()):
            sizes[slot.node, field] = sizes.get((slot.node, field), 0) + held[field]
    return sizes


def thinned(
    program: Program, num: int, steps: int, keep: Mapping[str, tuple[str, ...]], limit: float
) -> tuple[dict[str, tuple[str, ...]], dict[tuple[str, str], float]]:
    """Returns `keep` without the largest fields, so that all rollouts together record at most `limit` bytes.

    Returns:
        The remaining fields, and the bytes of each field that was left out, by node and field.
    """
    sizes = {place: float(num * steps * size) for place, size in kept_sizes(program, keep=keep).items()}
    left_out: dict[tuple[str, str], float] = {}
    while sum(sizes.values()) > limit:
        largest = max(sizes, key=sizes.__getitem__)
        left_out[largest] = sizes.pop(largest)
    left = {name: tuple(each for each in fields if (name, each) not in left_out) for name, fields in keep.items()}
    return left, left_out


def _message(state: GraphState, name: str) -> int:
    """Returns the bytes of one output of a node, whose whole ring is in `state`."""
    return sum(leaf.size // leaf.shape[0] * leaf.dtype.itemsize for leaf in jax.tree.leaves(state.outputs[name]))


def _bytes(tree: PyTree) -> int:
    """Returns the bytes of all leaves of a pytree of arrays or of shapes and types."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def check_rollouts(program: Program, num: int, steps: int | None) -> int:
    """Returns how many steps `compile_rollouts` would make.

    Raises:
        RexError: if the number of rollouts or steps is invalid.
    """
    if num < 1:
        raise RexError(f"num {num}: give 1 or more rollouts")
    shortest = int(jnp.min(program.length))
    steps = shortest if steps is None else steps
    if not 1 <= steps <= shortest:
        raise RexError(f"steps {steps}: the timeline offers 1 to {shortest} steps")
    return steps


def find_nan(rollouts: Rollouts, spec: SystemTiming) -> tuple[NanPlace, int] | None:
    """Returns the first tick with NaN in the recorded fields, and how many rollouts have NaN; None if none has."""
    leaves = jax.tree.leaves([record.fields for record in rollouts.record.values()])
    # One after another: concurrent reductions over several devices may deadlock.
    if not any(bool(_any_nan(leaf)) for leaf in leaves if may_be_nan(leaf)):
        return None
    found: list[tuple[float, int, int, NanPlace]] = []
    struck = np.zeros(rollouts.num, bool)
    turns = topological(spec)
    for name, record in rollouts.record.items():
        seq, ts = np.asarray(record.seq)[rollouts.episode], np.asarray(record.ts)[rollouts.episode]
        for order, field in enumerate(SEARCHED):
            for path, leaf in leaf_paths(record.fields.get(field, ())).items():
                if not may_be_nan(leaf):
                    continue
                bad = np.isnan(np.asarray(leaf)).reshape(*seq.shape, -1).any(axis=-1) & (seq >= 0)
                struck |= bad.any(axis=1)
                if bad.any():
                    one, at = np.unravel_index(np.where(bad, ts, np.inf).argmin(), bad.shape)
                    place = NanPlace(
                        name, named(field, path), int(seq[one, at]), float(ts[one, at]), int(one), "rollout"
                    )
                    found.append((place.seconds, turns.index(name), order, place))
    return (min(found, key=lambda each: each[:3])[3], int(struck.sum())) if found else None


def _any_nan(leaf: Array) -> Any:
    """Returns whether a leaf has NaN; entries in which nothing ran count too."""
    return np.isnan(leaf).any() if isinstance(leaf, np.ndarray) else _any_nan_on_device(leaf)


@jax.jit
def _any_nan_on_device(leaf: jax.Array) -> jax.Array:
    return jnp.isnan(leaf).any()


def rollout_arrays(rollouts: Rollouts, num: int) -> dict[str, npt.NDArray]:
    """Returns the first `num` rollouts: `<node>/seq` and `<node>/ts`, `[num, ticks]`, and `<node>/<field>/<key path>`.

    There are as many ticks as the longest of them has; past a rollout's last tick, the sequence number is -1.
    """
    num = min(num, rollouts.num)
    episode = rollouts.episode[:num]
    arrays: dict[str, npt.NDArray] = {"episode": episode}
    for name, record in rollouts.record.items():
        seq = np.asarray(record.seq)[episode]
        ran = np.argsort(seq < 0, axis=1, kind="stable")[:, : int((seq >= 0).sum(axis=1).max(initial=0))]
        arrays[f"{name}/seq"] = np.take_along_axis(seq, ran, axis=1)
        arrays[f"{name}/ts"] = np.take_along_axis(np.asarray(record.ts)[episode], ran, axis=1)
        for field, tree in record.fields.items():
            for path, leaf in leaf_paths(tree).items():
                leaf = leaf[:num]
                if is_key(leaf):
                    leaf = jax.random.key_data(leaf)
                key = "/".join(part for part in (name, field, path) if part)
                arrays[key] = np.asarray(leaf)[np.arange(num)[:, None], ran]
    return arrays
