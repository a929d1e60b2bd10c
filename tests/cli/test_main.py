"""What a person types: exit codes, one line for a mistake, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rexcli.cli import main as main_module
from rexcli.cli.main import main
from rexcli.config.project import Project


def files(project: Project) -> set[Path]:
    return {path for path in project.root.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["show", "conf=nosuch"], ["conf=nosuch", "toy"]),
        (["show", "ppo.lrr=1"], ["ppo.lrr", "did you mean 'lr'?"]),
        (["show", "nodes.brain.rate=-1"], ["nodes.brain.rate=-1", "positive"]),
        (["show", "edges.eye_brain.to=brian"], ["edges.eye_brain.to=brian", "did you mean 'brain'?"]),
        (["show", "edges.brain_eye.skip=false"], ["eye -> brain -> eye", "skip: true"]),
        (["show", "nodes.eye.delay=nan"], ["nodes.eye.delay=nan"]),
        (["show", "nodes.eye.gian=1"], ["nodes.eye.gian", "did you mean 'gain'?"]),
        (["show", "nodes.eye._target_=os.system"], ["nodes.eye._target_=os.system", "trusted"]),
        (["show", "conf=toy", "conf=child"], ["conf=toy,child", "one experiment"]),
        (["show", "--nosuch"], ["--nosuch"]),
        (["show", "--cfg", "jobs"], ["--cfg jobs", "job, hydra or all"]),
        (["show", "--info", "everything"], ["--info everything", "defaults-tree"]),
        (["show", "--config-dir", "nosuch"], ["--config-dir nosuch"]),
        (["show", "-m", "nodes.brain.rate=10,-1"], ["nodes.brain.rate=-1", "positive"]),
        (["show", "-m", "ppo.lrr=1,2"], ["ppo.lrr", "did you mean 'lr'?"]),
        (["shwo"], ["shwo"]),
        (["export", "nosuch"], ["nosuch", "rex ls"]),
        (["export", "latest", "--to", "cvs"], ["--to cvs", "did you mean 'csv'?"]),
        (["ls", "nosuch"], ["nosuch"]),
        (["init", "."], ["is there already"]),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    toy: Project, capsys: pytest.CaptureFixture[str], argv: list[str], parts: list[str]
) -> None:
    before = files(toy)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    assert files(toy) == before


def test_show_prints_the_system(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(toy)
    assert main(["show", "conf=toy", "nodes.brain.rate=12.5"]) == 0
    out, err = capsys.readouterr()
    for word in ("toy", "Eye", "12.5", "Normal(loc=0.01, scale=0.001)", "eye_brain", "skip"):
        assert word in out
    assert "\x1b" not in out
    assert err == ""
    assert files(toy) == before


BURSTS = "{_target_:rexcli.Regimes,delays:[0.0,1.5],transitions:[[0.9,0.1],[0.1,0.9]]}"


@pytest.mark.parametrize(
    ("overrides", "warning"),
    [
        (["nodes.brain.delay=0.15"], "node 'brain' cannot keep 10 Hz: its mean computation delay is 150 ms"),
        (["nodes.eye.delay={_target_:distrax.Normal,loc:0.045,scale:0.01}"], "node 'eye' is late now and then"),
        (["nodes.eye.rate=10", "edges.eye_brain.window=1", f"edges.eye_brain.delay={BURSTS}"], "are never read"),
        (["edges.eye_brain.delay=100", "edges.eye_brain.expected_delay=0"], "nothing arrives"),
        (["edges.eye_brain.expected_delay=0", "edges.eye_brain.delay=0.07"], "read later than expected"),
        (["~edges.eye_brain"], "supervisor 'brain' reads nothing"),
        (["+nodes.arm={_target_:nodes.toy.Brain,rate:5}"], "node 'arm' has no edge"),
    ],
)
def test_show_says_what_looks_wrong(
    toy: Project, capsys: pytest.CaptureFixture[str], overrides: list[str], warning: str
) -> None:
    assert main(["show", "conf=toy", *overrides]) == 0
    assert warning in capsys.readouterr().err


def test_a_fast_sensor_and_a_slow_reader_are_nothing_wrong(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "conf=toy", "nodes.eye.rate=100", "nodes.eye.delay=0.001", "edges.eye_brain.window=1"]) == 0
    said = capsys.readouterr()
    assert "90%" in said.out
    assert said.err == ""


def test_show_finds_nothing_wrong_with_the_pendulum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "conf=pendulum"]) == 0
    assert capsys.readouterr().err == ""


def test_json_is_one_object(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json", "nodes.brain.delay=0.15"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["experiment"], said["run"]) == ("show", "toy", None)
    assert [row["node"] for row in said["tables"]["nodes"]] == ["eye", "brain"]
    assert any("cannot keep" in warning for warning in said["warnings"])


def test_quiet_says_nothing(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "seed=1", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_hydras_own_flags_pass_through(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(toy)
    assert main(["show", "--cfg", "job", "-p", "ppo", "ppo.lr=0.5"]) == 0
    assert capsys.readouterr().out == "# @package ppo\nlr: 0.5\nnum_envs: 4\n"
    assert main(["show", "--info", "conf=toy"]) == 0
    assert "Config search path" in capsys.readouterr().out
    assert main(["show", "--info", "defaults-tree"]) == 0
    assert "toy" in capsys.readouterr().out
    assert main(["show", "--config-name", "child", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["experiment"] == "child"
    assert files(toy) == before


def test_errors_of_node_code_are_one_line_with_the_place(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = toy.root / "nodes" / "toy.py"
    nodes.write_text(nodes.read_text() + "\n\nclass Slow(Brain):\n    def default_delay(self):\n        return 1 / 0\n")
    assert main(["show", "nodes.brain._target_=nodes.toy.Slow"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ZeroDivisionError: division by zero (nodes/toy.py:")
    assert "Traceback" not in err


def test_tracebacks_for_developers(
    toy: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REX_TRACEBACK", "1")
    assert main(["show", "nodes.brain.rate=-1"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_init_starts_a_project_that_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", str(tmp_path / "robot"), "--example", "pendulum"]
    assert main(words) == 0
    assert "conf/pendulum.yaml" in capsys.readouterr().out
    assert (tmp_path / "robot" / "nodes" / "pendulum" / "world.py").is_file()
    assert main(words) == 2
    assert main(["init", str(tmp_path / "arm"), "--example", "pendulun"]) == 2
    assert "did you mean 'pendulum'?" in capsys.readouterr().err


def test_without_arguments_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage" in capsys.readouterr().out


def test_help_says_all_that_it_should_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """Rich takes brackets for its own, and newer versions of Typer show the type of a flag."""
    assert main(["fit", "--help"]) == 0
    said = capsys.readouterr().out
    assert "fit.families=[gamma,mixture]." in said
    assert re.search(r"\[OPTIONS\] (RUN|\{RUN\}) \[KEY=VALUE\]", said)
    assert "bool" not in said


def test_help_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


@pytest.mark.parametrize("argv", [["--help"], ["show", "--help"], ["export", "--help"]])
def test_help_needs_neither_jax_nor_hydra(argv: list[str]) -> None:
    code = (
        "import sys; from rexcli.cli.main import main\n"
        f"code = main({argv})\n"
        "sys.exit(code or any(name in sys.modules for name in ('jax', 'hydra', 'numpy', 'omegaconf')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    assert run.returncode == 0
    assert b"Usage" in run.stdout


@pytest.mark.parametrize("words", [["--help"], ["ls"], ["show", "latest"], ["ls", "--columns", "all", "--quiet"]])
def test_what_is_typed_all_day_imports_nothing_heavy(words, tmp_path):
    code = f"import sys; from rexcli.cli.main import main; main({words!r}); print(*sys.modules, file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stderr.split())
    assert not loaded & {"pydantic", "rich", "yaml", "numpy", "jax", "hydra", "matplotlib"}


def test_only_the_command_that_is_typed_has_its_arguments_but_for_a_shell_that_completes(monkeypatch):
    def arguments(*words: str) -> dict[str, int]:
        command = main_module._command_for(words)
        return {name: len(each.params) for name, each in command.commands.items()}

    assert {name for name, count in arguments("--quiet", "ls").items() if count} == {"ls"}
    assert not any(arguments("--help").values())
    monkeypatch.setenv("_REX_COMPLETE", "complete_bash")
    assert all(arguments().values())


def test_words_and_flags_are_taken_as_they_are_typed(capsys):
    assert main(["ls", "--quiet", "1e5"]) == 2
    assert "1e5: there is no such folder" in capsys.readouterr().err
    assert main(["plot", "latest", "--episode", "x"]) == 2
    assert "--episode" in capsys.readouterr().err
