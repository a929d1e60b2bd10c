"""Prepares a node's step for real time: compiles it, checks it and warms it up before any clock runs.

Arguments that change at every step are passed as two small arrays, so that a call costs tens of microseconds. A step of
a node with `jit = False` is called as it is, and gets NumPy arrays.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.runtime.nan import may_be_nan
from rexcli.runtime.wall.message_queue import ReceivedMessage
from rexcli.runtime.wall.packing import Packing, as_bytes
from rexcli.system.call import StepFunction, find_device, warn_untraceable
from rexcli.system.infer_outputs import NOT_TRACEABLE
from rexcli.system.node import Node
from rexcli.system.states import Inputs, InputState, StepState
from rexcli.system.types import StepTypes, conform_step, is_key

PyTree = Any
WARM_UPS = 15
TOLD = struct.Struct("=f?")
"""The values that a jitted step returns before its packed fields: `stamp_offset`, and whether its output
contains NaN.
"""


class CallState(NamedTuple):
    """The values that a node keeps from step to step, in the form that its call takes."""

    rng: Any
    params: PyTree
    state: PyTree
    memory: PyTree = {}  # noqa: RUF012 - it is never written to


class CallResult(NamedTuple):
    """The result of a step.

    Attributes:
        given: the state for the next step, which may write into it.
        kept: the same state, which is never changed, for recordings.
        stamp_offset: how long after its start the step took place according to its own result, s.
        output: the message that it sends.
        nan: whether the output contains NaN.
        packed: the recorded fields, packed by the call's `packing`.
    """

    given: CallState
    kept: CallState
    stamp_offset: float
    output: PyTree
    nan: bool
    packed: bytes | None = None


class Call(Protocol):
    """One node's step in real time."""

    seconds: float | None
    """Measured duration of a step; None if a trial would have side effects, as hardware has."""
    packing: Packing | None
    """The packing of the recorded fields; None if they are only in the result's `kept` and `output`."""

    def given(self, rng: Any, params: PyTree, state: PyTree, memory: PyTree) -> CallState:
        """Returns the arguments of the first step of an episode."""

    def __call__(
        self, given: CallState, eps: int, seq: int, start: int, since: int, windows: Sequence[Sequence[ReceivedMessage]]
    ) -> CallResult:
        """Makes one step, at `start` ns, `since` ns after the previous one, with the newest messages of each input,
        oldest first."""


def prepare(
    node: Node,
    step: StepFunction | None,
    example: CallState,
    initial: PyTree,
    windows: Mapping[str, Sequence[ReceivedMessage]],
    *,
    several_devices: bool = False,
) -> Call:
    """Returns the call of a node, compiled and warmed up if it can be jitted.

    Args:
        node: the node; `step` replaces its step if given.
        example: the node's key, parameters and state.
        initial: its `init_output`.
        windows: what it sees before any message, by input.
        several_devices: not all nodes are on the default device.

    Raises:
        RexError: if the step returns another structure, shape or type than it began with.
    """
    pure, node = node.jit, node if step else node.called_alone()
    plain = PlainCall(node, step or node.step, example, initial, tuple(windows), as_numpy=not node.jit)
    if not node.jit:
        if pure:  # a trial has no side effects
            given, messages = plain.given(*example), tuple(windows.values())
            plain.seconds = warm_up(lambda: plain(given, 0, 0, 0, 0, messages))
        return plain
    try:
        return JittedCall(node, step or node.step, example, initial, windows, several_devices)
    except NOT_TRACEABLE as error:
        warn_untraceable(node, error)
        return plain


