"""Defines a system: nodes connected by edges, stepped from the point of view of one of them, the supervisor."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import jax
import numpy as np
import numpy.typing as npt

from rexcli.errors import DeclarationError, RexError
from rexcli.system.adjustable import AdjustableDelay
from rexcli.system.as_node import as_node
from rexcli.system.delays import QUANTILE, Constant, as_delay
from rexcli.system.losses import as_loss
from rexcli.system.node import Node
from rexcli.system.parameters import flat
from rexcli.system.randomize import Posterior, applied, drawn_of_timeline
from rexcli.system.ranges import Range, Ranges
from rexcli.system.spec import Edge, NodeSpec, check_system
from rexcli.timeline.spec import LONGEST_DELAY, EdgeTiming, NodeTiming, SystemTiming, nanoseconds, wrong_delay

PyTree = Any

SAMPLE_BLOCK = 256
"""Delays are sampled for multiples of this number of ticks, so that nodes of several rates share one compilation."""


class System:
    """A checked set of nodes and edges.

    Args:
        nodes: node code with its declaration, in order of declaration. A class need not derive from `Node`.
        edges: in order of declaration; a node's inputs are in this order.
        supervisor: the node from whose point of view the system is stepped.
        init_order: nodes to initialise before the others.
        randomize: what each episode draws for itself.
        posterior: joint draws, one of which each episode uses, from the run that `randomize.posterior` names.

    Raises:
        RexError: if nodes and edges do not form a valid system; the message names the fix.
    """

    def __init__(
        self,
        nodes: Mapping[NodeSpec, Any] | list[tuple[NodeSpec, Any]],
        edges: list[Edge],
        supervisor: str,
        init_order: tuple[str, ...] = (),
        randomize: Ranges | None = None,
        posterior: Posterior | None = None,
    ):
        pairs = list(nodes.items()) if isinstance(nodes, Mapping) else nodes
        check_system([spec for spec, _ in pairs], edges, supervisor, init_order)
        self.nodes: dict[str, Node] = {spec.name: as_node(code, spec) for spec, code in pairs}
        self.specs = {spec.name: _resolve_node(spec, self.nodes[spec.name]) for spec, _ in pairs}
        """The declared nodes, each with a `Delay`."""
        self.edges = {edge.name: _resolve_edge(edge) for edge in edges}
        """The declared edges, each with a `Delay` and a `Loss`."""
        self.supervisor = supervisor
        self.init_order = tuple(init_order) + tuple(name for name in self.nodes if name not in init_order)
        self.randomize = randomize or Ranges()
        self.randomize.check(list(self.nodes), list(self.edges))
        for name, entry in self.randomize.edges.items():
            _check_adjustable(name, self.edges[name].delay, entry)
        self.posterior = posterior or {}
        _check_posterior(self)
        _check_positive(self)
        self.timing = SystemTiming(
            tuple(_node_timing(spec) for spec in self.specs.values()),
            tuple(_edge_timing(edge) for edge in self.edges.values()),
            supervisor,
        )
        self.output_structures: dict[Any, PyTree] = {}
        """The inferred outputs of nodes without `init_output`, see `rexcli.system.infer_outputs`."""
        self.traced_steps: dict[Any, Any] = {}
        """What the traced steps of nodes compute, see `rexcli.compiler.identical_nodes`."""

    def adjustable(self, name: str) -> dict[str, AdjustableDelay]:
        """Returns the delays that each episode sets for itself, by input of node `name`."""
        return {edge.input: edge.delay for edge in self.inputs(name) if isinstance(edge.delay, AdjustableDelay)}

    def inputs(self, name: str) -> list[Edge]:
        """Returns the edges into node `name`, in order of declaration."""
        return [edge for edge in self.edges.values() if edge.target == name]

    def outputs(self, name: str) -> list[Edge]:
        """Returns the edges out of node `name`, in order of declaration."""
        return [edge for edge in self.edges.values() if edge.source == name]

    def sample_delays(
        self,
        kind: Literal["node", "edge", "loss"],
        name: str,
        seed: int,
        episodes: int,
        ticks: int,
        first_episode: int = 0,
    ) -> npt.NDArray[Any]:
        """Draws delays of one node or edge, ns, int64 `[episodes, ticks]`; or which messages an edge loses, bool.

        The draws only depend on (seed, kind, name, episode), not on other episodes, nodes or edges. With a range in
        `randomize`, each episode changes its delays by a number that it draws.
        """
        which = np.arange(first_episode, first_episode + episodes)
        if kind == "loss":
            return self.edges[name].loss.sample_episodes(name, seed, which, ticks)
        delay = (self.specs if kind == "node" else self.edges)[name].delay
        entry = (self.randomize.computation if kind == "node" else self.randomize.edges).get(name)
        if isinstance(delay, AdjustableDelay):
            entry = None  # which draws in `init_graph_state`
        if isinstance(delay, Constant) and entry is None:
            return np.full((episodes, ticks), nanoseconds(delay.seconds), np.int64)
        key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(f"{kind} {name}".encode()))
        block = -(-ticks // SAMPLE_BLOCK) * SAMPLE_BLOCK
        draws = delay.sample_episodes(key, which, block)[:, :ticks]
        if entry is not None:
            draws = applied(entry, draws, drawn_of_timeline(seed, f"{kind} {name}", which, entry)[:, None])
            draws = np.broadcast_to(np.maximum(draws, 0.0), (episodes, ticks))
        if not (draws <= LONGEST_DELAY).all():  # nor NaN
            raise RexError(f"{kind} '{name}': delay {delay!r} gives samples that are no time; check its parameters")
        return np.rint(draws.astype(np.float64) * 1e9).astype(np.int64)


def _check_adjustable(name: str, delay: Any, entry: Range) -> None:
    """Raises an error for adjustable delays drawn beyond their bounds, where they would accumulate."""
    if not isinstance(delay, AdjustableDelay):
        return
    low, high = (applied(entry, delay.value, end) for end in entry.ends)
    if not delay.low <= low <= high <= delay.high:
        raise DeclarationError(
            f"randomize.edges.{name}",
            f"{low:g} to {high:g}",
            f"the delay of edge '{name}' is adjustable from {delay.low:g} to {delay.high:g} s; stay within, or widen "
            "it",
        )


def _check_positive(system: System) -> None:
    """Raises an error for parameters that have to be more than 0 and are declared or drawn otherwise.

    Raises:
        DeclarationError: names the key.
    """
    for node, code in system.nodes.items():
        names = code.positive_params()
        for name, value in flat(system.specs[node].params).items():
            if name in names and not np.all(np.asarray(value) > 0):
                raise DeclarationError(f"nodes.{node}.params.{name}", value, "give more than 0")
        for name, entry in system.randomize.nodes.get(node, {}).items():
            lowest = entry.mean if entry.low is None else entry.low
            if (entry.path or name) in names and entry.operation != "add" and lowest is not None and lowest <= 0:
                part = "mean" if entry.low is None else "low"
                raise DeclarationError(f"randomize.nodes.{node}.{name}.{part}", lowest, "give more than 0")


def _check_posterior(system: System) -> None:
    """Raises an error if a posterior has a delay that is not adjustable, or anything that is drawn already."""
    for key in system.posterior:
        section, name, *rest = key.split("/")
        if section == "edges":
            if not isinstance(system.edges[name].delay, AdjustableDelay):
                raise DeclarationError(
                    "randomize.posterior",
                    system.randomize.posterior,
                    f"it draws the delay of edge '{name}', which is not adjustable here; take it from that run too, "
                    "delays=RUN",
                )
            twice = name in system.randomize.edges
        else:
            paths = [entry.path or own for own, entry in system.randomize.nodes.get(name, {}).items()]
            twice = rest[0] in paths
        if twice:
            where = ".".join(("randomize", section, name, *rest))
            raise DeclarationError(where, message=f"{where}: randomize.posterior draws it already; leave one out")


def _resolve_node(spec: NodeSpec, node: Node) -> NodeSpec:
    """Returns the declaration with the delay, which its class may set."""
    delay = as_delay(node.default_delay() if spec.delay is None else spec.delay)
    if isinstance(delay, AdjustableDelay):
        raise DeclarationError(
            f"nodes.{spec.name}.delay",
            delay,
            "only the delay of an edge can be adjustable, a computation delay shapes the timeline; give a number or a "
            "distribution",
        )
    return replace(spec, delay=delay)


def _resolve_edge(edge: Edge) -> Edge:
    delay = as_delay(edge.delay)
    try:
        loss = as_loss(edge.loss)
    except RexError as error:
        raise DeclarationError(f"edges.{edge.name}.loss", message=f"edges.{edge.name}.loss: {error}") from None
    if isinstance(delay, AdjustableDelay) and (edge.blocking or edge.jitter != "latest"):
        option, instead = ("blocking: true", "blocking: false")
        if not edge.blocking:
            option, instead = ("jitter: buffer", "jitter: latest")
        raise DeclarationError(
            f"edges.{edge.name}.delay",
            delay,
            f"an adjustable delay must not move any step, but with {option} it would; set {instead}, or give a number "
            "or a distribution",
        )
    return replace(edge, delay=delay, loss=loss)


def _node_timing(spec: NodeSpec) -> NodeTiming:
    expected = _expected_delay(f"nodes.{spec.name}", spec)
    return NodeTiming(spec.name, spec.rate, expected, spec.scheduling, spec.advance)


def _edge_timing(edge: Edge) -> EdgeTiming:
    delay = edge.delay
    same = ("name", "source", "target", "window", "blocking", "skip", "jitter", "reorder")
    return EdgeTiming(
        **{key: getattr(edge, key) for key in same},
        expected_delay=_expected_delay(f"edges.{edge.name}", edge),
        adjustable=nanoseconds(delay.high) - nanoseconds(delay.low) if isinstance(delay, AdjustableDelay) else 0,
        loss=edge.loss.share,
    )


def _expected_delay(key: str, part: NodeSpec | Edge) -> int:
    """Returns the expected delay for the schedule, ns."""
    if part.expected_delay is not None:
        return nanoseconds(part.expected_delay)
    seconds = part.delay.quantile(QUANTILE)
    if fix := wrong_delay(seconds):
        raise DeclarationError(f"{key}.delay", seconds, fix)
    return nanoseconds(seconds)
