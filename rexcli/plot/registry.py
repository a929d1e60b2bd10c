"""Which pictures there are, and which of them a run can have.

A module of this package registers its picture with `@picture(name, needs=…)`; all modules are found by looking
into the folder, so a new picture is one new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from matplotlib.figure import Figure

from rexcli.errors import RexError, suggest
from rexcli.timeline.timeline import Timeline


class View(Protocol):
    """What pictures read of a run: `rexcli.runs.RunView` without the rest."""

    @property
    def path(self) -> Path: ...
    @property
    def command(self) -> str: ...
    @property
    def experiment(self) -> str: ...
    @property
    def seed(self) -> int | None: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    def has(self, name: str) -> bool: ...
    def arrays(self, name: str) -> Mapping[str, np.ndarray]: ...
    def json(self, name: str) -> Any: ...
    def csv(self, name: str) -> Any: ...
    def timeline(self) -> Timeline: ...
    def recording(self) -> Any: ...


@dataclass(frozen=True)
class Options:
    """What a person may ask of pictures; each picture takes what concerns it.

    Attributes:
        episode: which episode of the timeline, recording or rollouts a single-episode picture shows.
        start: where its window starts, s.
        max_seconds: how much time the data flow shows, s; None for what a person can make out.
        mode: where a message's arrow ends: when it arrives, or when a step reads it.
        max_rows: how many quantities or delays one picture shows at most.
        fields: patterns (`world/state/*`) of the quantities to show; empty: a choice that fits.
        metrics: the columns of metrics.csv or sweep.csv to show; empty: a choice that fits.
        keys: the swept keys to show; empty: all.
        animation_seconds: the longest animation, s.
    """

    episode: int = 0
    start: float = 0.0
    max_seconds: float | None = None
    mode: Literal["arrival", "usage"] = "arrival"
    max_rows: int = 12
    fields: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    animation_seconds: float = 6.0

    def __post_init__(self) -> None:
        if self.mode not in ("arrival", "usage"):
            raise RexError(f"mode {self.mode!r}: give 'arrival' or 'usage'")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise RexError(f"max_seconds {self.max_seconds}: give a number of seconds above 0")
        if not self.start >= 0:
            raise RexError(f"start {self.start}: give a number of seconds, 0 or more")
        if self.episode < 0:
            raise RexError(f"episode {self.episode}: episodes are counted from 0")


@dataclass(frozen=True)
class Animation:
    """Frames of a GIF: RGB arrays `[height, width, 3]` uint8 of one size, and how many a second."""

    frames: Sequence[np.ndarray] = field(repr=False)
    frames_per_second: int = 25


@dataclass(frozen=True)
class Picture:
    """One picture that runs can have.

    Attributes:
        name: what it is called, and its file's name.
        needs: the artifacts that it is drawn from; `a|b` is either.
        render: draws it from one run, or from several if it overlays.
        overlays: whether it can show several runs at once.
        when: a further condition on the run, looked at once `needs` are there.
        suffix: of its file.
    """

    name: str
    needs: tuple[str, ...]
    render: Callable[[Sequence[View], Options], Figure | Animation]
    overlays: bool = False
    when: Callable[[View], bool] | None = None
    suffix: str = ".png"

    def fits(self, view: View) -> bool:
        """Whether the run has what this picture is drawn from."""
        there = all(any(view.has(name) for name in need.split("|")) for need in self.needs)
        return there and (self.when is None or self.when(view))


_pictures: dict[str, Picture] = {}


def picture(
    name: str,
    *,
    needs: str | tuple[str, ...] = (),
    overlays: bool = False,
    when: Callable[[View], bool] | None = None,
    suffix: str = ".png",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers `render(view, options)`, or with `overlays` `render(views, options)`, as picture `name`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def render(views: Sequence[View], options: Options) -> Figure | Animation:
            return function(views, options) if overlays else function(views[0], options)

        wanted = (needs,) if isinstance(needs, str) else needs
        _pictures[name] = Picture(name, wanted, render, overlays, when, suffix)
        return function

    return register


def pictures() -> dict[str, Picture]:
    """All pictures by name, in order of their names; imports the modules of this package at the first call."""
    package = importlib.import_module("rexcli.plot")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"rexcli.plot.{module.name}")
    return dict(sorted(_pictures.items()))


def choose(only: Sequence[str] | None) -> list[Picture]:
    """The pictures named, or all; refuses a name that there is no picture of."""
    known = pictures()
    if only is None:
        return list(known.values())
    for name in only:
        if name not in known:
            raise RexError(f"picture '{name}' does not exist{suggest(name, list(known))}")
    return [known[name] for name in only]