class JittedCall:
    """A step as one XLA executable."""

    def __init__(
        self,
        node: Node,
        step: StepFunction,
        example: CallState,
        initial: PyTree,
        windows: Mapping[str, Sequence[ReceivedMessage]],
        several_devices: bool,
    ):
        self.node = node
        self.seconds: float | None = None
        self._step = step
        self._initial = initial
        self._inputs = tuple((name, len(messages)) for name, messages in windows.items())
        self._typed_key = is_key(example.rng)
        self._key_type = jax.random.key_impl(example.rng) if self._typed_key else None
        device = find_device(node.spec.device, node.name)
        self._device = (device or jax.devices()[0]) if several_devices else device
        self.packing = Packing.of(node.spec.record, example.params, example.state, initial)
        given, messages = self.given(*example), tuple(windows.values())
        traced = jax.jit(self.traced_step).trace(*self._arguments(given, 0, 0, 0, 0, messages))
        pure = not traced.jaxpr.effects
        self._call = traced.lower().compile()
        if pure:
            self.seconds = warm_up(lambda: self(given, 0, 0, 0, 0, messages))

    @property
    def device(self) -> Any:
        """The device on which it runs; None for the default device."""
        return self._device

    def given(self, rng: Any, params: PyTree, state: PyTree, memory: PyTree) -> CallState:
        rng = jax.random.key_data(rng) if self._typed_key else rng
        return CallState(*self._put((rng, params, state, memory)))

    def __call__(
        self, given: CallState, eps: int, seq: int, start: int, since: int, windows: Sequence[Sequence[ReceivedMessage]]
    ) -> CallResult:
        *after, output, told = self._call(*self._arguments(given, eps, seq, start, since, windows))
        return call_result(after, output, np.asarray(told).tobytes(), self.packing)

    def _arguments(
        self, given: CallState, eps: int, seq: int, start: int, since: int, windows: Sequence[Sequence[ReceivedMessage]]
    ) -> tuple[Any, ...]:
        data, integers, times = step_arguments(eps, seq, start, since, windows)
        return (*given, *self._put((data, *as_arrays(integers, times))))

    def _put(self, tree: PyTree) -> PyTree:
        return tree if self._device is None else jax.device_put(tree, self._device)

    def traced_step(
        self, rng: Any, params: PyTree, state: PyTree, memory: PyTree, data: Any, integers: Any, seconds: Any
    ) -> tuple[Any, ...]:
        """Makes the step with the arguments from `step_arguments`; returns the next `CallState`, the output, and bytes:
        `TOLD`, then the recorded fields."""
        key = jax.random.wrap_key_data(rng, impl=self._key_type) if self._typed_key else rng
        inputs: dict[str, InputState] = {}
        at = 0
        times = seconds[2:].reshape(len(data), 3).T
        for name, window in self._inputs:
            here = slice(at, at + window)
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *data[here])
            sent, received, age = (each[here] for each in times)
            inputs[name] = InputState(integers[2 + at : 2 + at + window], sent, received, age, stacked)
            at += window
        nil = jnp.zeros(())
        seen = Inputs(self.node.name, inputs)
        clock = integers[0], integers[1], seconds[0], seconds[1], nil
        before = StepState(key, params, state, seen, *clock, memory)
        after, output = conform_step(self.node.name, before, self._initial, self._step(before))
        rng = jax.random.key_data(after.rng) if self._typed_key else after.rng
        stamp_offset = after.stamp_offset + (after.ts - before.ts)
        told = [as_bytes(jnp.asarray(stamp_offset, jnp.float32)), as_bytes(_any_nan(output))]
        if self.packing is not None:
            told.append(self.packing.trace(after.params, after.state, output))
        return rng, after.params, after.state, after.memory, output, jnp.concatenate(told)


class StepRequest(NamedTuple):
    """The arguments of one node's step in a `FusedCall`; see `Call`."""

    given: CallState
    seq: int
    since: int
    windows: Sequence[Sequence[ReceivedMessage]]


