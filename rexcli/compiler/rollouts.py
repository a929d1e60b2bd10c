"""Many rollouts of one program at once, spread over devices."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rexcli.compiler.program import Controller, NodeRecord, Program, Record
from rexcli.errors import RexError

PyTree = Any


@dataclass(frozen=True)
class Rollouts:
    """What many rollouts gave.

    Attributes:
        record: by node, `seq` and `ts` `[episodes, entries]`, the same for all rollouts of an episode, and fields
            with leading `[num, entries]`; an entry where nothing ran has `seq` -1.
        episode: which episode of the timeline each rollout rode, `[num]`.
        steps: supervisor steps of each rollout.
        compile_seconds, run_seconds: wall time of compilation and of running it once.
        devices: how many shared the batch.
    """

    record: Record
    episode: np.ndarray
    steps: int
    compile_seconds: float
    run_seconds: float
    devices: int

    @property
    def num(self) -> int:
        return len(self.episode)

    @property
    def steps_per_second(self) -> float:
        """Supervisor steps of all rollouts by run time."""
        return self.num * self.steps / self.run_seconds


def run_rollouts(
    program: Program,
    rng: jax.Array,
    num: int,
    *,
    steps: int | None = None,
    params: Mapping[str, PyTree] | None = None,
    controller: Controller | None = None,
    keep: Mapping[str, tuple[str, ...]] | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Rollouts:
    """Runs `num` rollouts, each from a fresh initial state, spread evenly over the timeline's episodes.

    Rollouts of one episode run as one batch, so that what runs when is the same for all of it; the batches of
    different episodes follow one another on each device.

    Args:
        program: of the system.
        rng: PRNG key; rollout i starts from `fold_in(rng, i)`, however many there are.
        num: how many.
        steps: supervisor steps of each; as many as the shortest episode has if None.
        params: parameters by node, the same for all.
        controller: steps the supervisor; its own node code if None.
        keep: fields by node, see `Program.rollout`.
        devices: that share the work; all if None.

    Raises:
        RexError: for a number of rollouts or steps that cannot be.
    """
    steps = check(program, num, steps)
    episodes = min(program.num_episodes, num)
    members = list(devices or jax.devices())[: math.ceil(num / episodes)]
    width = math.ceil(num / episodes / len(members)) * len(members)  # rollouts of one episode, the same for all
    index = np.arange(episodes * width, dtype=np.uint32).reshape(width, episodes).T  # rollout i rides episode i % E
    mesh = Mesh(np.array(members), ("rollouts",))
    spread = PartitionSpec(None, "rollouts")
    names = program.layout.nodes if keep is None else tuple(keep)
    out_axes = NodeRecord(seq=None, ts=None, fields=0)  # type: ignore[arg-type]

    def one(program: Program, params: PyTree, eps: jax.Array, key: jax.Array) -> Record:
        graph_state = program.init(key, params, eps=eps)
        graph_state, _ = program.reset(graph_state)
        return program.rollout(graph_state, steps, controller=controller, keep=keep)[1]

    def batches(program: Program, params: PyTree, rng: jax.Array, index: jax.Array) -> Record:
        def batch(args: tuple[jax.Array, jax.Array]) -> Record:
            eps, members = args
            keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, members)
            return jax.vmap(one, (None, None, None, 0), dict.fromkeys(names, out_axes))(program, params, eps, keys)

        return jax.lax.map(batch, (jnp.arange(episodes, dtype=jnp.int32), index))

    out_specs = NodeRecord(seq=PartitionSpec(), ts=PartitionSpec(), fields=spread)  # type: ignore[arg-type]
    sharded = jax.shard_map(
        batches,
        mesh=mesh,
        in_specs=(PartitionSpec(), PartitionSpec(), PartitionSpec(), spread),
        out_specs=dict.fromkeys(names, out_specs),
        check_vma=False,
    )
    everywhere = NamedSharding(mesh, PartitionSpec())
    args = (
        *jax.device_put((program, dict(params or {}), rng), everywhere),
        jax.device_put(index, NamedSharding(mesh, spread)),
    )
    began = time.perf_counter()
    compiled = jax.jit(sharded).lower(*args).compile()
    compile_seconds = time.perf_counter() - began
    began = time.perf_counter()
    record = jax.block_until_ready(compiled(*args))
    run_seconds = time.perf_counter() - began
    rollout_episode = np.tile(np.arange(episodes), width)[:num]

    def in_order(leaf: jax.Array) -> jax.Array:
        if episodes == 1:
            return leaf[0, :num]
        return jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:num]

    record = {name: NodeRecord(node.seq, node.ts, jax.tree.map(in_order, node.fields)) for name, node in record.items()}
    return Rollouts(record, rollout_episode, steps, compile_seconds, run_seconds, len(members))


def check(program: Program, num: int, steps: int | None) -> int:
    """How many steps `run_rollouts` would make.

    Raises:
        RexError: for a number of rollouts or steps that cannot be.
    """
    if num < 1:
        raise RexError(f"num {num}: give 1 or more rollouts")
    shortest = int(jnp.min(program.length))
    steps = shortest if steps is None else steps
    if not 1 <= steps <= shortest:
        raise RexError(f"steps {steps}: the timeline offers 1 to {shortest} steps")
    return steps
