"""What node code sees: immutable pytrees, the same for every executor."""

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
        seq: int32 `[window]`, -1 where the gap is filled with the source's `init_output`.
        ts_sent: float32 `[window]`, seconds since the start of the episode; when the source's step ended, 0 in the
            gap. Like `StepState.ts` not for differences.
        ts_recv: float32 `[window]`, seconds; when the message arrived, 0 in the gap.
        age: float32 `[window]`, seconds from when the source's step ended to when this step starts, from nanoseconds:
            exact however long the episode is. In the gap, the time since the start of the episode.
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
    """The inputs of one node by name. One that there is not is refused with those that there are.

    Args:
        node: whose.
        inputs: by name.
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
    """All that a step of one node may read, and (but for the inputs, the counters and the clock) may change.

    Attributes:
        rng: a PRNG key of the node's own; split it and return the new one to draw fresh numbers next step.
        params: pytree from `init_params`.
        state: pytree from `init_state`.
        inputs: by input name.
        eps: int32, which episode of the timeline.
        seq: int32, the node's tick.
        ts: float32, seconds since the start of the episode at which the step starts. For plots: its grain is 0.06 ms
            after 1,000 s and 1 ms after 3 h, so differences of it are wrong by as much; `dt` and `age` are not.
        dt: float32, seconds from the start of the node's tick before to the start of this one, from nanoseconds: exact
            however long the episode is. At tick 0, `1 / rate`. 0 if both start at the same instant.
        stamp_offset: float32, 0. On the wall clock, a step that returns another value took place so many seconds after
            its start, though not after its end: a sensor that knows when it sampled. `ts` that is moved counts as well,
            but has the grain of `ts`.
        memory: of what acts in place of the supervisor's own step, see `GraphState.memory`.
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
        eps: int32, which episode of the timeline.
        step: int32, supervisor steps since the start of the timeline's episode.
        origin: int32, the step at which this run of it began; what was sent before counts as never sent.
        rng: PRNG key by node.
        params: pytree by node.
        delays: seconds by node and input, float32, of the edges that are declared with an `AdjustableDelay`.
        state: pytree by node.
        outputs: by node, what is kept of what it sent: each executor's own form, not for node code.
        memory: what acts in place of the supervisor's own step carries from tick to tick: a task past observations, a
            recurrent policy its state; empty where nothing does.
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
