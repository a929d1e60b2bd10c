"""`rex fit` and `delays=RUN`: what was measured comes back out of a new timeline; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from rexcli import pipeline
from rexcli.cli.main import main
from rexcli.config.build import build_system
from rexcli.config.compose import compose, config_yaml
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView, find_run
from rexcli.timeline.arrays import to_arrays

TRUE = [
    "nodes.eye.delay={_target_: rexcli.LogNormal, loc: -4.5, scale: 0.4}",
    "edges.eye_brain.delay={_target_: rexcli.Correlated, correlation: 0.8, delay: {_target_: rexcli.Gamma, "
    "concentration: 3, rate: 400}}",
]


def simulated(project: Project, *overrides: str, seconds: float = 200.0, command: str = "record"):
    """A run with the timeline of the toy system."""
    experiment = compose("toy", overrides, project=project)
    timeline = pipeline.simulate(build_system(experiment, project), seed=experiment.seed, seconds=seconds)
    make = Run.create(
        project.outputs, "toy", command, argv=(), seed=3, config_yaml=config_yaml(experiment), project=project.root
    )
    with make as run:
        run.write_arrays("timeline.npz", to_arrays(timeline))
    return timeline, RunView(run.path)


def fitted(project: Project, capsys: pytest.CaptureFixture[str], *words: str) -> RunView:
    assert main(["fit", *words]) == 0
    capsys.readouterr()
    return find_run("latest:fit", project.outputs)


def test_what_was_measured_comes_back(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    first, source = simulated(toy, *TRUE)
    run = fitted(toy, capsys, "latest:record")
    assert {"delays.yaml", "fit.csv", "timeline.npz", "delays.npz"} <= {path.name for path in run.path.iterdir()}
    assert (run.path / "plots" / "delays.png").is_file()
    assert [Path(parent).name for parent in run.json("run.json")["parents"]] == [source.path.name]
    declared = yaml.safe_load((run.path / "delays.yaml").read_text())
    assert declared["nodes"]["eye"]["delay"]["_target_"] == "rexcli.LogNormal"
    assert declared["edges"]["brain_eye"]["delay"] == 0.004
    assert declared["edges"]["eye_brain"]["delay"]["correlation"] == pytest.approx(0.8, abs=0.05)
    again, _ = simulated(toy, "delays=latest:fit", "seed=8")
    for times in (lambda t: t.steps["eye"].end - t.steps["eye"].start, _transmission):
        one, two = times(first).ravel() / 1e9, times(again).ravel() / 1e9
        assert two.mean() == pytest.approx(one.mean(), rel=0.1)
        assert np.quantile(two, 0.9) == pytest.approx(np.quantile(one, 0.9), rel=0.1)
    before, after = (np.corrcoef(d[:-1], d[1:])[0, 1] for d in (_transmission(t)[0] for t in (first, again)))
    assert after == pytest.approx(before, abs=0.1)


def _transmission(timeline):
    return timeline.messages["eye_brain"].arrive - timeline.steps["eye"].end


@pytest.mark.slow
def test_a_typed_delay_stays_and_the_run_names_its_source(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    simulated(toy, seconds=30.0)
    run = fitted(toy, capsys, "latest:record", "fit.families=[gamma]")
    experiment = compose("toy", ["delays=latest:fit", "nodes.eye.delay=0.02"], project=toy)
    assert experiment.nodes["eye"].delay == 0.02
    assert experiment.edges["brain_eye"].delay == 0.004
    assert experiment.delays == str(run.path)
    with Run.create(toy.outputs, "toy", "identify", argv=(), seed=3, config_yaml="{}\n", project=toy.root) as later:
        later.write_bytes("delays.yaml", b"edges: {brain_eye: {delay: 0.007}}\n")
    both = compose("toy", ["delays=[latest:fit,latest:identify]"], project=toy)
    assert both.delays == [str(run.path), str(later.path)]
    assert both.edges["brain_eye"].delay == 0.007
    assert both.nodes["eye"].delay["_target_"] == "rexcli.Gamma"
    assert compose("toy", ["delays=[latest:identify,latest:fit]"], project=toy).edges["brain_eye"].delay == 0.004
    assert yaml.safe_load((run.path / "delays.yaml").read_text())["nodes"]["eye"]["delay"]["_target_"] == "rexcli.Gamma"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodes: {arm: {delay: 0.1}}", "its delays are of arm; this experiment has no node or edge of these"),
        ("nodes: {eye: {delay: {_target_: os.system, command: 1}}}", "os.system is no delay or loss of rexcli"),
        ("nodes: {eye: {delay: {_target_: rexcli.Gamma, rate: many}}}", "'many' is no number"),
        ("nodes: {eye: {rate: 100}}", "holds something else than delay"),
        ("[1, 2]", "something else than nodes and edges"),
        ("nodes: {eye: [}", "make it again with `rex fit`"),
    ],
)
def test_a_strangers_fragment_is_checked(
    toy: Project, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    _, run = simulated(toy, seconds=5.0)
    (run.path / "delays.yaml").write_text(text)
    with pytest.raises(RexError, match=message):
        compose("toy", [f"delays={run.path}"], project=toy)


def test_what_cannot_be_fitted_is_one_line(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "latest:record"]) == 2
    simulated(toy, seconds=5.0)
    assert main(["fit", "latest:record", "fit.families=[normal]"]) == 2
    with pytest.raises(RexError, match=r"no run .*delays\.yaml|has no"):
        compose("toy", ["delays=latest:record"], project=toy)
    error = capsys.readouterr().err
    assert "fit.families" in error
    assert "Traceback" not in error
