"""The base class of node code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax

from rexcli.system.delays import Delay
from rexcli.system.spec import NodeSpec
from rexcli.system.states import GraphState, StepState

PyTree = Any


class Node:
    """A part of the robot that steps at its own rate: a sensor, an actuator, a controller, the world.

    Subclass it, write `step`, and override of the rest what the node needs. Options of the node's own are the
    arguments of its `__init__` and are set beside the reserved ones in YAML. `name`, `rate` and `spec` are there
    from the first `init_*` on, not yet in `__init__`.
    """

    jit: ClassVar[bool] = True
    """Whether `step` is pure JAX. Set to False for code that talks to hardware or calls back to Python: on the wall
    clock it has a thread of its own, the same from `startup` to `stop`, and is given NumPy arrays."""

    engine: str | None = None
    """What computes its steps and in which version, where there is a choice: results say so."""

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
        """The computation delay, seconds, where the experiment declares none."""
        return 0.0

    def called_alone(self) -> Node:
        """The node where each of its steps is called by itself, by the stepper and on the wall clock, and not compiled
        into a program with the others: itself, unless it has other code for that, which is a pure function too."""
        return self

    def files(self) -> Mapping[str, Path]:
        """Files that it was made from, by a name for each: a run keeps their hashes, and what is text of them."""
        return {}

    def init_params(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """Parameters: what stays fixed in an episode. `graph_state.params` holds those of nodes before this one."""
        return ()

    def init_state(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """State at the start of an episode. `graph_state.state` holds those of nodes before this one."""
        return ()

    def init_output(self, rng: jax.Array, graph_state: GraphState) -> PyTree:
        """What readers see before the first message, and the structure of every output.

        Left out, that is zeros, in the structure that is found by tracing `step`; nothing, `()`, where `jit` is False.
        """
        return ()

    def init_delays(self, rng: jax.Array, graph_state: GraphState) -> Mapping[str, jax.Array | float]:
        """Communication delays of an episode by input, seconds, of those edges whose delay is an `AdjustableDelay`.

        What is left out has the declared value. `graph_state.params` holds the parameters of all nodes, so that a
        delay may be one of them.
        """
        return {}

    def startup(self, graph_state: GraphState, timeout: float | None = None) -> bool:
        """Called once before the first tick (a robot moves to its start). False means that it failed."""
        return True

    def step(self, step_state: StepState) -> tuple[StepState, PyTree]:
        """One step: returns the new step state and the output to send."""
        raise TypeError(f"node '{self.name}': {type(self).__name__} has no step(step_state); write one")

    def stop(self, timeout: float | None = None) -> bool:
        """Called once after the last tick, whatever happened. False means that it failed."""
        return True


def defines(node: Node, method: str) -> bool:
    """Whether the node's own code has a method that it may leave out; None counts as left out."""
    own = getattr(node, method)
    return own is not None and getattr(own, "__func__", None) is not getattr(Node, method)
