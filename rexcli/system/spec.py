"""Declares nodes and edges, in YAML and in Python: every key with its type, unit and default, without JAX.

A field's metadata are for `rexcli.config.checks`: `key` is its name in YAML if that differs (`from` is a Python
keyword), and `check` returns what is wrong with a value of the right type.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rexcli.errors import DeclarationError
from rexcli.timeline.phases import check_keys, check_names
from rexcli.timeline.spec import Jitter, Scheduling, wrong_choice, wrong_delay, wrong_rate, wrong_window

LogLevel = Literal["debug", "info", "warning", "error"]
Thread = Literal["auto", "own", "shared"]


def wrong_index(value: int) -> str | None:
    return None if value >= 0 else "give a whole number, 0 or more"


@dataclass(frozen=True)
class RecordSettings:
    """The fields that a recording stores of each step of a node."""

    params: bool = False
    """The parameters that the step saw."""
    inputs: bool = False
    """The messages that the step saw."""
    state: bool = True
    """The state that the step left."""
    output: bool = True
    """What the step sent."""


@dataclass(frozen=True)
class NodeSpec:
    """A declared node."""

    name: str = field(metadata={"named": True})
    """Unique in the system."""
    rate: float = field(metadata={"check": wrong_rate})
    """Steps per second, Hz."""
    delay: Any = field(default=None, metadata={"delay": True})
    """Computation delay: seconds, or a distribution over seconds; None for the class's `default_delay()`. A `System`
    replaces it by a `Delay`."""
    expected_delay: float | None = field(default=None, metadata={"check": wrong_delay})
    """Seconds; None for the 0.99 quantile of `delay`."""
    scheduling: Scheduling = "frequency"
    """`frequency`: a late node keeps the spacing of its ticks; `phase`: it returns to its schedule."""
    advance: bool = False
    """Start as soon as all (blocking) inputs have arrived, without waiting for the schedule."""
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    """Numbers by name that replace those from the class's `init_params`; nested ones have a mapping for each level."""
    color: str | None = None
    """The colour in pictures, an open-color name or any matplotlib colour; None for one of a palette."""
    order: int | None = None
    """The row in pictures, from the bottom; None for the order of declaration."""
    group: str | None = None
    """The group that it is part of: nodes of a group are drawn together. Replicas form a group named after the declared
    node.
    """
    index: int | None = field(default=None, metadata={"check": wrong_index})
    """Its number in its group, from 0; None if it has none."""
    device: str = "cpu"
    """The device on which `step` runs under the stepper and on the wall clock: `cpu`, `gpu`, `cpu:1`, …"""
    thread: Thread = "auto"
    """Whether its steps have their own thread on the wall clock (`own`), or share one with other fast nodes (`shared`:
    they must not block); with `auto` they share one if they were measured to be fast, except for hardware."""
    log_level: LogLevel = "warning"
    """The lowest level that the node's logger logs."""
    record: RecordSettings = field(default_factory=RecordSettings)
    """What a recording stores."""


@dataclass(frozen=True)
class Edge:
    """A declared edge: messages from one node to another."""

    name: str = field(metadata={"named": True})
    """Unique in the system."""
    source: str = field(metadata={"key": "from"})
    """The node that sends."""
    target: str = field(metadata={"key": "to"})
    """The node that reads."""
    input_name: str | None = field(default=None, metadata={"key": "name"})
    """The name under which the reader's code finds it; None for the sender's name."""
    window: int = field(default=1, metadata={"check": wrong_window})
    """How many messages a step sees."""
    blocking: bool = False
    """The reader's tick waits for the messages that its schedule requires."""
    skip: bool = False
    """Breaks a loop: a message that arrives exactly at the start of a step is read by the next step."""
    jitter: Jitter = "latest"
    """`latest` reads a message once it has arrived, `buffer` not before its expected arrival."""
    delay: Any = field(default=0.0, metadata={"delay": True})
    """Communication delay: seconds, or a distribution over seconds. A `System` replaces it by a `Delay`."""
    expected_delay: float | None = field(default=None, metadata={"check": wrong_delay})
    """Seconds; None for the 0.99 quantile of `delay`."""
    loss: Any = field(default=0.0, metadata={"loss": True})
    """Share of the messages that are lost, or a model of the losses, see `rexcli.system.losses`. A `System` replaces it
    by a `Loss`."""
    reorder: bool = False
    """Messages may overtake one another, and are read in the order of arrival."""
    group: str | None = None
    """The declared edge from which it was made, if that connects nodes with replicas."""

    @property
    def input(self) -> str:
        """The name under which the reader's code finds it."""
        return self.input_name or self.source


def check_system(
    nodes: Collection[NodeSpec], edges: Collection[Edge], supervisor: str, init_order: Sequence[str]
) -> None:
    """Raises an error if nodes and edges do not form a valid system.

    Raises:
        DeclarationError: names the key that is wrong, its value and the fix.
    """
    check_keys(nodes, edges, supervisor)
    check_names([node.name for node in nodes], [("init_order", name) for name in init_order])
    if twice := [name for name in init_order if init_order.count(name) > 1]:
        raise DeclarationError("init_order", twice[0], "it stands there twice; name each node once")
    for node in nodes:
        for key, value, choices in (("log_level", node.log_level, LogLevel), ("thread", node.thread, Thread)):
            if fix := wrong_choice(value, choices):
                raise DeclarationError(f"nodes.{node.name}.{key}", value, fix)
    names: dict[tuple[str, str], str] = {}
    for edge in edges:
        other = names.setdefault((edge.target, edge.input), edge.name)
        if other != edge.name:
            fix = f"node '{edge.target}' has this input already, edges.{other}; set `name` on one of them"
            raise DeclarationError(f"edges.{edge.name}.name", edge.input, fix)
