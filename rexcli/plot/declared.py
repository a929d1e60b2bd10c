"""Reads the declared system from a run's plain config: names, rates, delays and colours.

Nothing is instantiated: the run has left the densities of distributions in `delays.npz`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rexcli.errors import RexError
from rexcli.plot import style
from rexcli.system.spec import Edge

if TYPE_CHECKING:
    from rexcli.plot.registry import View


Grouping = Literal["auto", "none", "class"]
"""Which nodes are drawn as one: those of a `class`; `none`; `auto`, those of a group or class if they are many."""

MANY = 24
"""Number of nodes that a person can still tell apart in a picture; with more, those of a group are drawn as one."""
FEW = 4
"""Least number of nodes of one class that form a group without being declared as one."""


@dataclass(frozen=True)
class Curve:
    """The density of a delay, 1/s, at `x`, s, not below 0, and the share of samples below 0, which count as 0."""

    x: np.ndarray
    density: np.ndarray
    at_zero: float = 0.0

    def quantile(self, share: float) -> float:
        """Returns the time within which `share` of the samples stay, s."""
        pieces = (self.density[1:] + self.density[:-1]) / 2 * np.diff(self.x)
        below = self.at_zero + np.concatenate([[0.0], np.cumsum(pieces)])
        return float(np.interp(share * below[-1], below, self.x))

    @classmethod
    def read(cls, arrays: Mapping[str, np.ndarray], key: str) -> Curve | None:
        """Reads the curve `<key>/x`, `<key>/density`, `<key>/at_zero` of a `delays.npz`; None if there is none."""
        if not {f"{key}/x", f"{key}/density"} <= set(arrays):
            return None
        x, density = (np.asarray(arrays[f"{key}/{part}"], np.float64) for part in ("x", "density"))
        if x.ndim != 1 or x.shape != density.shape or len(x) < 2 or not np.isfinite([x, density]).all():
            return None
        return cls(x, density, float(arrays.get(f"{key}/at_zero", 0.0)))


@dataclass(frozen=True)
class NodeLook:
    """A node: rate in Hz, its delay as declared (seconds or a `_target_` mapping), colour as hex, row in pictures."""

    name: str
    rate: float
    colour: str
    delay: Any = 0.0
    curve: Curve | None = field(default=None, compare=False)
    rates: tuple[float, ...] = ()
    """The rates of all nodes for which it stands."""


@dataclass(frozen=True)
class EdgeLook(Edge):
    """An edge as declared, with its delay as in YAML (seconds or a `_target_` mapping) and the curve of its delay."""

    curve: Curve | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Declared:
    """The declared system: nodes in the order of pictures (`order`, then declaration), and edges.

    Attributes:
        groups: the name of the group drawn in a node's place, such as `car x 64`, by node; empty if each is drawn
            alone.
    """

    nodes: tuple[NodeLook, ...]
    edges: tuple[EdgeLook, ...]
    supervisor: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def colour(self, name: str) -> str:
        """Returns the node's colour; grey for a node that is not declared."""
        return next((node.colour for node in self.nodes if node.name == name), style.QUIET)

    def rows(self, names: list[str]) -> list[str]:
        """Returns `names` in the order of the declared system, with unknown ones at the end."""
        rank = {name: index for index, name in enumerate(self.names)}
        return sorted(names, key=lambda name: rank.get(name, len(rank)))

    def label(self, name: str) -> str:
        """Returns what a node is drawn as: its own name, or its group's."""
        return self.groups.get(name, name)

    def few(self, names: list[str], most: int = 16) -> list[str]:
        """Returns a few of `names` that stand for all if nodes are drawn in groups: the first ones of each."""
        if not self.groups or len(names) <= most:
            return names
        place: dict[str, int] = {}
        rank = {}
        for name in names:
            rank[name] = place[self.label(name)] = place.get(self.label(name), -1) + 1
        alone = {name for name in names if name not in self.groups or name == self.supervisor}
        kept = set(sorted(names, key=lambda name: (name not in alone, rank[name]))[:most])
        return [name for name in names if name in kept]

    def collapsed(self) -> Declared:
        """Returns the system with one node per group, and one edge for all equal ones between the same two groups."""
        if not self.groups:
            return self
        members: dict[str, list[NodeLook]] = {}
        for node in self.nodes:
            members.setdefault(self.label(node.name), []).append(node)
        nodes = tuple(
            replace(some[0], name=label, rates=tuple(node.rate for node in some)) for label, some in members.items()
        )
        alike: dict[Any, list[EdgeLook]] = {}
        for edge in self.edges:
            ends = self.label(edge.source), self.label(edge.target)
            looks = (edge.blocking, edge.skip, edge.jitter, edge.window, describe(edge), describe_network(edge))
            alike.setdefault((ends, looks), []).append(edge)
        edges = []
        for (ends, _), some in alike.items():
            named = {edge.group for edge in some}
            name = next(iter(named)) if len(named) == 1 else None
            count = f"{name or 'edges'} x {len(some)}" if len(some) > 1 else some[0].name
            edges.append(replace(some[0], name=count, source=ends[0], target=ends[1]))
        return Declared(nodes, tuple(edges), None if self.supervisor is None else self.label(self.supervisor))

    @classmethod
    def of(cls, view: View, grouping: Grouping = "auto") -> Declared:
        """Reads the declared system of a run; delays that its classes chose, and densities, come from `delays.npz`."""
        declared = cls.from_config(view.config)
        declared = replace(declared, groups=_groups(view.config, declared, grouping))
        if not view.has("delays.npz"):
            return declared
        arrays, config = view.arrays("delays.npz"), _mapping(view.config.get("nodes"), "nodes")
        nodes = []
        for node in declared.nodes:
            key, entry = f"node/{node.name}", config.get(node.name)
            silent = isinstance(entry, Mapping) and entry.get("delay") is None
            delay = float(arrays[f"{key}/constant"]) if silent and f"{key}/constant" in arrays else node.delay
            nodes.append(replace(node, delay=delay, curve=Curve.read(arrays, key)))
        edges = [replace(edge, curve=Curve.read(arrays, f"edge/{edge.name}")) for edge in declared.edges]
        return replace(declared, nodes=tuple(nodes), edges=tuple(edges))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Declared:
        """Reads `nodes`, `edges` and `supervisor` of a resolved config.yaml, and instantiates nothing."""
        entries = [
            (name, entry if isinstance(entry, Mapping) else {})
            for name, entry in _mapping(config.get("nodes"), "nodes").items()
        ]
        ranked = sorted(
            enumerate(entries), key=lambda item: (_number(item[1][1].get("order"), "order", 10**9), item[0])
        )
        first = {entry.get("group"): index for index, (_, entry) in reversed(ranked) if entry.get("group")}
        nodes = tuple(
            NodeLook(
                name=str(name),
                rate=_number(entry.get("rate"), f"nodes.{name}.rate", float("nan")),
                colour=style.colour(entry.get("color"), first.get(entry.get("group"), index)),
                delay=0.0 if entry.get("delay") is None else entry["delay"],
            )
            for index, (name, entry) in ranked
        )
        known = {node.name for node in nodes}
        edges = []
        for name, entry in _mapping(config.get("edges"), "edges").items():
            ends = [str(entry.get(end)) for end in ("from", "to")] if isinstance(entry, Mapping) else []
            if len(ends) != 2 or not known.issuperset(ends):
                raise RexError(f"config.yaml: edges.{name} joins {ends}, which are not all nodes of the run")
            edges.append(
                EdgeLook(
                    name=str(name),
                    source=ends[0],
                    target=ends[1],
                    window=int(_number(entry.get("window"), f"edges.{name}.window", 1)),
                    blocking=bool(entry.get("blocking")),
                    skip=bool(entry.get("skip")),
                    jitter="buffer" if entry.get("jitter") == "buffer" else "latest",
                    delay=0.0 if entry.get("delay") is None else entry["delay"],
                    loss=entry.get("loss") or 0.0,
                    reorder=bool(entry.get("reorder")),
                    group=entry.get("group"),
                )
            )
        supervisor = config.get("supervisor")
        return cls(nodes, tuple(edges), None if supervisor is None else str(supervisor))


