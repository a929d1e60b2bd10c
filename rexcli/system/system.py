"""A system: nodes joined by edges, seen from one of them, the supervisor."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError, suggest
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.delays import QUANTILE, Constant, Delay, as_delay
from rexcli.system.node import Node
from rexcli.system.record import RecordSettings
from rexcli.timeline.spec import (
    LONGEST_DELAY,
    EdgeTiming,
    Jitter,
    NodeTiming,
    Scheduling,
    SystemTiming,
    nanoseconds,
    wrong_delay,
    wrong_rate,
)

PyTree = Any

SAMPLE_BLOCK = 256


@dataclass(frozen=True)
class NodeSpec:
    """A node as declared.

    Attributes:
        name: unique in the system.
        rate: steps per second, Hz.
        delay: computation delay; None for the node code's `default_delay()`.
        expected_delay: seconds; None for the 0.99 quantile of `delay`.
        scheduling: `frequency`: a late node keeps its spacing; `phase`: it catches up with its clock.
        advance: start as soon as all (blocking) inputs are there, without waiting for the schedule.
        color: open-color name or any matplotlib colour, for pictures.
        order: row in pictures, from the bottom.
        device: where `step` runs under the stepper and the wall clock: `cpu`, `gpu`, `cpu:1`, …
        log_level: `debug`, `info`, `warning` or `error`.
        record: what a recording keeps.
    """

    name: str
    rate: float
    delay: Delay | None = None
    expected_delay: float | None = None
    scheduling: Scheduling = "frequency"
    advance: bool = False
    color: str = "gray"
    order: int | None = None
    device: str = "cpu"
    log_level: str = "warning"
    record: RecordSettings = field(default_factory=RecordSettings)


@dataclass(frozen=True)
class Edge:
    """Messages from node `source` to node `target`.

    Attributes:
        name: unique in the system.
        source, target: node names.
        input: the name under which the target's code finds it.
        window: how many messages a step sees.
        blocking: the target's tick waits for the messages that its schedule requires.
        skip: break a loop: a message that arrives exactly at a step's start is left to the next step.
        jitter: `latest` reads a message once it is there, `buffer` no earlier than it is expected.
        delay: communication delay.
        expected_delay: seconds; None for the 0.99 quantile of `delay`.
    """

    name: str
    source: str
    target: str
    input: str
    window: int = 1
    blocking: bool = False
    skip: bool = False
    jitter: Jitter = "latest"
    delay: Delay = field(default_factory=lambda: Constant(0.0))
    expected_delay: float | None = None


class System:
    """Nodes and edges, checked.

    Args:
        nodes: node code with its declaration, in order of declaration. A class need not derive from `Node`.
        edges: in order of declaration; a node's inputs come in this order.
        supervisor: the node from whose point of view the system is stepped.
        init_order: nodes to initialise before the others.

    Raises:
        RexError: for anything that cannot be a system, with the fix.
    """

    def __init__(
        self,
        nodes: Mapping[NodeSpec, Any] | list[tuple[NodeSpec, Any]],
        edges: list[Edge],
        supervisor: str,
        init_order: tuple[str, ...] = (),
    ):
        pairs = list(nodes.items()) if isinstance(nodes, Mapping) else list(nodes)
        self.specs: dict[str, NodeSpec] = {}
        self.nodes: dict[str, Node] = {}
        self.delays: dict[str, Delay] = {}
        for spec, code in pairs:
            _check_node(spec)
            if spec.name in self.specs:
                raise RexError(f"node '{spec.name}' is declared twice; give each node a name of its own")
            self.specs[spec.name] = spec
            self.nodes[spec.name] = adopt(code, spec)
        for name, node in self.nodes.items():
            declared = self.specs[name].delay
            self.delays[name] = as_delay(node.default_delay()) if declared is None else declared
            if isinstance(self.delays[name], AdjustableDelay):
                raise RexError(
                    f"node '{name}': delay {self.delays[name]!r}: only the delay of an edge can be adjustable, a "
                    "computation delay shapes the timeline; give a number or a distribution"
                )
        self.edges: dict[str, Edge] = {}
        for edge in edges:
            self._check_edge(edge)
            self.edges[edge.name] = edge
        for what, names in (("supervisor", (supervisor,)), ("init_order", tuple(init_order))):
            for name in names:
                if name not in self.nodes:
                    raise RexError(f"{what}: no node is called '{name}'{suggest(name, list(self.nodes))}")
        twice = [name for name in init_order if init_order.count(name) > 1]
        if twice:
            raise RexError(f"init_order: '{twice[0]}' stands there twice; name each node once")
        self.supervisor = supervisor
        self.init_order = tuple(init_order) + tuple(name for name in self.nodes if name not in init_order)
        self.timing = self._timing()
        self.output_structures: dict[Any, PyTree] = {}
        """What nodes without `init_output` send, once it was found, see `rexcli.system.structure`."""

    def _check_edge(self, edge: Edge) -> None:
        where = f"edge '{edge.name}'"
        if edge.name in self.edges:
            raise RexError(f"{where} is declared twice; give each edge a name of its own")
        for end, name in (("from", edge.source), ("to", edge.target)):
            if name not in self.nodes:
                raise RexError(f"{where}: {end}: no node is called '{name}'{suggest(name, list(self.nodes))}")
        if edge.window < 1:
            raise RexError(f"{where}: window {edge.window}: give 1 or more messages")
        if edge.jitter not in ("latest", "buffer"):
            raise RexError(f"{where}: jitter '{edge.jitter}': give 'latest' or 'buffer'")
        _check_seconds(f"{where}: expected_delay", edge.expected_delay)
        if isinstance(edge.delay, AdjustableDelay) and (edge.blocking or edge.jitter != "latest"):
            option, instead = ("blocking: true", "blocking: false") if edge.blocking else ("jitter: buffer", "latest")
            fix = instead if edge.blocking else f"jitter: {instead}"
            raise RexError(
                f"{where}: delay: an adjustable delay must not move any step, but with {option} it would; set {fix}, "
                "or give a number or a distribution as delay"
            )
        for other in self.edges.values():
            if other.target == edge.target and other.input == edge.input:
                raise RexError(
                    f"edges '{other.name}' and '{edge.name}' are both input '{edge.input}' of node "
                    f"'{edge.target}'; set `name` on one of them"
                )

    def adjustable(self, name: str) -> dict[str, AdjustableDelay]:
        """By input of node `name`, the delays that each episode sets for itself."""
        return {edge.input: edge.delay for edge in self.inputs(name) if isinstance(edge.delay, AdjustableDelay)}

    def inputs(self, name: str) -> list[Edge]:
        """Edges into node `name`, in order of declaration."""
        return [edge for edge in self.edges.values() if edge.target == name]

    def outputs(self, name: str) -> list[Edge]:
        """Edges out of node `name`, in order of declaration."""
        return [edge for edge in self.edges.values() if edge.source == name]

    def expected_delay(self, name: str) -> float:
        """Expected computation delay of a node, seconds."""
        declared = self.specs[name].expected_delay
        expected = self.delays[name].quantile(QUANTILE) if declared is None else declared
        _check_seconds(f"node '{name}': delay", expected)
        return expected

    def expected_communication(self, name: str) -> float:
        """Expected communication delay of an edge, seconds."""
        edge = self.edges[name]
        expected = edge.delay.quantile(QUANTILE) if edge.expected_delay is None else edge.expected_delay
        _check_seconds(f"edge '{name}': delay", expected)
        return expected

    def _timing(self) -> SystemTiming:
        return SystemTiming(
            nodes=tuple(
                NodeTiming(
                    name=name,
                    rate=spec.rate,
                    expected_delay=nanoseconds(self.expected_delay(name)),
                    scheduling=spec.scheduling,
                    advance=spec.advance,
                )
                for name, spec in self.specs.items()
            ),
            edges=tuple(
                EdgeTiming(
                    name=edge.name,
                    source=edge.source,
                    target=edge.target,
                    window=edge.window,
                    blocking=edge.blocking,
                    skip=edge.skip,
                    jitter=edge.jitter,
                    expected_delay=nanoseconds(self.expected_communication(edge.name)),
                    adjustable=_adjustable(edge.delay),
                )
                for edge in self.edges.values()
            ),
            supervisor=self.supervisor,
        )

    def sample_delays(
        self, kind: Literal["node", "edge"], name: str, seed: int, episodes: int, ticks: int, first_episode: int = 0
    ) -> npt.NDArray[np.int64]:
        """Delays of one node or edge, ns, `[episodes, ticks]`.

        The draws depend on (seed, kind, name, episode) alone: another episode, node or edge changes nothing.
        """
        delay = self.delays[name] if kind == "node" else self.edges[name].delay
        if isinstance(delay, Constant | AdjustableDelay):
            seconds = delay.seconds if isinstance(delay, Constant) else delay.low
            return np.full((episodes, ticks), nanoseconds(seconds), np.int64)
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{kind} {name}".encode()))

        block = -(-ticks // SAMPLE_BLOCK) * SAMPLE_BLOCK  # so that one compilation serves nodes of several rates
        which = np.arange(first_episode, first_episode + episodes)
        draws = delay.sample_episodes(key, which, block)[:, :ticks]
        if not (draws <= LONGEST_DELAY).all():  # nor NaN
            raise RexError(f"{kind} '{name}': delay {delay!r} gives samples that are no time; check its parameters")
        return np.rint(draws.astype(np.float64) * 1e9).astype(np.int64)


def adopt(code: Any, spec: NodeSpec) -> Node:
    """`code` as a `Node` that knows its `spec`. A class that does not derive from `Node` gets what it leaves out."""
    if not isinstance(code, Node):
        if not callable(getattr(code, "step", None)):
            raise RexError(f"node '{spec.name}': {type(code).__name__} has no step(step_state); write one")
        try:
            code.__class__ = type(type(code).__name__, (type(code), Node), {})
        except TypeError:
            raise RexError(
                f"node '{spec.name}': {type(code).__name__} cannot be extended; derive it from rexcli.Node"
            ) from None
    object.__setattr__(code, "spec", spec)
    level = getattr(logging, spec.log_level.upper(), None)
    if not isinstance(level, int):
        raise RexError(f"node '{spec.name}': log_level '{spec.log_level}': give 'debug', 'info', 'warning' or 'error'")
    logging.getLogger(f"rex.nodes.{spec.name}").setLevel(level)
    return code


def _check_node(spec: NodeSpec) -> None:
    where = f"node '{spec.name}'"
    if fix := wrong_rate(spec.rate):
        raise RexError(f"{where}: rate {spec.rate:g}: {fix}")
    if spec.scheduling not in ("frequency", "phase"):
        raise RexError(f"{where}: scheduling '{spec.scheduling}': give 'frequency' or 'phase'")
    _check_seconds(f"{where}: expected_delay", spec.expected_delay)


def _adjustable(delay: Delay) -> int:
    """How much longer than the timeline's a delay can be set, ns."""
    return nanoseconds(delay.high) - nanoseconds(delay.low) if isinstance(delay, AdjustableDelay) else 0


def _check_seconds(what: str, seconds: float | None) -> None:
    if seconds is not None and (fix := wrong_delay(seconds)):
        raise RexError(f"{what} {seconds:g}: {fix}")
