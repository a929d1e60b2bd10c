"""A cart's constants and its loop's delay come back from a recording; what a recording does not tell is said."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from rexcli import identification
from rexcli.cli.main import main
from rexcli.config.compose import compose
from rexcli.config.project import Project
from rexcli.runs.view import find_run
from tests.identify.conftest import LOOP, TRUE


def identified(project: Project, *words: str):
    """What Python finds; by name."""
    found = identification.identify(compose("model", ["from=latest:record", *words], project=project), project)
    return found, {each.name: each for each in found.estimates}


@pytest.mark.slow
def test_what_was_hidden_comes_back_with_verdicts(cart: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", "latest:record", "conf=model"]) == 0
    said = capsys.readouterr()
    run = find_run("latest:identify", cart.outputs)
    table = run.csv("estimates.csv")
    rows = {name: {key: table[key][i] for key in table} for i, name in enumerate(table["name"])}
    for name, true in TRUE.items():
        row = rows[f"world.{name}"]
        assert row["verdict"] == "identified"
        assert float(row["low"]) <= true <= float(row["high"])
        assert float(row["estimate"]) == pytest.approx(true, rel=0.05)
    loop = rows["sum of world_sensor and driver_world"]
    assert loop["verdict"] == "identified"
    assert float(loop["estimate"]) == pytest.approx(LOOP, abs=0.003)
    assert "only its sum with" in rows["edges.world_sensor.delay"]["verdict"]
    assert "do not depend on it" in rows["world.spare"]["verdict"]
    assert "world.spare: not identifiable" in " ".join(said.err.split() + said.out.split())
    assert run.results["held-out error"] < 0.05
    assert {"loss.png", "reproduced.png"} <= {path.name for path in (run.path / "plots").iterdir()}
    params = yaml.safe_load((run.path / "params.yaml").read_text())["nodes"]["world"]["params"]
    assert compose("model", ["params=latest:identify"], project=cart).nodes["world"].params == params
    delay = compose("model", ["delays=latest:identify"], project=cart).edges["driver_world"].delay
    assert delay["interpolation"] == "hold"
    signals = run.arrays("signals.npz")
    assert np.isfinite(signals["sensor.x/simulated"]).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["identify.signals.sensor.speed={}"], "identify.signals.sensor.speed: node 'sensor' did not send 'speed'"),
        (["identify.signals.hidden={x: {}}"], "identify.signals.hidden.x: node 'hidden' is not simulated"),
        (["identify.signals={world: {}}"], "identify.signals.world: it names no signal"),
        (["identify.signals.driver.u={}"], "node 'driver' did not send 'u'; what it sent has no name, so say path: ''"),
        (["identify.signals.sensor.stuck={}"], "is constant in the recording (3)"),
        (["identify.signals.sensor.blind={}"], "has no finite value of it"),
        (["identify.nodes.world.gian={low: 1, high: 2}"], "did you mean 'gain'"),
        (["identify.edges.sensor_world={low: 0, high: 1}"], "no edge is called 'sensor_world'"),
        (["identify.edges.driver_world.low=-0.1"], "a delay is 0 or more seconds"),
        (["identify.initial.world.y={from: sensor.x}"], "there is no single real number 'y'"),
        (["identify.initial.world.v={from: null, derivative: true, spread: 1.0}"], "derivative: of what"),
        (["identify.replay=[driver]"], "the supervisor, 'brain', is to be replayed"),
        pytest.param(["identify.held_out=0.9", "identify.segment=0.1"], "are too few", marks=pytest.mark.slow),
        (["identify.edges.driver_world.interpolation=latest"], "interpolation=latest has no slope"),
        (["identify.recordings=[latest:rollout]"], "no run of 'rollout' with recording.mcap"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    cart: Project, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["identify", "latest:record", "conf=model", *words]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_a_recording_is_needed(cart: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["identify", "conf=model"]) == 2
    assert "identify needs a recording" in capsys.readouterr().err


@pytest.mark.slow
def test_an_estimate_at_its_bound_is_none(cart: Project) -> None:
    _, rows = identified(cart, "identify.nodes.world.gain={low: 0.5, high: 2.0}")
    assert rows["world.gain"].verdict == "not identifiable: at its bound, high=2; widen it"


@pytest.mark.slow
def test_a_bare_array_is_a_signal_too(cart: Project) -> None:
    words = ["from=latest:record", "identify.signals.driver={u: {path: ''}}"]
    problem, *_ = identification.make_problem(compose("model", words, project=cart), cart)
    rows = problem.rows
    errors = problem.errors(problem.start()[None])[0][
        rows.signal == [s.name for s in problem.signals].index("driver.u")
    ]
    np.testing.assert_allclose(errors, 0, atol=1e-6)  # the recorded commands, sent again
    assert len(errors) > 200


def test_a_speed_that_no_sensor_shows_begins_with_a_slope(cart: Project) -> None:
    shown = ["from=latest:record", "identify.initial.world.v={from: sensor.v}"]
    sloped = ["from=latest:record", "identify.initial.world.v={from: sensor.x, derivative: true}"]
    true, found = (
        identification.make_problem(compose("model", words, project=cart), cart)[0].initial[1]
        for words in (shown, sloped)
    )
    assert found.spread == pytest.approx(true.spread, rel=0.2)
    np.testing.assert_allclose(found.base, true.base, atol=4 * 0.01 / 0.05)  # the noise of two positions a step apart


@pytest.mark.slow
def test_a_simulation_that_reproduces_nothing_identifies_nothing(
    cart: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["identify.nodes.world.gain={low: -3.0, high: -2.0}", "identify.refine=0"]
    assert main(["identify", "latest:record", "conf=model", *words]) == 0
    assert "standard deviations off the recorded signals, so nothing of it is written" in capsys.readouterr().err
    run = find_run("latest:identify", cart.outputs)
    assert run.results["identified"] == 0
    assert not any(run.has(name) for name in ("params.yaml", "delays.yaml"))
    assert main(["show", "conf=model", f"params={run.path}"]) == 2
    assert "this run of 'identify' has no params.yaml" in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_known_only_together_is_said(cart: Project) -> None:
    _, rows = identified(cart, "identify.nodes.world.mass={low: 0.2, high: 5.0}")
    for name in ("mass", "gain", "drag"):
        assert "not identifiable: only a combination with" in rows[f"world.{name}"].verdict


@pytest.mark.slow
def test_a_search_that_diverges_says_what_to_do(cart: Project, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["identify.nodes.world.drag={low: -2e4, high: -1e4}", "identify.segment=null"]
    assert main(["identify", "latest:record", "conf=model", *words]) == 1
    said = capsys.readouterr().err
    assert "the search diverged: no candidate's simulation stays finite; give narrower bounds" in said


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["CEM", "CMAES", "Gradient"])
def test_every_optimizer_finds_it(cart: Project, optimizer: str) -> None:
    if optimizer == "CMAES":
        pytest.importorskip("cma")
    found, rows = identified(cart, f"identify.optimizer={{_target_: rexcli.identify.{optimizer}}}")
    for name, true in TRUE.items():
        assert rows[f"world.{name}"].value == pytest.approx(true, rel=0.05)
    assert found.mean_error(held_out=True) < 0.05


@pytest.mark.slow
def test_a_world_too_coarse_for_its_delays_is_told(cart: Project) -> None:
    """The last test here: `latest:record` is another one from now on."""
    wires = ["edges.hidden_sensor.delay=0.001", "edges.driver_hidden.delay=0.001"]
    assert main(["record", "conf=robot", "record.seconds=8", *wires, "--quiet"]) == 0
    quick = find_run("latest:record", cart.outputs)
    experiment = compose("model", [f"from={quick.path}", "nodes.world.rate=20"], project=cart)
    rows = {each.name: each for each in identification.identify(experiment, cart).estimates}
    verdict = rows["sum of world_sensor and driver_world"].verdict
    assert verdict == "not identifiable: no shorter delay can act; simulate faster (nodes.world.rate)"