def _groups(config: Mapping[str, Any], declared: Declared, grouping: Grouping) -> dict[str, str]:
    """Returns the group that is drawn in place of each node, by node; see `Declared`."""
    if grouping == "none" or (grouping == "auto" and len(declared.nodes) <= MANY):
        return {}
    members: dict[str, list[str]] = {}
    entries = _mapping(config.get("nodes"), "nodes")
    for name in declared.names:
        entry = entries[name] if isinstance(entries[name], Mapping) else {}
        kind = str(entry.get("_target_", "?")).rpartition(".")[2]
        members.setdefault(str((grouping == "auto" and entry.get("group")) or f"{kind} "), []).append(name)
    least = {group: FEW if group.endswith(" ") and grouping == "auto" else 2 for group in members}
    return {
        name: f"{group.strip()} x {len(names)}"
        for group, names in members.items()
        for name in names
        if len(names) >= least[group]
    }


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RexError(f"config.yaml: {key} is {value!r}; it should be a mapping of names")
    return value


def _number(value: Any, key: str, default: float) -> float:
    if value is None:
        return default
    try:
        return float(value)
    except (TypeError, ValueError):
        raise RexError(f"config.yaml: {key} is {value!r}; it should be a number") from None


def family(delay: Any) -> str:
    """Returns `Normal` for `{_target_: distrax.Normal, …}`, and `constant` for a number."""
    return str(delay.get("_target_", "?")).rpartition(".")[2] if isinstance(delay, Mapping) else "constant"


