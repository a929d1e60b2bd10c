"""Says which fields an experiment's `import` section needs of a log, and builds arrays from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from rexcli.config.schema import Experiment, ImportConfig, ImportEdge, ImportNode
from rexcli.errors import RexError, suggest
from rexcli.imports.fields import FieldError, tokens
from rexcli.imports.topics import Topic, Wanted
from rexcli.runs.recording.layout import FIELDS

WORDS = ("log", "publish")
"""Stamps that are not names of fields."""
_KEYS = ("field", "dtype", "shape")


def check(experiment: Experiment) -> None:
    """Refuses a mapping with unknown nodes or edges, or with impossible names of fields.

    Raises:
        RexError: the mapping is wrong; the message names the key.
    """
    declared, where = experiment.importing, experiment.origins.where
    for section, names, known in (
        ("nodes", declared.nodes, list(experiment.nodes)),
        ("edges", declared.edges, list(experiment.edges)),
    ):
        for name in names:
            if name not in known:
                key = f"import.{section}.{name}"
                raise RexError(f"{where(key)}: {key}: no {section[:-1]} is called '{name}'{suggest(name, known)}")
    if not declared.nodes:
        raise RexError(
            f"{where('import')}: import.nodes: say where the nodes are in the log, as in import: {{nodes: {{imu: "
            "{topic: /imu, output: {gyro: angular_velocity}}}}"
        )
    if experiment.supervisor not in declared.nodes:
        key = f"import.nodes.{experiment.supervisor}"
        raise RexError(
            f"{where('import')}: {key}: the supervisor must be in the log, for episodes are counted by its steps; say "
            f"where, or give another supervisor ({', '.join(declared.nodes)})"
        )
    clocks = {node.clock for node in declared.nodes.values()} - {None}
    for name in declared.clocks:
        if name not in clocks:
            key = f"import.clocks.{name}"
            raise RexError(f"{where(key)}: {key}: no node has this clock{suggest(name, sorted(map(str, clocks)))}")
    for name, edge in declared.edges.items():
        key = f"import.edges.{name}"
        missing = [end for end in _ends(experiment, name) if end not in declared.nodes]
        if missing:
            raise RexError(f"{where(key)}: {key}: its node '{missing[0]}' is not in import.nodes; say where it is")
        if edge.lag is not None and edge.receive is not None:
            raise RexError(
                f"{where(key)}: {key}: give either `receive` or `lag`: the one is measured, the other a guess"
            )
        if edge.topic is not None and edge.receive is None:
            raise RexError(f"{where(key)}.receive: {key}.receive: is missing: the stamp of {edge.topic}, such as log")
        if edge.send is not None and edge.seq is not None:
            raise RexError(f"{where(key)}: {key}: give either `send` or `seq` to find the sender's message by")
    for key, text in _paths(declared):
        try:
            tokens(text)
        except FieldError as error:
            raise RexError(f"{where(key)}: {key}: {error}") from None


def wanted(experiment: Experiment) -> dict[str | None, Wanted]:
    """Returns the fields that are wanted of each topic."""
    declared = experiment.importing
    asked: dict[str | None, Wanted] = {}
    for node in declared.nodes.values():
        topic = asked.setdefault(node.topic, Wanted())
        fields = [field for name in FIELDS for field in named_fields(getattr(node, name))]
        topic.values |= dict.fromkeys([*fields, *filter(None, (node.seq, declared.episode))])
        topic.stamps |= {(path, node.unit): None for path in (node.capture, node.send) if path and path not in WORDS}
    for name, edge in declared.edges.items():
        source, target = (declared.nodes[end] for end in _ends(experiment, name))
        topic = asked.setdefault(edge_topic(edge, source), Wanted())
        topic.values |= dict.fromkeys(filter(None, (edge.seq, edge.reader, declared.episode)))
        topic.stamps |= {(path, edge.unit): None for path in (edge.receive, edge.send) if path and path not in WORDS}
        if edge.lag is not None:
            asked[source.topic].values[edge.lag.command] = None
            asked[target.topic].values[edge.lag.response] = None
    return asked


def edge_topic(edge: ImportEdge, source: ImportNode) -> str | None:
    return source.topic if edge.topic is None else edge.topic


def named_fields(tree: Any) -> Iterator[str]:
    """Yields the fields of a log that a tree names."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from named_fields(item)
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            if not _is_leaf(tree) or key == "field":
                yield from named_fields(item)


