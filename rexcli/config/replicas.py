"""Expands `replicas: 16`: nodes that are declared once and run many times, and the edges between them.

A node `car` with `replicas: 3` becomes `car_0`, `car_1` and `car_2`, and an edge from or to it becomes one edge for
each pair that `connect` selects. After the configuration, these are ordinary nodes and edges, whose `group` is the name
of the declared entry. The name of a group stands for all its members in `randomize`, `identify`, `init_order` and
`rollout.keep.nodes`; an entry for a single member, `car_2: {rate: 20}`, overrides its values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rexcli.config import checks
from rexcli.config.key_origins import Origins
from rexcli.config.schema import NodeConfig
from rexcli.errors import DeclarationError
from rexcli.system.spec import Edge

MOST = 10_000
"""The most replicas of one node."""

MOST_EDGES = 100_000
"""The most edges that one entry may stand for."""

OF_NODES = (
    "randomize.nodes",
    "randomize.computation",
    "identify.nodes",
    "identify.signals",
    "identify.initial",
    "import.nodes",
)
"""Keys of mappings by the names of nodes."""

OF_EDGES = ("randomize.edges", "identify.edges", "import.edges")
"""Keys of mappings by the names of edges."""

LISTS = ("init_order", "rollout.keep.nodes", "identify.replay")
"""Keys of lists of names of nodes."""


def expand(plain: dict[str, Any], origins: Origins) -> tuple[dict[str, Any], Origins]:
    """Returns a plain experiment with all replicas expanded, and origins that know where they came from.

    Entries of a wrong form are left as they are: the check of the experiment has a better message for them.

    Raises:
        RexError: names the key, its value and the fix.
    """
    if not isinstance(plain.get("nodes"), dict) or not isinstance(plain.get("edges", {}), dict):
        return plain, origins
    expansion = _Expansion(origins)
    try:
        return expansion.experiment(plain), dataclasses.replace(origins, aliases=expansion.aliases)
    except DeclarationError as error:
        raise origins.placed(error) from None


class _Expansion:
    """The expansion of one experiment.

    Attributes:
        nodes: member nodes by the name of their group.
        edges: member edges by the name of their group.
        aliases: the key of the declared entry, by dotted key of the generated one.
    """

    def __init__(self, origins: Origins):
        self.origins = origins
        self.nodes: dict[str, list[str]] = {}
        self.edges: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}

    def experiment(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        changed = dict(plain)
        changed["nodes"] = self._section("nodes", plain["nodes"], self.nodes)
        if plain.get("edges"):
            changed["edges"] = self._section("edges", plain["edges"], self.edges)
        if (members := self._members(plain.get("supervisor")))[0] != plain.get("supervisor"):
            fix = f"it stands for {len(members)} nodes; name one, such as {members[0]}"
            raise DeclarationError("supervisor", plain["supervisor"], fix)
        for keys, groups in ((OF_NODES, self.nodes), (OF_EDGES, self.edges)):
            for key in keys:
                self._change(
                    changed, key, dict, lambda value, key=key, groups=groups: self._by_name(value, key, groups)
                )
        for key in LISTS:
            self._change(changed, key, list, lambda value: [m for name in value for m in self._members(name)])
        return changed

    def _section(self, section: str, entries: Mapping[str, Any], groups: dict[str, list[str]]) -> dict[str, Any]:
        """Returns the nodes, or the edges, with each entry that stands for several replaced by these."""
        entries = self._to_members(section, entries)
        written = {
            name: dict(self._written_out(section, name, entry)) if isinstance(entry, dict) else {}
            for name, entry in entries.items()
        }
        replicas = {made for each in written.values() for made in each}
        result: dict[str, Any] = {}
        for name, entry in entries.items():
            if not written[name] and name not in replicas:
                result[name] = entry
            for made, replica in written[name].items():
                own = entries.get(made)
                result[made] = replica if own is None else _overridden(replica, own)
                self.aliases[f"{section}.{made}"] = f"{section}.{name}"
            if written[name]:
                _check_beyond(section, name, list(written[name]), entries)
        for group, members in _groups(result).items():
            groups[group] = members
        return result

    def _to_members(self, section: str, entries: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the entries, with an entry by the name of a group merged into its members, for a run's `config.yaml`,
        in which the members are expanded already."""
        result = {name: dict(entry) if isinstance(entry, dict) else entry for name, entry in entries.items()}
        for group, members in _groups(entries).items():
            entry = result.get(group)
            if not isinstance(entry, dict):
                continue
            key = f"{section}.{group}"
            if "_target_" in entry or "from" in entry:
                fix = f"{key} is no group; give one of them another name"
                raise DeclarationError(f"{section}.{members[0]}.group", group, fix)
            for option in ("replicas", "connect", "wrap", "index", "group", "to"):
                if option in entry:
                    fix = f"{members[0]} and the like are written out already; compose them anew, with conf=NAME"
                    raise DeclarationError(f"{key}.{option}", entry[option], fix)
            del result[group]
            for member in members:
                result[member] = _overridden(result[member], entry)
                self.aliases[f"{section}.{member}"] = key
        return result

    def _written_out(self, section: str, name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        return self._replicas(name, entry) if section == "nodes" else self._connections(name, entry)

    def _replicas(self, name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the replicas of a node by name; none for a node without `replicas`."""
        if entry.get("replicas") is None:
            entry.pop("replicas", None)
            return
        key = f"nodes.{name}"
        count = entry["replicas"]
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
            raise DeclarationError(f"{key}.replicas", count, f"give a whole number from 1 to {MOST}")
        if entry.get("index") is not None:
            raise DeclarationError(f"{key}.index", entry["index"], "replicas number themselves; leave it out")
        if entry.get("group") is not None:
            raise DeclarationError(f"{key}.group", entry["group"], f"replicas are the group '{name}'; leave it out")
        if "_target_" not in entry:
            message = f"{key}.replicas={count}: there is no node '{name}' to run as often; give it a _target_"
            raise DeclarationError(f"{key}.replicas", message=message)
        template = {option: value for option, value in entry.items() if option != "replicas"}
        checks.read(NodeConfig, template, key, self.origins)
        for index in range(count):
            yield f"{name}_{index}", {**template, "group": name, "index": index}

    def _connections(self, name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields the edges by name that an edge from or to a group stands for; none for an edge between two nodes."""
        key = f"edges.{name}"
        connect, wrap = entry.get("connect"), entry.get("wrap", False)
        ends = [entry.get("from"), entry.get("to")]
        sources, targets = (self.nodes.get(end) if isinstance(end, str) else None for end in ends)
        if sources is None or targets is None:
            for option in ("connect", "wrap"):
                if entry.get(option):
                    fix = "only between two nodes with replicas is there something to choose; leave it out"
                    raise DeclarationError(f"{key}.{option}", entry[option], fix)
            entry.pop("connect", None)
            entry.pop("wrap", None)
        if sources is None and targets is None:
            return
        template = {option: value for option, value in entry.items() if option not in ("connect", "wrap")}
        checks.read(Edge, template, key, self.origins)
        senders, readers = sources or [str(ends[0])], targets or [str(ends[1])]
        given = template.get("name") or (ends[0] if sources else None)
        if sources is None or targets is None:
            pairs = [(i, j, str(max(i, j))) for i in range(len(senders)) for j in range(len(readers))]
        else:
            pairs = list(_pairs(key, connect, wrap, senders, readers))
        several = sources is not None and (targets is None or connect == "all")
        for i, j, suffix in pairs:
            edge = {**template, "from": senders[i], "to": readers[j], "group": name}
            if given is not None:
                edge["name"] = f"{given}_{i}" if several else given
            yield f"{name}_{suffix}", edge

    def _members(self, name: Any) -> list[Any]:
        return self.nodes.get(name, [name]) if isinstance(name, str) else [name]

    def _by_name(self, entries: Mapping[str, Any], key: str, groups: Mapping[str, list[str]]) -> dict[str, Any]:
        """Returns a mapping by names in which the entry of a group is copied to each member without an entry."""
        changed: dict[str, Any] = {}
        for name, entry in entries.items():
            for member in groups.get(name, [name]):
                if member == name or member not in entries:
                    index = member.removeprefix(f"{name}_")
                    changed[member] = (
                        _numbered(entry, index) if key.startswith("import.") and index != member else entry
                    )
                    self.aliases[f"{key}.{member}"] = f"{key}.{name}"
        return changed

    @staticmethod
    def _change(plain: dict[str, Any], key: str, kind: type, change: Any) -> None:
        """Changes the value at a dotted key, if it is of that kind, without changing shared mappings."""
        *above, last = key.split(".")
        holder = plain
        for part in above:
            if not isinstance(holder.get(part), dict):
                return
            holder[part] = dict(holder[part])
            holder = holder[part]
        if isinstance(holder.get(last), kind):
            holder[last] = change(holder[last])


def _numbered(entry: Any, index: str) -> Any:
    """Returns an entry of a group for one of its replicas: `{index}` in texts is replaced by its number."""
    if isinstance(entry, str):
        return entry.replace("{index}", index)
    if isinstance(entry, dict):
        return {key: _numbered(value, index) for key, value in entry.items()}
    return [_numbered(value, index) for value in entry] if isinstance(entry, list) else entry


def _pairs(key: str, connect: Any, wrap: Any, senders: list[str], readers: list[str]) -> Iterator[tuple[int, int, str]]:
    """Yields which replica sends to which, by their numbers, and the suffix of the edge's name.

    Raises:
        DeclarationError: if `connect` selects none.
    """
    counts = f"{len(senders)} to {len(readers)}"
    if not isinstance(wrap, bool):
        raise DeclarationError(f"{key}.wrap", wrap, "give true or false")
    if wrap and (isinstance(connect, str) or connect is None):
        raise DeclarationError(f"{key}.wrap", wrap, "only where `connect` is a number does it matter; leave it out")
    if connect in ("same", "all") or (isinstance(connect, int) and not isinstance(connect, bool)):
        if connect == "all":
            if len(senders) * len(readers) > MOST_EDGES:
                raise DeclarationError(f"{key}.connect", connect, f"{counts} are more than {MOST_EDGES} edges")
            every = ((i, j) for i in range(len(senders)) for j in range(len(readers)))
            yield from ((i, j, f"{i}_{j}") for i, j in every if senders[i] != readers[j])
            return
        if (connect == "same" or wrap) and len(senders) != len(readers):
            option = "connect" if connect == "same" else "wrap"
            raise DeclarationError(
                f"{key}.{option}", connect if connect == "same" else wrap, f"{counts} do not pair up"
            )
        step = 0 if connect == "same" else connect
        pairs = [(i, (i + step) % len(readers) if wrap else i + step) for i in range(len(senders))]
        pairs = [(i, j) for i, j in pairs if 0 <= j < len(readers)]
        if not pairs:
            raise DeclarationError(f"{key}.connect", connect, f"of {counts} it joins none")
        yield from ((i, j, str(i)) for i, j in pairs)
        return
    fix = "give same (i to i), all, or a number, as 1 for i to i + 1"
    raise DeclarationError(f"{key}.connect", connect, fix)


def _check_beyond(section: str, name: str, made: list[str], entries: Mapping[str, Any]) -> None:
    """Raises an error for an entry that is named like a replica, but is none: `car_16` of sixteen.

    Raises:
        DeclarationError: names the existing replicas.
    """
    for other, entry in entries.items():
        tail = other.removeprefix(f"{name}_").replace("_", "")
        if other.startswith(f"{name}_") and tail.isdigit() and other not in made and isinstance(entry, dict):
            if "_target_" in entry or "from" in entry:
                continue
            message = f"{section}.{other}: {section}.{name} stands for {len(made)}, {made[0]} to {made[-1]}"
            raise DeclarationError(f"{section}.{other}", message=message)


def _groups(entries: Mapping[str, Any]) -> dict[str, list[str]]:
    """Returns the names of the members of each group."""
    groups: dict[str, list[str]] = {}
    for name, entry in entries.items():
        if isinstance(entry, dict) and isinstance(entry.get("group"), str):
            groups.setdefault(entry["group"], []).append(name)
    return groups


def _overridden(entry: Any, own: Any) -> Any:
    """Returns a node or an edge with its values overridden by those of `own`."""
    if not isinstance(entry, dict) or not isinstance(own, dict):
        return own
    return {**entry, **{key: _merged(entry.get(key), value) for key, value in own.items()}}


def _merged(below: Any, over: Any) -> Any:
    """Returns `over` merged into `below`, key by key if both are mappings and `over` is not made by another class."""
    if (
        not isinstance(below, dict)
        or not isinstance(over, dict)
        or over.get("_target_", below.get("_target_")) != (below.get("_target_"))
    ):
        return over
    return {**below, **{key: _merged(below.get(key), value) for key, value in over.items()}}