def constant(delay: Any) -> float | None:
    """Returns the seconds of a constant delay, None for a distribution."""
    if isinstance(delay, Mapping):
        return _parameters(delay, "loc")[0] if family(delay) == "Deterministic" else None
    return _parameters({"seconds": delay}, "seconds")[0]


def describe(look: NodeLook | EdgeLook) -> str:
    """Describes a delay in a few words with its unit: `7.5 ± 3 ms`, `2 ms`, `2 … 5 ms`, `Gamma, 4.1 … 19 ms (90 %)`."""
    name, seconds = family(look.delay), constant(look.delay)
    if seconds is not None:
        return f"{style.number(seconds * 1e3)} ms"
    loc, scale, low, high = _parameters(look.delay, "loc", "scale", "low", "high")
    if name == "Normal" and loc is not None and scale is not None:
        return f"{style.number(loc * 1e3)} ± {style.number(scale * 1e3)} ms"
    if name in ("Uniform", "AdjustableDelay") and low is not None and high is not None:
        suffix = ", adjustable" if name == "AdjustableDelay" else ""
        return f"{style.number(low * 1e3)} … {style.number(high * 1e3)} ms{suffix}"
    name = name.removesuffix("SameFamily")
    if look.curve is None:
        return name
    low, high = (look.curve.quantile(share) * 1e3 for share in (0.05, 0.95))
    return f"{name}, {style.number(low, 2)} … {style.number(high, 2)} ms (90 %)"


def describe_network(edge: EdgeLook) -> str:
    """Describes what happens to the messages of an edge: `10 % lost, in bursts of 4; may overtake`.

    The text is empty if all messages arrive in order.
    """
    share, burst = _parameters(edge.loss, "share", "burst")
    if not isinstance(edge.loss, Mapping):
        share = _parameters({"share": edge.loss}, "share")[0]
    words = []
    if share:
        words.append(f"{style.number(share * 100)} % lost" + (f", in bursts of {style.number(burst)}" if burst else ""))
    return "; ".join([*words, "may overtake"] if edge.reorder else words)


def _parameters(delay: Any, *names: str) -> list[float | None]:
    """Returns parameters of a delay in the configuration; None for one that is not a number."""
    found: list[float | None] = []
    for name in names:
        try:
            found.append(float(delay[name]))
        except (KeyError, TypeError, ValueError):
            found.append(None)
    return found
