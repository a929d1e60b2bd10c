"""Defines what node code sees: immutable pytrees, the same for every executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from flax import struct

from rexcli.errors import RexError, suggest

PyTree = Any


class Message(struct.PyTreeNode):
    """One message: `seq` is -1 for the source's `init_output`; the other fields as in `InputState`."""

    seq: jax.Array
    ts_sent: jax.Array
    ts_recv: jax.Array
    age: jax.Array
    data: PyTree


class InputState(struct.PyTreeNode):
    """The last `window` messages of one input, oldest first; `inputs["sensor"][-1]` is the newest.

    Attributes:
        seq: int32 `[window]`, -1 in a gap, which is filled with the source's `init_output`.
        ts_sent: float32 `[window]`, when the source's step ended, seconds since the start of the episode; 0 in a gap.
            Like `StepState.ts`, it is too coarse for differences.
        ts_recv: float32 `[window]`, when the message arrived, seconds since the start of the episode; 0 in a gap.
        age: float32 `[window]`, seconds from the end of the source's step to the start of this step, computed from
            nanoseconds, so exact however long the episode is. In a gap, it is the time since the start of the episode.
        data: the source's output, each leaf with a leading `[window]`.
    """

    seq: jax.Array
    ts_sent: jax.Array
    ts_recv: jax.Array
    age: jax.Array
    data: PyTree

    def __getitem__(self, index: Any) -> Message:
        data = jax.tree.map(lambda leaf: leaf[index], self.data)
        return Message(self.seq[index], self.ts_sent[index], self.ts_recv[index], self.age[index], data)

    def __len__(self) -> int:
        return self.seq.shape[0]


class Inputs(dict[str, InputState]):
    """The inputs of one node by name. An unknown name raises an error that lists the known ones.

    Args:
        node: the name of the node.
        inputs: the inputs, by name.
    """

    def __init__(self, node: str, inputs: Mapping[str, InputState]):
        super().__init__(inputs)
        self.node = node

    def __missing__(self, name: Any) -> InputState:
        known = suggest(str(name), list(self)) or "; it has none"
        raise RexError(
            f"node '{self.node}': its step asks for input '{name}', which no edge brings{known} (an input is called as "
            "the node that sends, or as the edge's `name` says)"
        )


def _flatten_inputs(inputs: Inputs) -> tuple[list[tuple[Any, InputState]], tuple[str, tuple[str, ...]]]:
    names = tuple(sorted(inputs))
    return [(jax.tree_util.DictKey(name), inputs[name]) for name in names], (inputs.node, names)


jax.tree_util.register_pytree_with_keys(
    Inputs, _flatten_inputs, lambda about, values: Inputs(about[0], dict(zip(about[1], values, strict=True)))
)


class StepState(struct.PyTreeNode):
    """Everything that a step of a node may read and, except for the inputs, counters and times, may change.

    Attributes:
        rng: the node's own PRNG key; split it and return the new one to draw new numbers in the next step.
        params: pytree from `init_params`.
        state: pytree from `init_state`.
        inputs: the inputs, by name.
        eps: int32, the episode of the timeline.
        seq: int32, the node's tick.
        ts: float32, when the step starts, seconds since the start of the episode. It is meant for plots: its resolution
            is 0.06 ms after 1,000 s and 1 ms after 3 h, so differences of it are that imprecise; use `dt` and `age`
            instead.
        dt: float32, seconds from the start of the node's previous tick to the start of this one, computed from
            nanoseconds, so exact however long the episode is. It is `1 / rate` at tick 0, and 0 if both start at the
            same time.
        stamp_offset: float32, 0. On the wall clock, a step may return how many seconds after its start (but not after
            its end) it took place, such as a sensor that knows when it sampled. A changed `ts` has the same effect, but
            only the resolution of `ts`.
        memory: the memory of the controller that replaces the supervisor's own step, see `GraphState.memory`.
    """

    rng: jax.Array
    params: PyTree
    state: PyTree
    inputs: Mapping[str, InputState]
    eps: jax.Array
    seq: jax.Array
    ts: jax.Array
    dt: jax.Array
    stamp_offset: jax.Array
    memory: Mapping[str, PyTree] = struct.field(default_factory=dict)


class GraphState(struct.PyTreeNode):
    """The state of a whole system between two supervisor steps.

    Attributes:
        eps: int32, the episode of the timeline.
        step: int32, supervisor steps since the start of the timeline's episode.
        origin: int32, the step at which this run began; messages from before it count as never sent.
        rng: PRNG key by node.
        params: pytree by node.
        delays: seconds by node and input, float32, of the edges that are declared with an `AdjustableDelay`.
        state: pytree by node.
        outputs: stored messages by node, in a form that depends on the executor; not for node code.
        memory: what a controller that replaces the supervisor's own step stores from tick to tick, such as past
            observations of a task, or the state of a recurrent policy; empty without one.
    """

    eps: jax.Array
    step: jax.Array
    origin: jax.Array
    rng: Mapping[str, jax.Array]
    params: Mapping[str, PyTree]
    delays: Mapping[str, Mapping[str, jax.Array]]
    state: Mapping[str, PyTree]
    outputs: Mapping[str, PyTree]
    memory: Mapping[str, PyTree] = struct.field(default_factory=dict)
