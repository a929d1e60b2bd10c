"""`rex plot RUN…`: draws pictures of runs. Reads data only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.cli.console import shorten
from rexcli.config.project import find_project
from rexcli.runs.result import Result, Table
from rexcli.runs.storage import remove_abandoned
from rexcli.runs.view import find_run
from rexcli.sweep.folder import is_sweep
from rexcli.sweep.table import SweepView

if TYPE_CHECKING:
    from rexcli.plot.registry import View


def plot_runs(runs: Sequence[str], only: Sequence[str], out: str | None, **options: Any) -> Result:
    """Draws one run's pictures, or those in which several can be overlaid.

    Args:
        runs: folders of runs or sweeps, `latest` or `latest:COMMAND`.
        only: names of pictures; empty for all that fit.
        out: the folder for the files; None for `plots/` in the run, or for several runs `outputs/plots/<time>`.
        **options: see `rexcli.plot.Options`.
    """
    from rexcli.plot import draw_many, draw_run

    project = find_project()
    outputs = project.outputs
    views = [_view(run, outputs) for run in runs]
    if len(views) == 1:
        remove_abandoned(views[0].path, below=True)
        folder = views[0].path / "plots" if out is None else Path(out)
        written = draw_run(views[0], folder, only or None, project, **options)
    else:
        folder = outputs / "plots" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S") if out is None else Path(out)
        written = draw_many(views, folder, only or None, **options)
    pictures = Table("pictures", ("picture", "file"), [(path.stem, shorten(path)) for path in written])
    return Result(path=folder, tables=[pictures])


def _view(text: str, outputs: Path) -> View:
    """A sweep where `text` is the folder of one, else a run."""
    for path in (Path(text), outputs / text):
        if is_sweep(path):
            return SweepView(path)
    return find_run(text, outputs)
