"""A node's step made ready for real time: compiled, checked and warmed up before any clock runs.

What changes at every step goes in as two small arrays, so that a call costs tens of microseconds. A step of a node
with `jit = False` is called as it is, and sees NumPy arrays.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.graph.call import StepFunction, check_output, different, find_device, warn_untraceable
from rexcli.graph.node import Node
from rexcli.graph.states import InputState, StepState
from rexcli.graph.structure import NOT_TRACEABLE, as_output
from rexcli.runtime.mailbox import Letter

PyTree = Any
WARM_UPS = 15


class Given(NamedTuple):
    """What a node keeps from step to step, in the form that its call takes."""

    rng: Any
    params: PyTree
    state: PyTree


class Done(NamedTuple):
    """What a step gave.

    Attributes:
        given: for the next step.
        later: how much later than at its start the step says that it took place, s.
        output: what it sends.
        nan: whether a number of it is none.
    """

    given: Given
    later: float
    output: PyTree
    nan: bool


class Call(Protocol):
    """One node's step in real time."""

    seconds: float | None
    """What a step was seen to take; None if that cannot be tried without consequences."""

    def given(self, rng: Any, params: PyTree, state: PyTree) -> Given:
        """The start of an episode."""

    def __call__(self, given: Given, eps: int, seq: int, start: int, windows: Sequence[Sequence[Letter]]) -> Done:
        """One step, at `start` ns, with the newest messages of each input, oldest first."""


def prepare(
    node: Node,
    step: StepFunction | None,
    example: Given,
    initial: PyTree,
    windows: Mapping[str, Sequence[Letter]],
    *,
    several_devices: bool = False,
) -> Call:
    """The call of a node, compiled and warmed up if it can be jitted.

    Args:
        node: whose step; `step` takes its place if given.
        example: the node's key, parameters and state.
        initial: its `init_output`.
        windows: by input, what it sees before any message.
        several_devices: not all nodes are on the default device.

    Raises:
        RexError: the step returns something of another structure, shape or type than it began with.
    """
    plain = PlainCall(node, step or node.step, initial, tuple(windows), as_numpy=not node.jit)
    if not node.jit:
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
        example: Given,
        initial: PyTree,
        windows: Mapping[str, Sequence[Letter]],
        several_devices: bool,
    ):
        self.node = node
        self.seconds: float | None = None
        self._step = step
        self._initial = initial
        self._inputs = tuple((name, len(letters)) for name, letters in windows.items())
        self._typed_key = is_key(example.rng)
        self._key_type = jax.random.key_impl(example.rng) if self._typed_key else None
        device = find_device(node.spec.device, node.name)
        self._device = (device or jax.devices()[0]) if several_devices else device
        given, letters = self.given(*example), tuple(windows.values())
        traced = jax.jit(self._plain).trace(*self._arguments(given, 0, 0, 0, letters))
        pure = not traced.jaxpr.effects
        self._call = traced.lower().compile()
        if pure:
            self._warm_up(given, letters)

    def given(self, rng: Any, params: PyTree, state: PyTree) -> Given:
        rng = jax.random.key_data(rng) if self._typed_key else rng
        return Given(*self._put((rng, params, state)))

    def __call__(self, given: Given, eps: int, seq: int, start: int, windows: Sequence[Sequence[Letter]]) -> Done:
        rng, params, state, later, output, nan = self._call(*self._arguments(given, eps, seq, start, windows))
        nan = bool(nan)  # waits for the result
        return Done(Given(rng, params, state), float(later), output, nan)

    def _arguments(
        self, given: Given, eps: int, seq: int, start: int, windows: Sequence[Sequence[Letter]]
    ) -> tuple[Any, ...]:
        letters = [letter for window in windows for letter in window]
        integers = np.array([eps, seq, *(letter.seq for letter in letters)], np.int32)
        times = [start, *(letter.sent for letter in letters), *(letter.arrived for letter in letters)]
        seconds = np.array(times, np.float64) / 1e9
        data = tuple(letter.data for letter in letters)
        return (*given, *self._put((data, integers, seconds.astype(np.float32))))

    def _put(self, tree: PyTree) -> PyTree:
        return tree if self._device is None else jax.device_put(tree, self._device)

    def _plain(
        self, rng: Any, params: PyTree, state: PyTree, data: Any, integers: Any, seconds: Any
    ) -> tuple[Any, ...]:
        key = jax.random.wrap_key_data(rng, impl=self._key_type) if self._typed_key else rng
        inputs, at, count = {}, 0, len(data)
        for name, window in self._inputs:
            here = slice(at, at + window)
            sent = seconds[1 + at : 1 + at + window]
            received = seconds[1 + count + at : 1 + count + at + window]
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *data[here])
            inputs[name] = InputState(integers[2 + at : 2 + at + window], sent, received, stacked)
            at += window
        before = StepState(key, params, state, inputs, integers[0], integers[1], seconds[0])
        after, output = self._step(before)
        output = jax.tree.map(jnp.asarray, as_output(output))
        check_output(self.node.name, self._initial, output)
        output = jax.tree.map(lambda leaf, want: leaf.astype(want.dtype), output, self._initial)
        check_kept(self.node.name, "params", params, after.params)
        check_kept(self.node.name, "state", state, after.state)
        rng = jax.random.key_data(after.rng) if self._typed_key else after.rng
        later = after.ts - before.ts
        return rng, after.params, after.state, later, output, _any_nan(output)

    def _warm_up(self, given: Given, windows: Sequence[Sequence[Letter]]) -> None:
        times = []
        for _ in range(WARM_UPS):
            began = time.perf_counter()
            self(given, 0, 0, 0, windows)
            times.append(time.perf_counter() - began)
        self.seconds = float(np.median(times))


