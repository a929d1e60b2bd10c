"""Finds pictures: those of this package, and those that an experiment declares.

A picture is a class that derives from `Picture`. Those in modules of this package are found in its folder and have the
module's name, so a new picture is one new file. Those in a project's `nodes/` are named by the experiment, `plots:
{pictures: {pendulum: nodes.pendulum.picture.Pendulum}}`.

A run may come from a stranger, and its `config.yaml` says which pictures it has. So these names obey the rules of
`_target_` (see `rexcli.config.targets`): only a class that the user's own `nodes` defines is taken, only if it derives
from `Picture`, and it is made without arguments. Nothing of a run is imported, and nothing else in it is built.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from rexcli.config import checks
from rexcli.config.key_origins import Origins
from rexcli.config.project import Project, find_project
from rexcli.config.schema import PlotsConfig
from rexcli.config.targets import Loader
from rexcli.errors import RexError, suggest
from rexcli.timeline.timeline import Timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class View(Protocol):
    """The part of `rexcli.runs.RunView` that pictures use."""

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
    """The options of pictures; each picture uses those that concern it.

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
        format: of the files of pictures that do not move.
        group: which nodes are drawn as one: `auto`, those of a group (`nodes.*.group`) or else of a class, if there are
            many nodes; `class`, all of one class; or `none`.
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
    format: Literal["png", "svg", "pdf"] = "png"
    group: Literal["auto", "none", "class"] = "auto"

    def __post_init__(self) -> None:
        if self.mode not in ("arrival", "usage"):
            raise RexError(f"mode {self.mode!r}: give 'arrival' or 'usage'")
        if self.group not in ("auto", "none", "class"):
            raise RexError(f"group {self.group!r}: give 'auto', 'none' or 'class'")
        if self.format not in ("png", "svg", "pdf"):
            raise RexError(f"format {self.format!r}: give 'png', 'svg' or 'pdf'")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise RexError(f"max_seconds {self.max_seconds}: give a number of seconds above 0")
        if not self.start >= 0:
            raise RexError(f"start {self.start}: give a number of seconds, 0 or more")
        if self.episode < 0:
            raise RexError(f"episode {self.episode}: episodes are counted from 0")


@dataclass(frozen=True)
class Animation:
    """The frames of a GIF: RGB arrays `[height, width, 3]` uint8 of one size, and their rate per second."""

    frames: Sequence[np.ndarray] = field(repr=False)
    frames_per_second: int = 25


class Picture(ABC):
    """A picture that runs can have.

    Attributes:
        needs: the artifacts that it is drawn from; `a|b` means either.
        overlays: whether it can show several runs at once.
        suffix: suffix of its file.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    overlays: ClassVar[bool] = False
    suffix: ClassVar[str] = ".png"

    def fits(self, view: View) -> bool:
        """Returns whether the run has the artifacts that this picture is drawn from."""
        return all(any(view.has(name) for name in need.split("|")) for need in self.needs)

    @abstractmethod
    def render(self, view: Any, options: Options) -> Figure | Animation:
        """Draws the picture of a run, a `View`, or of a sequence of runs if it `overlays`."""


def pictures() -> dict[str, Picture]:
    """Returns the pictures of this package by name, in order of their names."""
    package = importlib.import_module("rexcli.plot")
    found = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        module = importlib.import_module(f"rexcli.plot.{name}")
        for kind in filter(_is_picture, vars(module).values()):
            if kind.__module__ == module.__name__ and not inspect.isabstract(kind):
                found[name] = kind()
    return found


def _is_picture(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Picture)


def settings(config: Mapping[str, Any]) -> PlotsConfig:
    """Returns the checked section `plots` of a run's configuration; older runs without it get the defaults.

    Raises:
        RexError: the section is wrong.
    """
    read: PlotsConfig = checks.read(PlotsConfig, config.get("plots") or {}, "plots", Origins(fallback="config.yaml"))
    return read


def names(configs: Sequence[Mapping[str, Any]], only: Sequence[str] | None) -> list[str]:
    """Returns the names of the pictures that runs with these configurations may have: all, or `only` these.

    Raises:
        RexError: a name in `only` is no picture's.
    """
    known = list(dict.fromkeys([*pictures(), *(name for config in configs for name in settings(config).pictures)]))
    for name in only or ():
        if name not in known:
            raise RexError(f"picture '{name}' does not exist{suggest(name, known)}")
    return known if only is None else list(only)


def find(name: str, path: str | None, project: Project | None = None, origins: Origins | None = None) -> Picture:
    """Returns the picture of a name.

    Args:
        name: name of the picture.
        path: path of the class that a run declares for it; None for a picture of this package.
        project: the project whose `nodes` define it; None for that of the working directory.
        origins: where keys were set, for error messages.

    Raises:
        RexError: the class may not be used, see this module.
    """
    if path is None:
        return pictures()[name]
    (project or find_project()).activate()
    loader, key = Loader((), origins or Origins(fallback="config.yaml")), f"plots.pictures.{name}"
    kind = loader.find(path, key)
    if not _is_picture(kind):
        raise RexError(
            f"{loader.origins.where(key)}: {key}={path}: this is no picture; derive it from rexcli.plot.Picture"
        )
    made: Picture = loader.call(kind, {}, key)
    return made
