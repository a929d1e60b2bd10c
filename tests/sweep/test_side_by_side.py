"""`launcher=vmap`: which jobs are trained together, how they end, and that each is what it would be alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from rexcli.cli import train
from rexcli.cli.main import main
from rexcli.config.project import Project
from rexcli.errors import RexError
from rexcli.rl import checkpoints
from rexcli.rl.train import Outcome, Training, TrainingRequest
from rexcli.runs.rundir import Run
from rexcli.runs.view import RunView
from rexcli.sweep import side_by_side
from rexcli.sweep.folder import collect
from tests.cli.conftest import SMALL_TRAINING
from tests.sweep import sleeping_command, training_command
from tests.sweep.conftest import statuses, table


class Trainer:
    """Makes up trainings, and keeps what was trained together: number of environments and learning rates."""

    def __init__(self) -> None:
        self.together: list[tuple[int, list[float]]] = []
        self.outcomes: dict[float, Outcome] = {}

    def __call__(self, requests: Sequence[TrainingRequest]) -> list[Outcome]:
        settings = [request.setup.experiment.ppo for request in requests]  # type: ignore[attr-defined]
        self.together.append((settings[0].num_envs, [each.lr for each in settings]))
        assert len({each.num_envs for each in settings}) == 1
        return [self.outcomes.get(each.lr, Training([], np.zeros(1, np.float32))) for each in settings]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    made = Trainer()
    monkeypatch.setattr(side_by_side, "train_together", made)
    return made


def test_jobs_of_one_program_are_trained_together_as_many_as_have_room(toy: Project, trainer: Trainer) -> None:
    assert training_command.main(["ppo.lr=0.1,0.2,0.3", "ppo.num_envs=4,8"]) == 0
    assert trainer.together == [(4, [0.1, 0.2]), (4, [0.3]), (8, [0.1, 0.2]), (8, [0.3])]
    assert statuses(toy) == ["done"] * 6
    assert [row["ppo.lr"] for row in table(toy)] == ["0.1", "0.1", "0.2", "0.2", "0.3", "0.3"]
    assert [row["elsewhere"] for row in table(toy)] == ["True"] * 4 + ["False"] * 2, "one alone needs no other process"


@pytest.mark.slow
def test_what_jobs_have_made_is_for_those_beside_them_alone(toy: Project, trainer: Trainer) -> None:
    assert training_command.main(["seed=1,2", "nodes.brain.rate=10,20", "hydra.launcher.n_jobs=1"]) == 0
    assert len(trainer.together) == 4
    assert [row["first"] for row in table(toy)] == ["1 at 10 Hz", "1 at 20 Hz"] * 2


@pytest.mark.slow
def test_a_failed_training_fails_its_job_alone(toy: Project, trainer: Trainer) -> None:
    trainer.outcomes[0.2] = RexError("not finite")
    assert training_command.main(["ppo.lr=0.1,0.2,0.3"]) == 1
    assert statuses(toy) == ["done", "failed", "done"]
    assert table(toy)[1]["error"] == "not finite"
    trainer.outcomes.clear()
    assert training_command.main(["resume=latest"]) == 0
    assert trainer.together == [(4, [0.1, 0.2]), (4, [0.3]), (4, [0.2])]


@pytest.mark.slow
def test_ctrl_c_interrupts_all_that_were_begun(toy: Project, trainer: Trainer) -> None:
    for rate in (0.1, 0.2):
        trainer.outcomes[rate] = Training([], np.zeros(1, np.float32), interrupted=True)
    assert training_command.main(["ppo.lr=0.1,0.2", "ppo.num_envs=4,8"]) == 130
    assert statuses(toy) == ["interrupted", "waiting"] * 2
    trainer.outcomes.clear()
    assert training_command.main(["resume=latest"]) == 0
    assert statuses(toy) == ["done"] * 4


def test_ctrl_c_while_a_job_is_finished_interrupts_those_behind_it(toy: Project, trainer: Trainer) -> None:
    assert training_command.main([f"ppo.lr={training_command.GREEDY},0.3"]) == 130
    assert statuses(toy) == ["interrupted", "interrupted"]


def test_other_commands_run_one_after_another(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert sleeping_command.main(["seed=1,2", "launcher=vmap"]) == 0
    assert "rex nap has no training to make side by side: its jobs run one after another" in capsys.readouterr().err


def test_no_jobs_at_a_time_are_refused(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert training_command.main(["seed=1,2", "hydra.launcher.n_jobs=0"]) == 2
    assert "hydra.launcher.n_jobs=0: give 1 or more" in capsys.readouterr().err


def test_numbers_that_systems_declare_keep_no_jobs_apart() -> None:
    masses = [
        ["nodes.world.params.mass=0.1", "seed=1"],
        ["++nodes.world.params={mass: 0.2}"],
        ["edges.a_b.delay.value=0.03"],
    ]
    others = [["nodes.world.rate=50"], ["nodes.world.mass=0.1"]]
    assert list(side_by_side._by_program([masses[0], others[0], *masses[1:], others[1]])) == [[0, 2, 3], [1], [4]]


@pytest.mark.slow
def test_a_job_that_was_stopped_beside_others_ends_as_it_would_alone(
    toy: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C comes after the first evaluation of both, when one has written its checkpoint and the other writes it."""
    robot = toy.root / "robot"
    assert main(["init", str(robot), "--example", "pendulum", "-q"]) == 0
    monkeypatch.chdir(robot)

    def noted(run: Run, values: dict[str, Any], *_: object) -> partial[bool]:
        for each in values.items():
            run.add_result(*each)
        return partial(bool)

    monkeypatch.setattr(train, "draw", noted)
    monkeypatch.setattr(train, "drawing", noted)
    monkeypatch.setattr(train, "finish", lambda _, run, result, *__: noted(run, result.values) and result)
    saved = []

    def save(*given, plain=checkpoints.save):
        plain(*given)
        saved.append(given)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", save)
    assert main(["train", "-m", "nodes.world.params.mass=0.05,0.04", *SMALL_TRAINING, "launcher=vmap"]) == 130
    (folder,) = robot.glob("outputs/*/train/*")
    assert [row.status for row in collect(folder)] == ["interrupted", "interrupted"]
    assert main(["train", "-m", "resume=latest"]) == 0
    assert capfd.readouterr().err.count("goes on from its checkpoint") == 2
    assert main(["train", "nodes.world.params.mass=0.04", *SMALL_TRAINING, "name=alone", "-q"]) == 0
    (alone,) = robot.glob("outputs/alone/train/*")
    for name in ("metrics.csv", "policy/weights.npz", "policies/0/weights.npz", "rollouts.npz"):
        assert (folder / "1" / name).read_bytes() == (alone / name).read_bytes(), name
    first, second, by_itself = (RunView(path).results for path in (folder / "0", folder / "1", alone))
    assert first["compile s"] == second["compile s"], "they were trained together"
    assert second["return of each seed"] == by_itself["return of each seed"] != first["return of each seed"]