class FusedCall:
    """The steps of several nodes as one XLA executable, for nodes whose steps are due at the same time: most of the
    time of a short step is the overhead of its call.

    Args:
        calls: the calls of the nodes, all on the same device.
        requests: an example for each call.
    """

    def __init__(self, calls: Sequence[JittedCall], requests: Sequence[StepRequest]):
        self._calls = calls
        self._device = calls[0].device
        self._call = jax.jit(self._traced_steps).trace(*self._arguments(requests, 0, 0)).lower().compile()
        warm_up(lambda: self(requests, 0, 0))

    def __call__(self, requests: Sequence[StepRequest], eps: int, start: int) -> list[CallResult]:
        """Makes one step of each node, at `start` ns."""
        results, joined = self._call(*self._arguments(requests, eps, start))
        told, at, done = np.asarray(joined).tobytes(), 0, []
        for (*after, output), call in zip(results, self._calls, strict=True):
            until = at + TOLD.size + (0 if call.packing is None else call.packing.nbytes)
            done.append(call_result(after, output, told[at:until], call.packing))
            at = until
        return done

    def _arguments(self, requests: Sequence[StepRequest], eps: int, start: int) -> tuple[Any, ...]:
        given, messages = [], []
        integers: list[int] = []
        times: list[int] = []
        for request in requests:
            data, numbers, moments = step_arguments(eps, request.seq, start, request.since, request.windows)
            given.append(request.given)
            messages.append(data)
            integers += numbers
            times += moments
        arguments = given, messages, *as_arrays(integers, times)
        return arguments if self._device is None else jax.device_put(arguments, self._device)

    def _traced_steps(self, given: Any, messages: Any, integers: Any, seconds: Any) -> tuple[Any, Any]:
        results, told, at, moment = [], [], 0, 0
        for call, state, data in zip(self._calls, given, messages, strict=True):
            numbers, moments = 2 + len(data), 2 + 3 * len(data)
            clock = integers[at : at + numbers], seconds[moment : moment + moments]
            *result, last = call.traced_step(state.rng, state.params, state.state, state.memory, data, *clock)
            results.append(result)
            told.append(last)
            at, moment = at + numbers, moment + moments
        return results, jnp.concatenate(told)


def step_arguments(
    eps: int, seq: int, start: int, since: int, windows: Sequence[Sequence[ReceivedMessage]]
) -> tuple[tuple[PyTree, ...], list[int], list[int]]:
    """Returns what a jitted step takes in addition to its state: the data of all messages; integers (eps, seq, each
    message's seq); and times, ns (start, since, each message's sending, arrival and age)."""
    messages = [message for window in windows for message in window]
    times = [start, since]
    for message in messages:
        times += message.sent, message.arrived, _age(message, start)
    return tuple(message.data for message in messages), [eps, seq, *(message.seq for message in messages)], times


