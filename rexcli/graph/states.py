"""What node code sees: immutable pytrees, the same for every executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from flax import struct

PyTree = Any


class Message(struct.PyTreeNode):
    """One message: `seq` is -1 for the source's `init_output`; times in seconds since the start of the episode."""

    seq: jax.Array
    ts_sent: jax.Array
    ts_recv: jax.Array
    data: PyTree


class InputState(struct.PyTreeNode):
    """The last `window` messages of one input, oldest first; `inputs["sensor"][-1]` is the newest.

    Attributes:
        seq: int32 `[window]`, -1 where the gap is filled with the source's `init_output`.
        ts_sent: float32 `[window]`, seconds; when the source's step ended.
        ts_recv: float32 `[window]`, seconds; when the message arrived.
        data: the source's output, each leaf with a leading `[window]`.
    """

    seq: jax.Array
    ts_sent: jax.Array
    ts_recv: jax.Array
    data: PyTree

    def __getitem__(self, index: Any) -> Message:
        data = jax.tree.map(lambda leaf: leaf[index], self.data)
        return Message(self.seq[index], self.ts_sent[index], self.ts_recv[index], data)

    def __len__(self) -> int:
        return self.seq.shape[0]


class StepState(struct.PyTreeNode):
    """All that a step of one node may read, and (but for the inputs, the counters and the clock) may change.

    Attributes:
        rng: a PRNG key of the node's own; split it and return the new one to draw fresh numbers next step.
        params: pytree from `init_params`.
        state: pytree from `init_state`.
        inputs: by input name.
        eps: int32, which episode of the timeline.
        seq: int32, the node's tick.
        ts: float32, seconds since the start of the episode at which the step starts.
    """

    rng: jax.Array
    params: PyTree
    state: PyTree
    inputs: Mapping[str, InputState]
    eps: jax.Array
    seq: jax.Array
    ts: jax.Array


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
    """

    eps: jax.Array
    step: jax.Array
    origin: jax.Array
    rng: Mapping[str, jax.Array]
    params: Mapping[str, PyTree]
    delays: Mapping[str, Mapping[str, jax.Array]]
    state: Mapping[str, PyTree]
    outputs: Mapping[str, PyTree]
