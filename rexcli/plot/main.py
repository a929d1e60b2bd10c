"""Draws pictures of runs into files."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
from matplotlib.figure import Figure

from rexcli.config.project import Project, find_project
from rexcli.errors import RexError, WriteError
from rexcli.plot import registry
from rexcli.plot.declared import MANY
from rexcli.plot.registry import Animation, Options, Picture, View, find, pictures, settings
from rexcli.plot.style import styled
from rexcli.plot.system_view import SystemView, shows_system
from rexcli.runs.logs import log_to
from rexcli.runs.storage import write_atomic

logger = logging.getLogger("rex.plot")

COMPRESSION = 3
"""Compression level of PNG files: half the time of zlib's default 6 for 15 % more bytes."""


def draw_run(
    view: View,
    folder: Path | None = None,
    only: Sequence[str] | None = None,
    project: Project | None = None,
    seconds: float | None = None,
    **options: object,
) -> list[Path]:
    """Draws the pictures that a run can have, each into one file.

    Args:
        view: the run.
        folder: where the files go; default `<run>/plots`.
        only: names of pictures; default: all that fit. In this case a picture that fails is logged and left out, so
            that no run fails for a picture; one that was asked for by name raises.
        project: the project whose `nodes` define the run's own pictures; None for that of the working directory.
        seconds: time after which no further picture is begun, unless pictures were asked for by name; None for no
            limit. Pictures left out are logged, with the command that draws them.
        **options: see `Options`.

    Returns:
        The files, in order of the pictures' names.

    Raises:
        RexError: a picture or option is unknown, or the artifacts of a picture in `only` are missing or do not fit
            together.
        WriteError: a file cannot be written.
    """
    target = Path(folder or view.path / "plots")
    return _draw([view], target, only, _options(options), project, overlays=False, seconds=seconds)


def draw_and_log(view: View, project: Project | None = None, seconds: float | None = None) -> list[Path]:
    """Calls `draw_run` in any process; its messages go to the run's log.

    `seconds` counts for a system of many nodes; others are drawn whatever time it takes.
    """
    with log_to(view.path / "log.txt"):
        return draw_run(view, project=project, seconds=seconds if has_many_nodes(view) else None)


def draw_picture(view: View, project: Project, name: str) -> list[Path]:
    """Draws one of `fitting_names`, in any process; returns no file if it fails, which the run's log says."""
    with log_to(view.path / "log.txt"):
        return _draw([once(view)], view.path / "plots", None, Options(), project, overlays=False, names=[name])


def draw_ahead(system: SystemView) -> None:
    """Draws what a system looks like, so that it need not be drawn when a run of it is; writes nothing."""
    for name, picture in pictures().items():
        part = system.part_for(picture)
        if part is not None:
            with suppress(Exception):  # it is said where the run is drawn
                part.once(repr((name, Options())), partial(_rendered, picture, Options()))


def fitting_names(view: View) -> tuple[list[str], list[str], list[str]]:
    """Returns the names of the pictures that fit a run: those that its experiment declares, those of this package that
    show its system alone, and the others of this package.
    """
    own = list(settings(view.config).pictures)
    ours = {name: picture for name, picture in pictures().items() if name not in own and picture.fits(view)}
    of_system = [name for name, picture in ours.items() if shows_system(picture, view)]
    return own, of_system, [name for name in ours if name not in of_system]


def has_many_nodes(view: View) -> bool:
    """Returns whether a system has so many nodes that drawing it may take longer than the command itself."""
    return len(view.config.get("nodes") or ()) > MANY


def draw_many(views: Sequence[View], folder: Path, only: Sequence[str] | None = None, **options: object) -> list[Path]:
    """Overlays several runs in the pictures that can do so; see `draw_run`."""
    if not views:
        raise RexError("no run to draw: name at least one run directory, or 'latest'")
    return _draw(list(views), Path(folder), only, _options(options), None, overlays=True)


def save(drawing: Figure | Animation, path: Path) -> Path:
    """Writes a picture such that the file appears whole or not at all."""
    write_atomic(path, encode(drawing, path.suffix))
    return path


@styled
def encode(drawing: Figure | Animation, suffix: str) -> bytes:
    """Returns a picture as the content of a file with this suffix."""
    file = BytesIO()
    if isinstance(drawing, Animation):
        _save_gif(drawing, file)
    else:
        engine = drawing.get_layout_engine()
        if engine is not None and drawing.axes:  # Matplotlib would first draw everything invisibly for its layout
            engine.execute(drawing)
            drawing.set_layout_engine(None)
        png: Any = {"metadata": {"Software": "rexcli"}, "pil_kwargs": {"compress_level": COMPRESSION}}
        drawing.savefig(file, format=suffix.removeprefix("."), **png if suffix == ".png" else {})
    return file.getvalue()


class _Once:
    def __init__(self, view: View):
        self._view = view

    @cached_property
    def system(self) -> SystemView | None:
        return SystemView.of(self._view)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._view, name)
        if name in ("arrays", "json", "csv", "timeline", "recording"):
            value = cache(value)
            setattr(self, name, value)
        return value


