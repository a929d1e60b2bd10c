"""Pictures of runs: one module a picture, drawn from a run's artifacts and never from live objects.

`draw_run` draws what one run can show, `draw_many` overlays several. Each picture module offers a pure
`draw(…)` for notebooks and registers itself with `registry.picture`; a new picture is one new file here.
"""

from rexcli.plot.main import draw_many, draw_run
from rexcli.plot.registry import Options, Picture, pictures

__all__ = ["Options", "Picture", "draw_many", "draw_run", "pictures"]
