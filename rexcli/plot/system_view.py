"""Reduces a run to its system, so that a picture of the system is drawn once for all runs that have the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from rexcli.plot.registry import Picture, View
from rexcli.runs import formats
from rexcli.runs.view import guarded
from rexcli.timeline.timeline import Timeline

ARTIFACTS = ("timeline.npz", "program.json", "delays.npz")
"""The artifacts that say what a run's system is and when it steps, not what the run made of it."""
SECTIONS = ("nodes", "edges", "supervisor", "plots")
"""The sections of a configuration that do so."""
MOST_KEPT = 32
"""Number of drawn pictures that are kept; each has some ten kilobytes."""

_kept: dict[bytes, tuple[str, bytes]] = {}


class SystemView:
    """The part of a run that says what its system is: a `View` for the pictures that need nothing else.

    Args:
        path: the run's folder, for error messages.
        config: the run's configuration.
        files: contents of files in `ARTIFACTS`.
        whole: the view of which this is a part, which decodes each file once; None if it is none.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any], files: Mapping[str, bytes], whole: SystemView | None = None
    ):
        self.path = path
        self.config: Mapping[str, Any] = {name: each for name, each in config.items() if name in SECTIONS}
        self._files = dict(files)
        self._whole = whole
        self._arrays = cache(self._decode)

    @classmethod
    def of(cls, view: View) -> SystemView | None:
        """Reads the system of a run; None if its artifacts are no files."""
        names = [name for name in ARTIFACTS if view.has(name)]
        if not all((view.path / name).is_file() for name in names):
            return None
        return cls(view.path, view.config, {name: (view.path / name).read_bytes() for name in names})

    def part_for(self, picture: Picture) -> SystemView | None:
        """Returns the part from which a picture is drawn, or None if it is drawn from more than this."""
        names = _used(picture, self)
        if names is None:
            return None
        return SystemView(self.path, self.config, {name: self._files[name] for name in names}, self)

    def has(self, name: str) -> bool:
        return name in self._files

    def arrays(self, name: str) -> Mapping[str, np.ndarray]:
        return self._arrays(name) if self._whole is None else self._whole.arrays(name)

    def json(self, name: str) -> Any:
        if self._whole is not None:
            return self._whole.json(name)
        return guarded(self.path / name, lambda: formats.decode_json(self._files[name]))

    def timeline(self) -> Timeline:
        return self._timeline if self._whole is None else self._whole.timeline()

    def _decode(self, name: str) -> dict[str, np.ndarray]:
        return guarded(self.path / name, lambda: formats.decode_arrays(BytesIO(self._files[name])))

    @cached_property
    def _timeline(self) -> Timeline:
        from rexcli.timeline.arrays import from_arrays

        arrays = self._decode("timeline.npz")
        return guarded(self.path / "timeline.npz", lambda: from_arrays(arrays))

    def once(self, drawn_as: str, draw: Callable[[SystemView], tuple[str, bytes]]) -> tuple[str, bytes]:
        """Returns what `draw` returns, the suffix of a picture's file and its content; calls it only if this process
        has not just drawn the same picture of the same system.

        Args:
            drawn_as: the picture's name and its options.
        """
        digest = hashlib.sha256(repr((drawn_as, self.config)).encode())
        for name, content in sorted(self._files.items()):
            digest.update(f"{name} {len(content)} ".encode())
            digest.update(content)
        key = digest.digest()
        if key not in _kept:
            _kept[key] = draw(self)
            if len(_kept) > MOST_KEPT:
                del _kept[next(iter(_kept))]
        return _kept[key]


def shows_system(picture: Picture, view: View) -> bool:
    """Returns whether a picture is drawn from no more than a run's system."""
    return _used(picture, view) is not None


def _used(picture: Picture, view: View | SystemView) -> list[str] | None:
    """Returns the artifacts from which a picture is drawn; None unless these are `ARTIFACTS`, and the picture is of
    this package, not a project's own."""
    ours = type(picture).__module__.startswith(f"{__package__}.") and not picture.overlays
    if not ours or not picture.fits(cast(View, view)):
        return None
    needed = [next(name for name in need.split("|") if view.has(name)) for need in picture.needs]
    declared = ["delays.npz"] if view.has("delays.npz") else []
    return [*needed, *declared] if all(name in ARTIFACTS for name in needed) else None
