"""Implements `rex fit RUN`: fits distributions to the delays of a recording, for `delays=RUN`."""

from __future__ import annotations

from collections.abc import Sequence

from rexcli.cli.console import Console
from rexcli.cli.job import Job
from rexcli.cli.results import finish
from rexcli.config.measured import DELAYS
from rexcli.runs.result import Result
from rexcli.timeline.arrays import to_arrays


def fit_run(run: str, overrides: Sequence[str], console: Console, argv: Sequence[str]) -> Result:
    """Fits every delay of a run's timeline; writes `delays.yaml`, `fit.csv` and the pictures of the fit.

    Args:
        run: a folder, `latest` or `latest:COMMAND`; the run has a timeline or a recording.
        overrides: changes to the run's own experiment, such as `fit.families=[gamma]`.
    """
    from omegaconf import OmegaConf

    from rexcli.config.compose import experiment_from_config
    from rexcli.config.project import find_project
    from rexcli.fit import report
    from rexcli.fit.families import fit
    from rexcli.fit.samples import delay_samples
    from rexcli.runs.view import find_run

    project = find_project()
    view = find_run(run, project.outputs, having=("timeline.npz", "recording.mcap"))
    source = str(view.path / "config.yaml")
    settings = experiment_from_config(view.config, source, overrides).fit
    timeline = view.timeline()
    adjustable = {edge.name for edge in timeline.spec.edges if report.is_adjustable(edge)}
    fits = [
        fit(samples, settings.families, components=settings.components, resolution=settings.resolution)
        for samples in delay_samples(timeline)
        if len(samples) and not (samples.kind == "edge" and samples.name in adjustable)
    ]
    fragment = report.fragment(fits)
    config = DELAYS.declare(view.config, fragment, source)
    job = Job("fit", experiment_from_config(config, source, overrides), project, console, tuple(argv))
    job.start_drawing()
    with job.new_run([view.path]) as out:
        out.write_arrays("timeline.npz", to_arrays(timeline))
        out.write_bytes("delays.yaml", OmegaConf.to_yaml(OmegaConf.create(fragment)).encode())
        out.write_csv("fit.csv", *report.candidates_rows(fits))
        found = {f"{each.samples.kind}/{each.samples.name}": each.delay for each in fits}
        result = Result(
            values={"delays": len(fits)},
            path=out.path,
            tables=[report.table(fits, "Delays")],
            warnings=report.warnings(fits),
        )
        return finish(job, out, result, found)
