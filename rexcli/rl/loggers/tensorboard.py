"""Logs to TensorBoard: one event file per seed, so that curves of several seeds are overlaid."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rexcli.errors import RexError
from rexcli.rl.loggers.logger import LoggedRun, Logger

if TYPE_CHECKING:
    from rexcli.rl.train import Progress

FOLDER = "tensorboard"


class TensorBoard(Logger):
    """Writes `tensorboard/seed_<number>/` in the run's folder, over environment steps.

    A resumed training adds a file that replaces the numbers logged after its last checkpoint.

    Raises:
        RexError: if tensorboardX is not installed.
    """

    def __init__(self) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise RexError("this needs tensorboardX: pip install 'rexcli[tensorboard]'") from None
        self._open = SummaryWriter
        self._folder = Path()
        self._writers: list[Any] = []

    def start(self, run: LoggedRun) -> str:
        self._folder = run.path / FOLDER
        # of two files of one second the later one would take the place of the earlier
        again = {"purge_step": run.timesteps + 1, "filename_suffix": f".{run.updates}"} if run.updates else {}
        self._writers = [
            self._open(str(self._folder / f"seed_{seed}"), write_to_disk=True, **again) for seed in range(run.seeds)
        ]
        if not run.updates:
            text = json.dumps(dict(run.config), indent=2, default=str).replace("\n", "\n    ")
            self._writers[0].add_text("config", f"    {text}", 0)
        return f"tensorboard --logdir {self._folder}"

    def log(self, progress: Progress) -> None:
        for seed, writer in enumerate(self._writers):
            for name, values in progress.metrics.items():
                if math.isfinite(value := float(values[seed])):
                    writer.add_scalar(name, value, progress.timesteps)
            writer.flush()

    def finish(self, status: str) -> None:
        for writer in self._writers:
            writer.close()

    def artifacts(self) -> list[str]:
        return [FOLDER] if self._folder.is_dir() else []
