"""Which sweep `resume=SWEEP` continues, and that it is told what has changed since it was started."""

from __future__ import annotations

import pytest
from hydra._internal.config_repository import CachingConfigRepository

from rexcli.config.project import Project
from tests.sweep import sleeping_command
from tests.sweep.conftest import folder_of

UNFIT = [
    (["resume=latest", "seed=1,2"], "made with seed=1,13; leave out seed=1,2"),
    (["resume=latest", "seed=1,13", "ppo.lr=1e-3"], "leave out ppo.lr=1e-3"),
    (["resume=latest", "conf=child"], "made with no conf; leave out conf=child"),
    (["resume=latest:train"], "no sweep of 'train'"),
    (["resume=nosuch"], "no sweep is there"),
    (["resume=RUN"], "one run, not a sweep; leave out -m"),
    (["launcher=ray", "seed=1"], "launcher=ray needs: pip install 'rexcli[ray]'"),
    (["launcher=nosuch", "seed=1"], "known: basic, joblib, ray, slurm"),
]


def test_what_does_not_fit_is_refused(
    toy: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping_command.main(["seed=1,13"])
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in toy.outputs.rglob("*")}
    known = CachingConfigRepository.config_exists

    def without_ray(files: CachingConfigRepository, config_path: str) -> bool:
        return config_path != "hydra/launcher/ray" and known(files, config_path)

    monkeypatch.setattr(CachingConfigRepository, "config_exists", without_ray)
    for words, hint in UNFIT:
        assert sleeping_command.main([word.replace("RUN", str(folder_of(toy) / "0")) for word in words]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert hint in error
        assert {path: path.stat().st_mtime_ns for path in toy.outputs.rglob("*")} == before


@pytest.mark.slow
def test_a_changed_file_is_said(toy: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert sleeping_command.main(["seed=1,13"]) == 1
    (toy.conf / "ppo" / "quick.yaml").write_text("{lr: 2e-3, num_envs: 4}")
    assert sleeping_command.main(["resume=latest"]) == 1
    assert "changed since this sweep was started: ppo.lr 0.001 -> 0.002; done" in capsys.readouterr().err