def arrays(tree: Any, topic: Topic, key: str) -> dict[str, np.ndarray]:
    """Builds arrays from a topic as a tree says: by key path, `""` for a single array, `[messages, ...]`.

    Raises:
        RexError: the tree is not one of fields, or values cannot have the type or shape that it gives.
    """
    if tree is None:
        return {}
    if isinstance(tree, Mapping) and not _is_leaf(tree):
        found: dict[str, np.ndarray] = {}
        for name, item in tree.items():
            inner = arrays(item, topic, f"{key}.{name}")
            found |= {f"{name}.{path}" if path else str(name): array for path, array in inner.items()}
        return found
    return {"": _leaf(tree, topic, key)}


def _leaf(tree: Any, topic: Topic, key: str) -> np.ndarray:
    if isinstance(tree, str):
        return topic.values[tree]
    if isinstance(tree, list | tuple) and tree:
        parts = [_leaf(item, topic, key) for item in tree]
        if len({part.shape for part in parts}) > 1:
            raise RexError(f"{key}: its fields have shapes {', '.join(str(list(part.shape[1:])) for part in parts)}")
        return np.stack(parts, axis=1)
    if not isinstance(tree, Mapping):
        raise RexError(f"{key}={tree}: give a field, a list of fields, or a mapping of these by key")
    values = np.zeros(0) if tree["field"] is None else _leaf(tree["field"], topic, key)
    name = str(tree.get("dtype") or values.dtype.name)
    try:
        dtype = np.dtype(getattr(ml_dtypes, name, None) or name)
        if dtype.hasobject:
            raise TypeError
    except TypeError:
        raise RexError(f"{key}.dtype={name}: give a type of numbers, such as float32") from None
    shape = tree.get("shape")
    try:
        if dtype.kind == "c" and values.dtype.kind == "f":  # as pairs, since ROS has no complex numbers
            pairs = np.float32 if dtype.itemsize == 8 else np.float64
            values = np.ascontiguousarray(values.reshape(len(topic), -1).astype(pairs)).view(dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.astype(dtype)
        return values if shape is None else values.reshape(len(topic), *map(int, shape))
    except (ValueError, TypeError):
        size = int(np.prod(values.shape[1:])) if values.ndim else 0
        raise RexError(f"{key}.shape={shape}: its field has {size} numbers a message") from None


def _is_leaf(tree: Mapping[str, Any]) -> bool:
    """Returns whether a mapping describes one field, and is not a mapping by key (which may have a key `field`)."""
    return "field" in tree and set(tree) <= set(_KEYS) and not isinstance(tree["field"], Mapping)


def _ends(experiment: Experiment, edge: str) -> tuple[str, str]:
    return experiment.edges[edge].source, experiment.edges[edge].target


def _paths(declared: ImportConfig) -> Iterator[tuple[str, str]]:
    """Yields the key of every named field, with the field's name."""
    for name, node in declared.nodes.items():
        for key in FIELDS:
            for text in named_fields(getattr(node, key)):
                yield f"import.nodes.{name}.{key}", text
        for key in ("capture", "send", "seq"):
            if text := getattr(node, key):
                yield f"import.nodes.{name}.{key}", text
    for name, edge in declared.edges.items():
        for key in ("receive", "send", "seq", "reader"):
            if text := getattr(edge, key):
                yield f"import.edges.{name}.{key}", text
        if edge.lag is not None:
            yield f"import.edges.{name}.lag.command", edge.lag.command
            yield f"import.edges.{name}.lag.response", edge.lag.response
    if declared.episode:
        yield "import.episode", declared.episode
