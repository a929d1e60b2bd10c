"""Labels runs in a legend by what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rexcli.plot.registry import View
from rexcli.plot.style import number
from rexcli.runs.plain_yaml import flatten

LONGEST = 3
"""Most differing keys that a label names."""


def run_labels(views: Sequence[View]) -> list[str]:
    """Returns a unique label for each run: the config keys in which the runs differ, or else the run's folder."""
    flat = [flatten(view.config) for view in views]
    keys = [key for key in {key: None for config in flat for key in config} if _differs(flat, key)]
    keys = [key for key in keys if key not in ("from", "policy", "resume", "delays")]
    without_seed = [key for key in keys if key != "seed"]
    labels = [_named(config, without_seed) for config in flat]
    if "seed" in keys and len(set(labels)) < len(labels):
        labels = [_named(config, [*without_seed[: LONGEST - 1], "seed"]) for config in flat]
    labels = [label or view.path.name for label, view in zip(labels, views, strict=True)]
    repeated = {label for label in labels if labels.count(label) > 1}
    named = [
        f"{label}, {view.path.name}" if label in repeated and label != view.path.name else label
        for label, view in zip(labels, views, strict=True)
    ]
    return [
        f"{label} ({named[:i].count(label) + 1})" if named.count(label) > 1 else label for i, label in enumerate(named)
    ]


def _named(config: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{_short(key)}={_value(config.get(key))}" for key in keys[:LONGEST])


def _differs(configs: Sequence[Mapping[str, Any]], key: str) -> bool:
    first = configs[0].get(key)
    return any(config.get(key) != first for config in configs)


def _short(key: str) -> str:
    return key.removeprefix("nodes.").removeprefix("edges.")


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:g}" if abs(value) < 1e-3 and value else number(float(value), 4)
