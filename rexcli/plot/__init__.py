"""Draws pictures of runs, one module per picture, from a run's artifacts and never from live objects.

`draw_run` draws what one run can show, `draw_many` overlays several. Each picture module has a pure `draw(…)` for
notebooks and a class that derives from `Picture`. A new picture is one new file here, or a class in a project's
`nodes/` that the experiment names. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rexcli.plot.registry import Animation, Options, Picture, View, pictures

if TYPE_CHECKING:
    from rexcli.plot.main import draw_and_log, draw_many, draw_run

__all__ = ["Animation", "Options", "Picture", "View", "draw_and_log", "draw_many", "draw_run", "pictures"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("rexcli.plot.main"), name)
    raise AttributeError(f"module 'rexcli.plot' has no attribute '{name}'")