def as_arrays(integers: Sequence[int], times: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns integers as int32, and ns as float32 seconds."""
    return np.array(integers, np.int32), (np.array(times, np.float64) / 1e9).astype(np.float32)


def call_result(after: Sequence[Any], output: PyTree, told: bytes, packing: Packing | None) -> CallResult:
    """Returns the result of a jitted step. Values that Python reads come in one array, since reading several takes far
    longer."""
    stamp_offset, nan = TOLD.unpack_from(told)
    state = CallState(*after)
    return CallResult(state, state, stamp_offset, output, nan, None if packing is None else told[TOLD.size :])


def warm_up(call: Callable[[], Any]) -> float:
    """Calls the function a few times; returns the median duration, s."""
    times = []
    for _ in range(WARM_UPS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


class PlainCall:
    """A step that Python calls: that of hardware, or of code that cannot be jitted."""

    def __init__(
        self,
        node: Node,
        step: StepFunction,
        example: CallState,
        initial: PyTree,
        inputs: tuple[str, ...],
        as_numpy: bool,
    ):
        self.node = node
        self.seconds: float | None = None
        self.packing: Packing | None = None
        if as_numpy and not any(map(is_key, jax.tree.leaves((example.params, example.state, initial)))):
            self.packing = Packing.of(node.spec.record, example.params, example.state, initial)
        self._step = step
        self._inputs = inputs
        self._initial = initial
        self._as_numpy = as_numpy
        self._keep = node.spec.record
        self._may_be_nan = [may_be_nan(leaf) for leaf in jax.tree.leaves(initial)]
        self._types: StepTypes

    def given(self, rng: Any, params: PyTree, state: PyTree, memory: PyTree) -> CallState:
        given = CallState(rng, *jax.tree.map(self._array, (params, state, memory)))
        declared = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), given)
        self._types = StepTypes(self.node.name, declared, self._initial)
        return given

    def __call__(
        self, given: CallState, eps: int, seq: int, start: int, since: int, windows: Sequence[Sequence[ReceivedMessage]]
    ) -> CallResult:
        windowed = zip(self._inputs, windows, strict=True)
        inputs = Inputs(self.node.name, {name: self._input(messages, start) for name, messages in windowed})
        clock = np.int32(eps), np.int32(seq), np.float32(start / 1e9), np.float32(since / 1e9), np.float32(0.0)
        before = StepState(given.rng, given.params, given.state, inputs, *clock, given.memory)  # type: ignore[arg-type]
        after, output = self._types.conform(self._step(before))
        keep, packed = self._keep, None
        if self.packing is None:
            kept = after.params if keep.params else None, after.state if keep.state else None
            (params, state), output = jax.tree.map(_own, (kept, output))
        else:
            params = state = None
            output = jax.tree.map(_own, output)
            packed = self.packing.pack(after.params, after.state, output)
        leaves = zip(jax.tree.leaves(output), self._may_be_nan, strict=True)
        nan = any(may_be and _has_nan(leaf) for leaf, may_be in leaves)
        stamp_offset = float(after.stamp_offset) + (float(after.ts) - float(before.ts))
        return CallResult(
            CallState(after.rng, after.params, after.state, after.memory),
            CallState(after.rng, params, state),
            stamp_offset,
            output,
            nan,
            packed,
        )

    def _input(self, messages: Sequence[ReceivedMessage], start: int) -> InputState:
        def stack(*leaves: Any) -> Any:
            if not self._as_numpy or is_key(leaves[0]):
                return jnp.stack(leaves)
            return np.stack(leaves) if len(leaves) > 1 else np.array(leaves[0])[None]

        data = jax.tree.map(stack, *(message.data for message in messages))
        times = clocks(messages, start)
        seq, sent, received, age = times if self._as_numpy else map(jnp.asarray, times)
        return InputState(seq, sent, received, age, data)

    def _array(self, leaf: Any) -> Any:
        if is_key(leaf):
            return leaf
        return np.array(leaf) if self._as_numpy else jnp.asarray(leaf)


def clocks(messages: Sequence[ReceivedMessage], start: int) -> tuple[Any, Any, Any, Any]:
    """Returns `seq`, `ts_sent`, `ts_recv` and `age` of an `InputState`, for a step that starts at `start` ns."""
    times = np.array([(message.sent, message.arrived, _age(message, start)) for message in messages], np.float64) / 1e9
    sent, received, age = times.T.astype(np.float32)
    return np.array([message.seq for message in messages], np.int32), sent, received, age


def _age(message: ReceivedMessage, start: int) -> int:
    """Returns the age of a message as in `InputState.age`, but in ns."""
    return start - message.sent if message.seq >= 0 else start


def _own(leaf: Any) -> Any:
    """Returns the leaf as an array that the node's code cannot change any more."""
    return leaf if isinstance(leaf, jax.Array) else np.array(leaf)


def _has_nan(leaf: Any) -> bool:
    found = np.isnan(leaf)
    return bool(found.any() if found.ndim else found)


def _any_nan(tree: PyTree) -> jax.Array:
    found = [jnp.isnan(leaf).any() for leaf in jax.tree.leaves(tree) if may_be_nan(leaf)]
    return jnp.stack(found).any() if found else jnp.asarray(False)
