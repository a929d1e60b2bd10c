"""Which file, or the command line, a key of an experiment came from: so that a message can say where to mend it."""

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
        label: how to name it: `conf/pendulum.yaml` or `command line`.
        lines: by dotted key, the line it stands on; None where there are no lines.
    """

    label: str
    lines: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Origins:
    """The layers of an experiment, in the order in which each overrides the last."""

    layers: tuple[Layer, ...] = ()
    fallback: str = "configuration"
    aliases: Mapping[str, str] = field(default_factory=dict)
    """By the dotted key of a replica, that of the entry from which it was written out."""

    def where(self, key: str) -> str:
        """Names the last layer that gives `key`, or, for a key that is given nowhere, the nearest key above it."""
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
        """A key, and that of the entry from which it was written out, if it was."""
        parts = key.split(".")
        above = [".".join(parts[:size]) for size in range(1, len(parts) + 1)]
        return [key, *(self.aliases[name] + key.removeprefix(name) for name in above if name in self.aliases)]

    def placed(self, error: DeclarationError) -> RexError:
        """The error, with where its key is given: the command line if one of several is given there.

        A key of a replica is named as it was given, by the entry from which it was written out.
        """
        places, said = [self.where(key) for key in error.keys], str(error)
        for key in error.keys:
            said = re.sub(rf"\b{re.escape(key)}\b", self._given(key), said)
        return RexError(f"{COMMAND_LINE if COMMAND_LINE in places else places[0]}: {said}")

    def _given(self, key: str) -> str:
        """A key by the name under which the last layer gives it, or something below it; itself if none does."""
        for layer in reversed(self.layers):
            for name in self._names(key):
                if any(given == name or given.startswith(f"{name}.") for given in layer.lines):
                    return name
        return key

    def typed(self, key: str) -> bool:
        """Whether the command line gives `key`, or a key below it."""
        lines = [line for layer in self.layers if layer.label == COMMAND_LINE for line in layer.lines]
        return any(line == name or line.startswith(f"{name}.") for name in self._names(key) for line in lines)


def layer_of_file(path: Path, label: str, package: str = "") -> Layer:
    """The keys of a YAML file, under `package` (dotted, as Hydra puts config groups)."""
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
    """The keys of (dotted key, value) pairs, and of the mappings among the values."""
    lines: dict[str, int | None] = {}

    def walk(key: str, value: Any) -> None:
        lines[key] = None
        if isinstance(value, Mapping):
            for name, item in value.items():
                walk(f"{key}.{name}", item)

    for key, value in values:
        walk(key, value)
    return Layer(label, lines)
