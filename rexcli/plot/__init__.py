"""Draws pictures of runs, one module per picture, from a run's artifacts and never from live objects.

`draw_run` draws what one run can show, `draw_many` overlays several. Each picture module has a pure `draw(…)` for
notebooks and a class that derives from `Picture`. A new picture is one new file here, or a class in a project's
`nodes/` that the experiment names.
"""

from rexcli.plot.main import draw_and_log, draw_many, draw_run
from rexcli.plot.registry import Animation, Options, Picture, View, pictures

__all__ = ["Animation", "Options", "Picture", "View", "draw_and_log", "draw_many", "draw_run", "pictures"]
