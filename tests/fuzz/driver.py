"""A project to run cases in, and the process that runs them."""

from __future__ import annotations

import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.case import CANARY, SECONDS, Case, Outcome, problems

ROOT = Path(__file__).resolve().parents[2]

TRAINING = (
    "ppo.total_timesteps=1024",
    "ppo.num_envs=8",
    "ppo.num_steps=16",
    "ppo.num_seeds=1",
    "ppo.num_minibatches=2",
    "ppo.update_epochs=1",
    "ppo.num_evals=2",
    "ppo.num_eval_envs=2",
    "timeline.episodes=2",
    "timeline.steps=60",
    "eval.seconds=1.2",
    "eval.episodes=4",
)

SEEDS = {
    "record": ("record", "record.steps=8"),
    "compile": ("compile", "timeline.episodes=2", "timeline.steps=8"),
    "rollout": ("rollout", "timeline.episodes=2", "timeline.steps=8", "rollout.num=4"),
    "train": ("train", *TRAINING),
    "fit": ("fit", "latest:record"),
}
"""Command lines of the runs that are damaged."""

LOGS = (
    ("mcap", "record", "--to", "rosbag2"),
    ("sqlite3", "record", "--to", "rosbag2", "--storage", "sqlite3"),
    ("lerobot", "record", "--to", "lerobot"),
)
"""Of logs that are damaged: what each is called here, and the run and form of its `rex export`."""


class Worker:
    """The process of `tests.fuzz.worker`, started again when it dies or takes too long."""

    def __init__(self, project: Path):
        self.project = project
        self._process: subprocess.Popen[str] | None = None

    def ask(self, words: Sequence[str], reader: bool = False, seconds: float = 5 * SECONDS) -> Outcome:
        """Runs one command line, or a reader."""
        process = self._started()
        out, err = self.project.parent / "out.txt", self.project.parent / "err.txt"
        request = {"words": list(words), "reader": reader, "out": str(out), "err": str(err)}
        answer = None
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = self._answer(seconds)
        except OSError:
            pass
        texts = [path.read_text(errors="backslashreplace") if path.exists() else "" for path in (out, err)]
        if answer is None:
            self.stop()
            return Outcome(None, texts[0], texts[1], seconds, 0)
        return Outcome(answer["code"], texts[0], texts[1], answer["seconds"], answer["memory"])

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._answers.close()
            self._process = None

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            ours, theirs = os.pipe()
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "COLUMNS": "200"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", str(theirs)],
                cwd=self.project,
                env=environment,
                stdin=subprocess.PIPE,
                pass_fds=[theirs],
                text=True,
            )
            os.close(theirs)
            self._answers = os.fdopen(ours)
            if self._answer(120) is None:
                raise RuntimeError("the process of tests.fuzz.worker does not start")
        return self._process

    def _answer(self, seconds: float) -> dict | None:
        ready, _, _ = select.select([self._answers], [], [], seconds)
        line = self._answers.readline() if ready else ""
        return json.loads(line) if line else None


class Laboratory:
    """A project with runs of every command in it, in which cases run one after another.

    Attributes:
        seeds: by command, the files of its run.
        conf: the project's YAML files, by path in the project.
    """

    def __init__(self, folder: Path):
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        self.worker = Worker(self.project)
        self._must("init", ".", "--example", "pendulum")
        (self.project / "nodes" / "canary.py").write_text(
            f"from pathlib import Path\n\nPath({str(self.project / CANARY)!r}).touch()\n\n\nclass Canary:\n    pass\n"
        )
        (self.project / "outputs").mkdir()
        shutil.copy(Path(__file__).parent / "wide.yaml", self.project / "conf")
        if importlib.util.find_spec("mujoco") is not None:
            shutil.copy(ROOT / "conf" / "arm.yaml", self.project / "conf")
            shutil.copytree(ROOT / "nodes" / "arm", self.project / "nodes" / "arm")
        self.conf = self._files(self.project / "conf", "conf/")
        for name in self.experiments:
            self._must("show", f"conf={name}")
        self.seeds: dict[str, dict[str, bytes]] = {}
        self.kept: set[Path] = set()

    @property
    def experiments(self) -> list[str]:
        """Those in which mistakes are made."""
        return [name for name in ("pendulum", "wide", "arm") if f"conf/{name}.yaml" in self.conf]

    def make_runs(self) -> None:
        """One run of every command that leaves one, to be damaged later."""
        for command, words in SEEDS.items():
            self._must(*words, "name=seed", "--quiet")
            (run,) = (self.project / "outputs" / "seed" / command).iterdir()
            shutil.rmtree(run / "plots", ignore_errors=True)
            self.seeds[command] = self._files(run)
            self.kept.add(run)
        self.seeds["fit"]["params.yaml"] = self.seeds["fit"]["delays.yaml"]
        for name, *words in LOGS:
            self._must("export", f"latest:{words[0]}", *words[1:], "--out", name)
            self.seeds[name] = self._files(self.project / name)
            shutil.rmtree(self.project / name)
        saved = self.project / "outputs" / "seed" / "checkpoint"
        self._must("save", str(saved), reader=True)
        self.seeds["checkpoint"] = self._files(saved)
        self.kept.add(saved)
        self.worker.stop()  # a fresh process holds nothing of what the runs took

    def run(self, case: Case) -> tuple[Outcome, list[str]]:
        """How the program takes a case, and what is wrong with that. The project is then as it was."""
        try:
            for name, content in case.files.items():
                self._put(self.project / name, content)
            outcome = self.worker.ask(case.words, case.reader)
            return outcome, list(problems(case, outcome, self.project, self.kept))
        finally:
            self._clear(case)

    def _put(self, path: Path, content: bytes | None) -> None:
        if content is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def _clear(self, case: Case) -> None:
        for name in case.files:
            if name not in self.conf:
                (self.project / name).unlink(missing_ok=True)
        for name, content in self.conf.items():
            if name in case.files or not (self.project / name).exists():
                self._put(self.project / name, content)
        kept = {parent for run in self.kept for parent in (run, *run.parents)}
        outputs = self.project / "outputs"
        for folder in [outputs, *(path for path in kept if path.is_relative_to(outputs))]:
            for path in [] if folder in self.kept else list(folder.iterdir()):
                if path not in kept:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in self.project.iterdir():
            if path.name not in ("conf", "nodes", "outputs"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _must(self, *words: str, reader: bool = False) -> None:
        outcome = self.worker.ask(words, reader, seconds=300)
        if outcome.code != 0:
            raise RuntimeError(f"rex {' '.join(words)}: exit code {outcome.code}: {outcome.err}")

    def _files(self, folder: Path, prefix: str = "") -> dict[str, bytes]:
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {f"{prefix}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}

    def close(self) -> None:
        """Ends the process."""
        self.worker.stop()
