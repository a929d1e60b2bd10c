"""Defines the base class of node code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax

from rexcli.system.delays import Delay
from rexcli.system.spec import NodeSpec
from rexcli.system.states import GraphState, StepState

PyTree = Any


class Node:
    """A part of the robot that steps at its own rate: a sensor, an actuator, a controller, the world.

    Subclass it, write `step`, and override the other methods that the node needs. Arguments of its `__init__` are the
    node's own options, which are set next to the reserved ones in YAML. `name`, `rate` and `spec` are available from
    the first `init_*` on, but not in `__init__`.
    """

    jit: ClassVar[bool] = True
    """Whether `step` is pure JAX. Set it to False for code that communicates with hardware or calls back to Python: on
    the wall clock it has its own thread, the same from `startup` to `stop`, and gets NumPy arrays."""

    engine: str | None = None
    """Name and version of the engine that computes its steps, if there are several; it is part of the results."""

    spec: NodeSpec
    """How the node was declared; set before any method but `__init__` is called."""

    @property
    def name(self) -> str:
        """The node's name in the experiment."""
        return self.spec.name

    @property
    def rate(self) -> float:
        """Steps per second, Hz."""
        return self.spec.rate

    def default_delay(self) -> Delay | float:
        """Returns the computation delay, seconds, that the node has if the experiment declares none."""
        return 0.0

    def called_alone(self) -> Node:
        """Returns the node to use when each step is called separately, by the stepper and on the wall clock, and not
        compiled into a program with others: itself, unless it has other code for that, which must be a pure function
        too."""
        return self

    def files(self) -> Mapping[str, Path]:
        """Returns the files that the node was made from, by name: a run stores their hashes, and the content of text
        files.
        """
        return {}

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """Returns the parameters, which are fixed in an episode. `graph_state.params` holds those of nodes before this
        one.
        """
        return ()

    def positive_params(self) -> Collection[str]:
        """Returns the names of parameters that have to be more than 0, such as masses; with dots if they are nested.

        Declared values and ranges of them are refused if they are not.
        """
        return ()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """Returns the state at the start of an episode. `graph_state.state` holds those of nodes before this one."""
        return ()

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """Returns what readers see before the first message, with the structure of every output.

        If it is not defined, these are zeros with the structure found by tracing `step`, or `()` if `jit` is False.
        """
        return ()

    def init_delays(self, rng: jax.Array, graph_state: GraphState) -> Mapping[str, jax.Array | float]:
        """Returns the delays of an episode, seconds by input, for edges whose delay is an `AdjustableDelay`.

        Missing inputs have the declared value. `graph_state.params` holds the parameters of all nodes, so that a delay
        may be one of them.
        """
        return {}

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> bool:
        """Prepares the node, called once before the first tick, for example to move the robot to its start; False means
        failure.
        """
        return True

    def step(self, step_state: StepState) -> tuple[StepState, PyTree]:
        """Runs one step: returns the new step state and the output to send."""
        raise TypeError(f"node '{self.name}': {type(self).__name__} has no step(step_state); write one")

    def stop(self, timeout: float | None = None) -> bool:
        """Stops the node, called once after the last tick, also after errors; False means failure."""
        return True


def defines(node: Node, method: str) -> bool:
    """Returns whether the node's own code has an optional method; None counts as missing."""
    own = getattr(node, method)
    return own is not None and getattr(own, "__func__", None) is not getattr(Node, method)
