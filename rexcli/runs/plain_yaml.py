"""Reads YAML as plain data: no tags but YAML's own, no interpolation, no objects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # listing runs needs no YAML, and importing it takes as long as reading them
    import yaml


@cache
def _loader() -> Any:
    """Returns a safe loader of YAML 1.1 that reads `1e-4` as a number, not as text."""
    import yaml

    loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    number = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
    loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return loader


MOST_NODES, MOST_REPEATED = 100_000, 10
"""Limits on the keys and values of a document with its aliases written out: their number, and the ratio to those that
it has as text, since ten lines can stand for billions."""


def load_yaml(data: bytes | str) -> Any:
    """Parses the only document in `data`.

    Raises:
        ValueError: it is not YAML, it asks for objects, or its aliases expand to too much.
    """
    import yaml

    try:
        loader = _loader()(data)
        root = loader.get_single_node()
        if root is None:
            return None
        check_aliases(root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def check_aliases(root: yaml.Node) -> None:
    """Refuses a document whose aliases (`*name`) expand to too much, or contain themselves.

    Raises:
        ValueError: the aliases do; the message says how much.
    """
    import yaml

    sizes: dict[yaml.Node, float] = {}

    def size(node: yaml.Node) -> float:
        if node not in sizes:
            sizes[node] = math.inf  # until its size is known: detects an alias inside of what it names
            value = node.value
            parts = [part for pair in value for part in pair] if isinstance(node, yaml.MappingNode) else value
            sizes[node] = 1 + (0 if isinstance(node, yaml.ScalarNode) else sum(map(size, parts)))
        return sizes[node]

    whole = size(root)
    if math.isinf(whole):
        raise ValueError("an alias (*name) stands inside of what it names; write it out")
    if whole > max(MOST_NODES, MOST_REPEATED * len(sizes)):
        raise ValueError(f"its aliases (*name) stand for {whole:.3g} keys and values; write out what is meant")


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the leaves of nested mappings by dotted key; an empty mapping is a leaf.

    `{"ppo": {"lr": 1}}` becomes `{"ppo.lr": 1}`.
    """
    if not isinstance(config, Mapping) or not config:
        return {prefix: config}
    return {
        path: leaf
        for key, value in config.items()
        for path, leaf in flatten(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the leaves that differ, by dotted key: `(before, after)`, None for a missing one."""
    old, new = flatten(before), flatten(after)
    keys = dict.fromkeys([*old, *new])
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}
