"""Collects what a report's page shows of its runs, as plain data. It only reads artifacts."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rexcli.errors import RexError
from rexcli.plot.labels import run_labels
from rexcli.plot.training import Curves, columns_of, default_metrics
from rexcli.runs import formats
from rexcli.runs.plain_yaml import flatten
from rexcli.runs.view import RunView

MOST_NUMBERS = 300_000
"""Most numbers in all curves of a page; with more, evaluations are left out evenly, and the page says so."""

MOST_PICTURES = 6_000_000
"""Most bytes of all pictures of a page; base64 makes 8 MB of them."""

FIRST_PICTURES = ("sweep", "training", "trajectories", "system", "dataflow", "delays")
"""Pictures to keep first where there are too many; those of a project come before these."""

KINDS = {".png": "image/png", ".gif": "image/gif", ".svg": "image/svg+xml"}

NOT_COMPARED = ("from", "policy", "resume", "delays", "params")
"""Keys that name other runs, and so differ in any case."""


@dataclass(frozen=True)
class Entry:
    """A run as a page shows it, or a job of a sweep that has no run.

    Attributes:
        view: the run; None for a job that has not begun.
        name: the run's name, unique on the page.
        status: status of the run or job.
        overrides: overrides of a sweep's job as typed, by key.
        facts: facts at the top of its section, by name.
        artifacts: name, size and kind of each.
        error: why it failed.
    """

    view: RunView | None
    name: str
    status: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    facts: Sequence[tuple[str, Any]] = ()
    artifacts: Sequence[tuple[str, str, str]] = ()
    error: str | None = None


class Images:
    """The pictures of a page, each stored once, as many as there is room for."""

    def __init__(self, room: int = MOST_PICTURES):
        self.urls: dict[str, str] = {}
        self.left_out = 0
        self._room = room

    def add(self, data: bytes, kind: str) -> str | None:
        """Adds a picture and returns its key, None if there is no room for it."""
        key = hashlib.sha256(data).hexdigest()[:12]
        if key not in self.urls:
            if len(data) > self._room:
                self.left_out += 1
                return None
            self._room -= len(data)
            self.urls[key] = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        return key


def page_data(entries: Sequence[Entry], title: str, extra: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Returns all data that the page's script draws from.

    Args:
        entries: runs and jobs, in order.
        title: title of the page.
        extra: pictures of all entries together, such as a sweep's, by file name.

    Raises:
        RexError: a run's files are damaged; the message names the file.
    """
    views = [entry.view for entry in entries if entry.view is not None]
    labels = iter(run_labels(views)) if len(views) > 1 else iter([view.path.name for view in views])
    configs = [flatten(entry.view.config) if entry.view else {} for entry in entries]
    keys = _keys(entries, configs)
    images = Images()
    shared = [
        {"name": name.partition(".")[0], "image": images.add(data, KINDS[name[name.rindex(".") :]])}
        for name, data in (extra or {}).items()
    ]
    runs, notes = [], []
    pictures = _pictures(entries, images)
    for entry, config, shown in zip(entries, configs, pictures, strict=True):
        view = entry.view
        curves, stride = ({}, 1) if view is None else _curves(view, MOST_NUMBERS // len(entries))
        if stride > 1:
            notes.append(f"{entry.name}: the curves show one evaluation of {stride}, and the last.")
        runs.append(
            {
                "name": entry.name,
                "label": entry.name if view is None else next(labels),
                "status": entry.status,
                "error": entry.error,
                "command": None if view is None else view.command,
                "seed": None if view is None else view.seed,
                "started": None if view is None else view.started[:19].replace("T", " "),
                "facts": [[name, _text(value)] for name, value in entry.facts],
                "changes": [] if view is None else [[key, *map(_text, pair)] for key, pair in view.changes.items()],
                "results": {} if view is None else _results(view),
                "keys": {key: _plain(config.get(key, _number(entry.overrides.get(key)))) for key in keys},
                "config": "" if view is None else _config_text(view),
                "artifacts": [list(row) for row in entry.artifacts],
                "pictures": shown,
                "curves": curves,
            }
        )
    if images.left_out:
        notes.append(f"{images.left_out} pictures are left out so that the page stays small; they are in plots/.")
    return {"title": title, "runs": runs, "images": images.urls, "pictures": shared, "notes": notes}


def _keys(entries: Sequence[Entry], configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the keys in which the runs differ: first the swept ones, then others, in order of appearance."""
    if len(entries) < 2:
        return []
    swept = dict.fromkeys(key for entry in entries for key in entry.overrides)
    typed = [key for key in swept if len({entry.overrides.get(key) for entry in entries}) > 1]
    there = [config for config in configs if config]
    found = dict.fromkeys(key for config in there for key in config if key not in NOT_COMPARED)
    return list(dict.fromkeys([*typed, *(key for key in found if _differ([config.get(key) for config in there]))]))


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _number(text: str | None) -> Any:
    """Parses an override that was typed as a number; other text stays as it is."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _results(view: RunView) -> dict[str, Any]:
    """Returns the results that are a single number or word; lists of numbers become text."""
    return {name: _plain(value) for name, value in view.results.items() if not isinstance(value, dict)}


def _plain(value: Any) -> Any:
    """Converts a value to a number that JSON has, or to text; None stays None."""
    if value is None or isinstance(value, bool | str):
        return _text(value) if isinstance(value, bool) else value
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: Any) -> str:
    """Returns a value as YAML writes it, in one line."""
    if value is None or isinstance(value, bool):
        return {None: "-", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


def _config_text(view: RunView) -> str:
    return (view.path / "config.yaml").read_text(encoding="utf-8", errors="replace")


def _curves(view: RunView, most: int) -> tuple[dict[str, Any], int]:
    """Returns the curves of `metrics.csv` over environment steps, and the number of evaluations shown.

    Only columns with a finite value are in `{"steps": [n], "metrics": {name: [[n] a seed]}}`; a value that is not
    finite is None.
    """
    if not view.has("metrics.csv"):
        return {}, 1
    columns = columns_of(view.csv("metrics.csv"))
    size = len(next(iter(columns.values()), ()))
    seeds = columns.get("seed", np.zeros(size))
    clock = columns.get("total_steps", columns.get("update", np.arange(size)))
    placed = np.isfinite(seeds) & np.isfinite(clock)
    seeds, clock, columns = seeds[placed], clock[placed], {name: values[placed] for name, values in columns.items()}
    names = default_metrics([Curves("", columns)])
    if not names:
        return {}, 1
    steps, numbers = np.unique(clock), np.unique(seeds)
    stride = max(1, math.ceil(len(steps) * len(numbers) * len(names) / max(1, most)))
    chosen = np.unique(np.append(np.arange(0, len(steps), stride), len(steps) - 1))
    grid = np.full((len(names), len(numbers), len(steps)), np.nan)
    grid[:, np.searchsorted(numbers, seeds), np.searchsorted(steps, clock)] = [columns[name] for name in names]
    shown = grid[:, :, chosen]
    return {
        "steps": [float(step) for step in steps[chosen]],
        "metrics": {
            name: [[_short(value) for value in row] for row in rows] for name, rows in zip(names, shown, strict=True)
        },
    }, stride


def _short(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _pictures(entries: Sequence[Entry], images: Images) -> list[list[dict[str, Any]]]:
    """Returns for each run the pictures that fit: first one picture of each run, then the second of each, and so on."""
    files = [[] if entry.view is None else _files(entry.view) for entry in entries]
    found: list[list[dict[str, Any]]] = [[] for _ in entries]
    for turn in range(max(map(len, files), default=0)):
        for entry, names, shown in zip(entries, files, found, strict=True):
            if turn < len(names) and entry.view is not None:
                path = entry.view.path / names[turn]
                key = images.add(path.read_bytes(), KINDS[path.suffix])
                if key is not None:
                    shown.append({"name": path.stem, "image": key})
    return found


def _files(view: RunView) -> list[str]:
    """Returns the pictures in a run's `plots/`; of one in several formats, the first of PNG, GIF and SVG."""
    forms = list(KINDS)
    by_name: dict[str, str] = {}
    for path in sorted(
        (path for path in (view.path / "plots").glob("*") if path.suffix in KINDS and path.is_file()),
        key=lambda path: forms.index(path.suffix),
    ):
        by_name.setdefault(path.stem, f"plots/{path.name}")

    def rank(name: str) -> tuple[int, str]:
        known = name in FIRST_PICTURES
        return (1 + FIRST_PICTURES.index(name), name) if known else (0 if _is_own(view, name) else 99, name)

    return [by_name[name] for name in sorted(by_name, key=rank)]


def _is_own(view: RunView, name: str) -> bool:
    try:
        own = (view.config.get("plots") or {}).get("pictures") or {}
    except RexError:
        return False
    return isinstance(own, Mapping) and name in own


def encode(data: Mapping[str, Any]) -> str:
    """Encodes JSON for use inside a page: `<` is escaped, so it never opens a tag."""
    import json

    return json.dumps(formats.plain(data), allow_nan=False, separators=(",", ":"), ensure_ascii=False).replace(
        "<", "\\u003c"
    )
