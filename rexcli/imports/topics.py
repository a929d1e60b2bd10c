"""Collects some fields of some topics of a log as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rexcli.imports.fields import FieldError, column, extract, numbers, stack, stamp, stamps
from rexcli.timeline.timeline import Times

Stamp = tuple[str, str | None]
"""A field that holds a time, and its unit if it is a plain number."""


@dataclass
class Wanted:
    """The wanted fields of a topic: those that hold numbers, and those that hold times."""

    values: dict[str, None] = field(default_factory=dict)
    stamps: dict[Stamp, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Topic:
    """The messages of one topic, in the order of the log.

    Attributes:
        name: the topic's name.
        kind: the type of its messages.
        log: when the recorder noted each message, ns, `[messages]`; None if the log does not say.
        log_is: the meaning of `log`, in words.
        published: when the sender says that it sent each message, ns, `[messages]`; None if the log does not say.
        values: numbers by field, `[messages, ...]`.
        stamps: times by field and unit, ns, `[messages]`, `UNSET` where there is none.
        unused: a field that holds the time of a header, if there is one.
    """

    name: str
    kind: str
    log: Times | None
    log_is: str
    published: Times | None
    values: dict[str, np.ndarray]
    stamps: dict[Stamp, Times]
    unused: str | None = None

    def __len__(self) -> int:
        known = [self.log, self.published, *self.values.values(), *self.stamps.values()]
        return next((len(each) for each in known if each is not None), 0)


class Collector:
    """Collects the wanted fields of one message after another.

    Args:
        name, kind: name and message type of the topic.
        wanted: the wanted fields.
    """

    def __init__(self, name: str, kind: str, wanted: Wanted):
        self.name, self.kind = name, kind
        self._wanted = wanted
        self._log: list[int] = []
        self._published: list[int] = []
        self._values: dict[str, list[np.ndarray]] = {path: [] for path in wanted.values}
        self._stamps: dict[Stamp, list[int]] = {key: [] for key in wanted.stamps}
        self._header = False

    def add(self, message: Any, log: int, published: int | None = None) -> None:
        """Adds a message; raises FieldError if it lacks a wanted field."""
        if not self._log:
            self._header = _has(message, "header.stamp")
        self._log.append(log)
        if published is not None:
            self._published.append(published)
        for path, rows in self._values.items():
            rows.append(numbers(extract(message, path), path))
        for (path, unit), times in self._stamps.items():
            times.append(stamp(extract(message, path), unit, path))

    def topic(self) -> Topic:
        published = np.array(self._published, np.int64)
        return Topic(
            self.name,
            self.kind,
            np.array(self._log, np.int64),
            "log time",
            published if len(published) else None,
            {path: stack(rows, path) for path, rows in self._values.items()},
            {key: np.array(times, np.int64) for key, times in self._stamps.items()},
            "header.stamp" if self._header and not any(path == "header.stamp" for path, _ in self._stamps) else None,
        )


def topic_of_columns(
    name: str,
    kind: str,
    wanted: Wanted,
    columns: Mapping[str, np.ndarray],
    names: Mapping[str, Sequence[str]] | None = None,
    log: tuple[Times, str] | None = None,
) -> Topic:
    """Returns a table as a topic with one message per row."""
    values = {}
    for path in wanted.values:
        values[path] = column(columns, path, names)
        if values[path].dtype.kind not in "biuf":
            raise FieldError(f"column '{path}' holds no numbers")
    times = {key: stamps(column(columns, key[0], names), key[1], key[0]) for key in wanted.stamps}
    return Topic(name, kind, log and log[0], log[1] if log else "", None, values, times)


def _has(message: Any, path: str) -> bool:
    try:
        extract(message, path)
    except FieldError:
        return False
    return True