def once(view: View) -> View:
    """Returns a run whose artifacts are read only once, however many pictures use them."""
    return view if isinstance(view, _Once) else cast(View, _Once(view))


def _draw(
    views: list[View],
    folder: Path,
    only: Sequence[str] | None,
    options: Options,
    project: Project | None,
    *,
    overlays: bool,
    seconds: float | None = None,
    names: Sequence[str] | None = None,
) -> list[Path]:
    written: list[Path] = []
    left_out: list[str] = []
    began = time.perf_counter()
    project = project or find_project()
    views = [once(view) for view in views]
    for name in registry.names([view.config for view in views], only) if names is None else names:
        try:
            declared = [settings(view.config).pictures.get(name) for view in views]
            path = next(filter(None, declared), None)
            if path is not None:
                _refuse_code_of_runs(views, project)
            picture = find(name, path, project)
            fitting = [view for view, own in zip(views, declared, strict=True) if own == path and picture.fits(view)]
            if fitting and only is None and seconds is not None and time.perf_counter() - began > seconds:
                left_out.append(name)
            elif fitting and (picture.overlays or not overlays):
                for view in [view for view in views if view not in fitting]:
                    logger.warning("picture '%s': %s has nothing to show there", name, view.path)
                suffix, data = _encoded(name, picture, fitting, options)
                written.append(folder / f"{name}{suffix}")
                write_atomic(written[-1], data)
            elif only is not None:
                raise RexError(_why_not(name, picture.needs, overlays and not picture.overlays, views))
        except WriteError:
            raise
        except Exception as error:
            known = isinstance(error, RexError | OSError)
            said = " ".join(str(error).split())
            said = said if known else f"{type(error).__name__} {said}; what it is drawn from does not fit together"
            where = ", ".join(str(view.path) for view in views)
            # A picture must not fail a run of hours: log and go on, unless this picture was asked for.
            if only is None:
                logger.warning("picture '%s' of %s could not be drawn: %s", name, where, said)
                logger.info("picture '%s'", name, exc_info=not known)
            elif known:
                raise
            else:
                raise RexError(f"picture '{name}' of {where} could not be drawn: {said}") from error
    if left_out:
        warn_left_out(views[0].path, left_out)
    return written


def _encoded(name: str, picture: Picture, views: Sequence[View], options: Options) -> tuple[str, bytes]:
    """Returns the suffix of a picture's file, and its content."""
    draw = partial(_rendered, picture, options)
    system: SystemView | None = cast(Any, once(views[0])).system if shows_system(picture, views[0]) else None
    part = None if system is None else system.part_for(picture)
    if part is not None:
        return part.once(repr((name, options)), draw)
    return draw(views if picture.overlays else views[0])


def _rendered(picture: Picture, options: Options, what: Any) -> tuple[str, bytes]:
    drawing = styled(picture.render)(what, options)
    suffix = picture.suffix if isinstance(drawing, Animation) else f".{options.format}"
    return suffix, encode(drawing, suffix)


def warn_left_out(run: Path, names: Sequence[str]) -> None:
    """Logs which pictures of a run were not drawn, and how to draw them."""
    command = f"rex plot {shown(run)} {' '.join(names)}"
    logger.warning("not drawn, which would take longer than the run itself: %s draws it", command)


def shown(path: Path) -> Path:
    """Returns the shortest path that can be typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _refuse_code_of_runs(views: Sequence[View], project: Project) -> None:
    """Refuses to draw a run with the code of a project inside it, which came with the run, perhaps from a stranger.

    Raises:
        RexError: the project is inside a run; the message names the run.
    """
    for view in views:
        if project.root.resolve().is_relative_to(view.path.resolve()):
            raise RexError(f"{view.path}: it holds the project {project.root}; draw it from a project of your own")


def _why_not(name: str, needs: tuple[str, ...], single: bool, views: Sequence[View]) -> str:
    if single:
        return f"picture '{name}' shows one run at a time, not {len(views)}; name one run"
    wanted = ", ".join(need.replace("|", " or ") for need in needs) or "what it shows"
    where = ", ".join(str(view.path) for view in views)
    return (
        f"picture '{name}' is drawn from {wanted}, which {where} does not have; leave '{name}' out or name another run"
    )


def _options(given: dict[str, object]) -> Options:
    known = Options.__dataclass_fields__
    for name in given:
        if name not in known:
            raise RexError(f"picture option '{name}' does not exist; known: {', '.join(known)}")
    return Options(**given)  # type: ignore[arg-type]


def _save_gif(animation: Animation, file: BytesIO) -> None:
    from PIL import Image

    frames = [Image.fromarray(np.asarray(frame)) for frame in animation.frames]
    if not frames:
        raise RexError("an animation needs at least one frame")
    sample = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames[:: max(1, len(frames) // 4)]]))
    palette = sample.quantize(colors=64, dither=Image.Dither.NONE)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    indexed[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=indexed[1:],
        duration=round(1000 / animation.frames_per_second),
        loop=0,
        optimize=False,
    )
