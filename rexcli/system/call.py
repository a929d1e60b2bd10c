"""Calls node code tick by tick: assembles its windows, checks its results, and jits it if possible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rexcli.errors import RexError
from rexcli.system.infer_outputs import NOT_TRACEABLE
from rexcli.system.node import Node
from rexcli.system.states import Inputs, InputState, StepState
from rexcli.system.types import conform_step

PyTree = Any
StepFunction = Callable[[StepState], tuple[StepState, PyTree]]


class NodeCall:
    """The `step` of one node as a function of plain arrays.

    Args:
        node: the node.
        step: called instead of `node.step`, such as a controller.
    """

    def __init__(self, node: Node, step: StepFunction | None = None):
        self.node = node if step else node.called_alone()
        self._step = step or self.node.step
        self._device = find_device(node.spec.device, node.name)
        self._call = jax.jit(self._plain) if self.node.jit else self._plain

    def _plain(
        self,
        rng: Any,
        params: PyTree,
        state: PyTree,
        windows: Mapping[str, Any],
        eps: Any,
        seq: Any,
        ts: Any,
        dt: Any,
        sends: PyTree,
        memory: PyTree = None,
    ) -> tuple[StepState, StepState, PyTree]:
        inputs = Inputs(self.node.name, {name: _window(*window) for name, window in windows.items()})
        stamp_offset: Any = np.float32(0.0)
        before = StepState(rng, params, state, inputs, eps, seq, ts, dt, stamp_offset, memory or {})
        return before, *conform_step(self.node.name, before, sends, self._step(before))

    def __call__(
        self,
        rng: Any,
        params: PyTree,
        state: PyTree,
        windows: Mapping[str, Any],
        eps: Any,
        seq: Any,
        ts: Any,
        dt: Any,
        sends: PyTree,
        memory: PyTree = None,
    ) -> tuple[StepState, StepState, PyTree]:
        """Steps the node.

        Args:
            rng, params, state, eps, seq, ts, dt: as in `StepState`.
            windows: by input, `(seq [window], ts_sent [window], ts_recv [window], age [window], messages)` with the
                messages' data as a tuple, oldest first.
            sends: the node's `init_output`.
            memory: as in `StepState`; None for nothing.

        Returns:
            The step state that the node saw, the one that it returned, and its output, with the types that init gave.
        """
        args = (rng, params, state, windows, eps, seq, ts, dt, sends, memory)
        if self._device is not None:
            args = jax.device_put(args, self._device)
        try:
            return self._call(*args)
        except NOT_TRACEABLE as error:
            if self._call is self._plain:
                raise
            warn_untraceable(self.node, error)
            self._call = self._plain
            return self._call(*args)


def warn_untraceable(node: Node, error: Exception) -> None:
    """Warns that a step is called as plain Python, and says how to declare that."""
    logging.getLogger(f"rex.nodes.{node.name}").warning(
        "node '%s': %s.step cannot be jitted, so it runs as plain Python, slower; set `jit = False` in the class "
        "to say so (%s)",
        node.name,
        type(node).__name__,
        str(error).splitlines()[0],
    )


def _window(seq: Any, ts_sent: Any, ts_recv: Any, age: Any, messages: tuple[PyTree, ...]) -> InputState:
    data = jax.tree.map(lambda *leaves: jnp.stack(leaves), *messages)
    return InputState(jnp.asarray(seq), jnp.asarray(ts_sent), jnp.asarray(ts_recv), jnp.asarray(age), data)


def find_device(name: str, node: str) -> jax.Device | None:
    """Returns the device called `cpu`, `gpu`, `tpu` or `gpu:1`; None for the default one.

    Raises:
        RexError: if this machine has no such device.
    """
    platform, _, index = name.partition(":")
    try:
        devices = jax.devices(platform)
        device = devices[int(index or 0)]
    except (RuntimeError, ValueError, IndexError):
        known = ", ".join(f"{device.platform}:{device.id}" for device in jax.devices())
        raise RexError(f"node '{node}': device '{name}' is not on this machine; there are {known}") from None
    return None if device == jax.devices()[0] else device
