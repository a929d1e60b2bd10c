"""Records which file, or the command line, each key of an experiment came from, for error messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rexcli.errors import DeclarationError, RexError

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class Layer:
    """One source of keys.

    Attributes:
        label: its name: `conf/pendulum.yaml` or `command line`.
        lines: the line of each dotted key; None if there are no lines.
    """

    label: str
    lines: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Origins:
    """The layers of an experiment, in the order in which each overrides the previous ones."""

    layers: tuple[Layer, ...] = ()
    fallback: str = "configuration"
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The key of the entry from which a replica was generated, by the dotted key of the replica."""

    def where(self, key: str) -> str:
        """Names the last layer that gives `key` or, for a key that is not given, the nearest key above it."""
        while key:
            for name in self._names(key):
                for layer in reversed(self.layers):
                    if name in layer.lines:
                        line = layer.lines[name]
                        return layer.label if line is None else f"{layer.label} line {line}"
            for name in self._names(key):
                for layer in reversed(self.layers):
                    if any(given.startswith(f"{name}.") for given in layer.lines):
                        return layer.label
            key = key.rpartition(".")[0]
        return self.fallback

    def _names(self, key: str) -> list[str]:
        """Returns a key, and that of the entry from which it was generated, if it was."""
        parts = key.split(".")
        above = [".".join(parts[:size]) for size in range(1, len(parts) + 1)]
        return [key, *(self.aliases[name] + key.removeprefix(name) for name in above if name in self.aliases)]

    def placed(self, error: DeclarationError) -> RexError:
        """Returns the error with where its key is given: the command line if one of several is given there.

        A key of a replica is named as it was given, by the entry from which the replica was generated.
        """
        places, said = [self.where(key) for key in error.keys], str(error)
        for key in error.keys:
            said = re.sub(rf"\b{re.escape(key)}\b", self._given(key), said)
        return RexError(f"{COMMAND_LINE if COMMAND_LINE in places else places[0]}: {said}")

    def _given(self, key: str) -> str:
        """Returns a key by the name under which the last layer gives it, or a key below it; itself if none does."""
        for layer in reversed(self.layers):
            for name in self._names(key):
                if any(given == name or given.startswith(f"{name}.") for given in layer.lines):
                    return name
        return key

    def typed(self, key: str) -> bool:
        """Returns whether the command line gives `key`, or a key below it."""
        lines = [line for layer in self.layers if layer.label == COMMAND_LINE for line in layer.lines]
        return any(line == name or line.startswith(f"{name}.") for name in self._names(key) for line in lines)


def layer_of_file(path: Path, label: str, package: str = "") -> Layer:
    """Returns the keys of a YAML file, under `package` (dotted, as Hydra puts config groups)."""
    import yaml

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return Layer(label)
    lines: dict[str, int | None] = {}

    def walk(node: Any, prefix: str) -> None:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                key = f"{prefix}.{name.value}" if prefix else str(name.value)
                lines[key] = name.start_mark.line + 1
                walk(value, key)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                lines[f"{prefix}.{index}"] = value.start_mark.line + 1
                walk(value, f"{prefix}.{index}")

    walk(root, package)
    return Layer(label, lines)


def layer_of_values(values: Iterable[tuple[str, Any]], label: str = COMMAND_LINE) -> Layer:
    """Returns the keys of (dotted key, value) pairs, and of the mappings among the values."""
    lines: dict[str, int | None] = {}

    def walk(key: str, value: Any) -> None:
        lines[key] = None
        if isinstance(value, Mapping):
            for name, item in value.items():
                walk(f"{key}.{name}", item)

    for key, value in values:
        walk(key, value)
    return Layer(label, lines)
