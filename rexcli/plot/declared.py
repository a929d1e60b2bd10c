"""The declared system as pictures see it: names, rates, delays and colours out of a run's plain config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rexcli.errors import RexError
from rexcli.plot import style

if TYPE_CHECKING:
    from rexcli.plot.registry import View


@dataclass(frozen=True)
class NodeLook:
    """A node: rate in Hz, its delay as declared (seconds or a `_target_` mapping), colour as hex, row in pictures."""

    name: str
    rate: float
    colour: str
    delay: Any = 0.0
    expected_delay: float | None = None


@dataclass(frozen=True)
class EdgeLook:
    """An edge from `source` to `target`; `name` is unique in the system."""

    name: str
    source: str
    target: str
    window: int = 1
    blocking: bool = False
    skip: bool = False
    jitter: str = "latest"
    delay: Any = 0.0
    expected_delay: float | None = None


@dataclass(frozen=True)
class Declared:
    """Nodes in the order in which pictures show them (`order`, then declaration), edges as declared."""

    nodes: tuple[NodeLook, ...]
    edges: tuple[EdgeLook, ...]
    supervisor: str | None = None

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    def colour(self, name: str) -> str:
        """The node's colour; grey for a node that is not declared."""
        return next((node.colour for node in self.nodes if node.name == name), style.QUIET)

    def rows(self, names: list[str]) -> list[str]:
        """`names` in the order of the declared system, others after."""
        rank = {name: index for index, name in enumerate(self.names)}
        return sorted(names, key=lambda name: rank.get(name, len(rank)))

    @classmethod
    def of(cls, view: View) -> Declared:
        """The declared system of a run; delays that its classes chose are read from `delays.npz` where it is."""
        declared = cls.from_config(view.config)
        if not view.has("delays.npz"):
            return declared
        chosen, config = view.arrays("delays.npz"), _mapping(view.config.get("nodes"), "nodes")
        nodes = []
        for node in declared.nodes:
            constant = chosen.get(f"node/{node.name}/constant")
            silent = isinstance(config.get(node.name), Mapping) and config[node.name].get("delay") is None
            nodes.append(replace(node, delay=float(constant)) if silent and constant is not None else node)
        return replace(declared, nodes=tuple(nodes))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Declared:
        """Reads `nodes`, `edges` and `supervisor` of a resolved config.yaml; instantiates nothing."""
        entries = [
            (name, entry if isinstance(entry, Mapping) else {})
            for name, entry in _mapping(config.get("nodes"), "nodes").items()
        ]
        ranked = sorted(
            enumerate(entries), key=lambda item: (_number(item[1][1].get("order"), "order", 10**9), item[0])
        )
        nodes = tuple(
            NodeLook(
                name=str(name),
                rate=_number(entry.get("rate"), f"nodes.{name}.rate", float("nan")),
                colour=style.colour(entry.get("color"), index),
                delay=0.0 if entry.get("delay") is None else entry["delay"],
                expected_delay=_optional(entry.get("expected_delay"), f"nodes.{name}.expected_delay"),
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
                    jitter=str(entry.get("jitter") or "latest"),
                    delay=0.0 if entry.get("delay") is None else entry["delay"],
                    expected_delay=_optional(entry.get("expected_delay"), f"edges.{name}.expected_delay"),
                )
            )
        supervisor = config.get("supervisor")
        return cls(nodes, tuple(edges), None if supervisor is None else str(supervisor))


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


def _optional(value: Any, key: str) -> float | None:
    return None if value is None else _number(value, key, 0.0)