class PlainCall:
    """A step as Python calls it: of hardware, or of code that cannot be jitted."""

    def __init__(self, node: Node, step: StepFunction, initial: PyTree, inputs: tuple[str, ...], as_numpy: bool):
        self.node = node
        self.seconds: float | None = None
        self._step = step
        self._inputs = inputs
        self._initial = initial
        self._array = np.asarray if as_numpy else jnp.asarray
        self._stack = np.stack if as_numpy else jnp.stack

    def given(self, rng: Any, params: PyTree, state: PyTree) -> Given:
        return Given(rng, *jax.tree.map(lambda leaf: leaf if is_key(leaf) else self._array(leaf), (params, state)))

    def __call__(self, given: Given, eps: int, seq: int, start: int, windows: Sequence[Sequence[Letter]]) -> Done:
        inputs = {name: self._input(letters) for name, letters in zip(self._inputs, windows, strict=True)}
        ts = np.float32(start / 1e9)
        before = StepState(*given, inputs, np.int32(eps), np.int32(seq), ts)  # type: ignore[arg-type]
        returned = self._step(before)
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], StepState)):
            raise RexError(
                f"node '{self.node.name}': step returns {type(returned).__name__}; return step_state, output"
            )
        after, output = returned[0], as_output(returned[1])
        check_output(self.node.name, self._initial, output)
        output = jax.tree.map(_own, output, self._initial)
        nan = any(leaf.dtype.kind == "f" and bool(np.isnan(leaf).any()) for leaf in jax.tree.leaves(output))
        return Done(Given(after.rng, after.params, after.state), float(after.ts) - float(ts), output, nan)

    def _input(self, letters: Sequence[Letter]) -> InputState:
        array: Any = self._array
        stack: Any = self._stack
        return InputState(
            array(np.array([letter.seq for letter in letters], np.int32)),
            array(np.array([letter.sent / 1e9 for letter in letters], np.float32)),
            array(np.array([letter.arrived / 1e9 for letter in letters], np.float32)),
            jax.tree.map(lambda *leaves: stack([array(leaf) for leaf in leaves]), *(letter.data for letter in letters)),
        )


def is_key(leaf: Any) -> bool:
    """Whether it is a PRNG key of JAX's own type, which is no plain array."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def check_kept(node: str, what: str, want: PyTree, got: PyTree) -> None:
    """Refuses a state that a step leaves otherwise than it found it."""
    if different(want, got):
        raise RexError(
            f"node '{node}': step leaves {what} {jax.tree.structure(got)}, but began with {jax.tree.structure(want)}; "
            "return the same structure"
        )
    for wanted, leaf in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
        before, after = (np.shape(wanted), jnp.result_type(wanted)), (np.shape(leaf), jnp.result_type(leaf))
        if before != after:
            raise RexError(
                f"node '{node}': step leaves an array of {what} as {after[1]}{list(after[0])}, but began with "
                f"{before[1]}{list(before[0])}; return the same shape and type"
            )


def _own(leaf: Any, want: Any) -> Any:
    """The leaf as an array that the node's code cannot change any more."""
    if isinstance(leaf, jax.Array) and leaf.dtype == want.dtype:
        return leaf
    return np.array(leaf, want.dtype)


def _any_nan(tree: PyTree) -> jax.Array:
    found = [jnp.isnan(leaf).any() for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.stack(found).any() if found else jnp.asarray(False)
