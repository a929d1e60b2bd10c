"""Implements `rex import FILE`: turns a log that another program wrote into a run."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rexcli.cli.console import Console
from rexcli.cli.job import Job
from rexcli.cli.results import finish
from rexcli.errors import RexError
from rexcli.runs.result import Result, Table
from rexcli.timeline.arrays import to_arrays
from rexcli.timeline.spec import NEVER

if TYPE_CHECKING:
    from rexcli.config.project import Project
    from rexcli.config.schema import Experiment
    from rexcli.imports.reconstruct import Imported
    from rexcli.runs.recording import RecordingWriter

OWN_MAPPING = "experiment.yaml"
"""The file in a bag of `rex export` with the experiment, and the mapping from the bag's topics to it."""


def import_log(file: str, words: Sequence[str], console: Console, argv: Sequence[str]) -> Result:
    """Imports a log as the experiment's `import` section says; writes `recording.mcap`, `timeline.npz`, `import.csv`.

    Args:
        file: the log, a file or a folder.
        words: `conf=NAME` and overrides; without `conf`, the mapping in a bag of `rex export` is used.
    """
    from rexcli.config.project import find_project
    from rexcli.imports import mapping
    from rexcli.imports.logs import read_log
    from rexcli.imports.reconstruct import reconstruct
    from rexcli.imports.report import COLUMNS, INFERRED, MEASURED

    project, path = find_project(), Path(file)
    experiment = _experiment(path, words, project)
    mapping.check(experiment)
    job = Job("import", experiment, project, console, tuple(argv))
    job.start_drawing()
    topics = read_log(path, mapping.wanted(experiment))
    found = reconstruct(experiment, topics, functools.partial(_median, experiment, project), str(path))
    timeline = found.timeline
    with job.new_run() as run:
        with run.recording(timeline.spec, {"experiment": experiment.name, "imported": str(path)}) as writer:
            _write(writer, found)
        if writer.failed:
            raise RexError(writer.failed)
        run.write_arrays("timeline.npz", to_arrays(timeline))
        run.write_csv("import.csv", COLUMNS, found.rows)
        values = {
            "episodes": timeline.num_episodes,
            "steps": int(timeline.num_steps.sum()),
            "seconds": float(max(s.end[s.start < NEVER].max(initial=0) for s in timeline.steps.values())) / 1e9,
            "messages": sum(int((each.arrive < NEVER).sum()) for each in timeline.messages.values()),
            "measured": sum(how == MEASURED for _, _, how, _ in found.rows),
            "inferred": sum(how == INFERRED for _, _, how, _ in found.rows),
        }
        for name, clock in found.clocks.items():
            values |= {f"clock {name} offset s": clock.offset / 1e9, f"clock {name} drift": clock.drift}
        table = Table("Where the times come from", COLUMNS, found.rows)
        return finish(job, run, Result(values=values, path=run.path, tables=[table], warnings=found.warnings), {})


def _experiment(path: Path, words: Sequence[str], project: Project) -> Experiment:
    from rexcli.cli.hydra_app import split_conf
    from rexcli.config.compose import compose, experiment_from_config
    from rexcli.runs.plain_yaml import load_yaml

    conf, overrides = split_conf(words)
    own = path / OWN_MAPPING
    if conf is not None or not own.is_file():
        return compose(conf, overrides, project=project)
    try:
        config = load_yaml(own.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("not a mapping")
    except (OSError, ValueError) as error:
        raise RexError(f"{own}: {error}; give the experiment, conf=NAME") from None
    return experiment_from_config(config, str(own), overrides)


def _median(experiment: Experiment, project: Project, key: str) -> float:
    """Returns the median of a declared delay, s; 0 if none is declared."""
    from rexcli.config.build import build_delay

    section, _, name = key.partition(".")
    declared = getattr(experiment, section)[name].delay
    if declared is None or isinstance(declared, int | float):
        return float(declared or 0.0)
    return max(0.0, float(build_delay(experiment, key, project).quantile(0.5)))


def _write(writer: RecordingWriter, found: Imported) -> None:
    timeline, spec = found.timeline, found.timeline.spec
    for episode in range(timeline.num_episodes):
        for edge in spec.edges:
            count = int(timeline.steps[edge.source].count[episode])
            sent, messages = timeline.steps[edge.source].end[episode, :count], timeline.messages[edge.name]
            arrive, reader = messages.arrive[episode, :count], messages.reader[episode, :count]
            writer.messages(episode, edge.name, np.arange(count), sent, arrive, reader)
        for node in spec.nodes:
            steps = timeline.steps[node.name]
            count = int(steps.count[episode])
            # The supervisor's last tick is where its last step ends: it computes nothing.
            computed = count - (node.name == spec.supervisor)
            fields = {kind: values[episode] for kind, values in found.values[node.name].items()}
            for first, last, kept in ((0, computed, fields), (computed, count, {})):
                part = slice(first, last)
                writer.steps(
                    episode,
                    node.name,
                    np.arange(first, last),
                    steps.start[episode, part],
                    steps.end[episode, part],
                    {kind: {path: array[part] for path, array in arrays.items()} for kind, arrays in kept.items()},
                )
