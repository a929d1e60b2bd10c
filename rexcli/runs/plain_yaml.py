"""YAML as plain data: no tags but YAML's own, no interpolation, no objects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what lists runs reads no YAML, and its import takes as long as reading them
    import yaml


@cache
def _loader() -> Any:
    """YAML 1.1's safe loader, which takes `1e-4` for text; here it is a number, as for everybody else."""
    import yaml

    loader: Any = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    number = re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$")
    loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return loader


MOST_NODES, MOST_REPEATED = 100_000, 10
"""How many keys and values a document may have once its aliases are written out, and how many times as many as stand
in it: ten lines can stand for billions."""


def load_yaml(data: bytes | str) -> Any:
    """The one document in `data`.

    Raises:
        ValueError: not YAML, it asks for objects, or its aliases stand for too much.
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
    """Refuses a document whose aliases (`*name`) stand for too much, or stand inside of what they name.

    Raises:
        ValueError: with how much it is.
    """
    import yaml

    sizes: dict[yaml.Node, float] = {}

    def size(node: yaml.Node) -> float:
        if node not in sizes:
            sizes[node] = math.inf  # until it is known: an alias inside of what it names
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
    """Leaves of nested mappings by dotted key: `{"ppo": {"lr": 1}}` gives `{"ppo.lr": 1}`; an empty one is a leaf."""
    if not isinstance(config, Mapping) or not config:
        return {prefix: config}
    return {
        path: leaf
        for key, value in config.items()
        for path, leaf in flatten(value, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """The leaves in which two configurations differ, by dotted key: `(before, after)`, None for one that is missing."""
    old, new = flatten(before), flatten(after)
    keys = dict.fromkeys([*old, *new])
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}
