"""Draws pictures of runs, one module per picture, from a run's artifacts and never from live objects.

`draw_run` draws what one run can show, `draw_many` overlays several. Each picture module has a pure `draw(…)` for
notebooks and a class that derives from `Picture`. A new picture is one new file here, or a class in a project's
`nodes/` that the experiment names. Matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rexcli.lazy import attach

# ruff: noqa: F401 - `__all__` has what is imported here for type checkers
if TYPE_CHECKING:
    from rexcli.plot.main import draw_and_log, draw_many, draw_run
    from rexcli.plot.registry import Animation, Options, Picture, View, pictures

__getattr__, __all__ = attach(
    __name__,
    {
        "main": ["draw_and_log", "draw_many", "draw_run"],
        "registry": ["Animation", "Options", "Picture", "View", "pictures"],
    },
)
