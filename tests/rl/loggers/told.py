"""What loggers are told of a training, and what a logger leaves of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rexcli.rl.loggers import LoggedRun, Logger
from rexcli.rl.train import Progress


def progress(update: int, seeds: int = 2) -> Progress:
    metrics = {
        "eval/return_mean": np.arange(seeds, dtype=np.float32) - 100 + update,
        "train/kl": np.full(seeds, 0.01 * update, np.float32),
        "train/grad_norm": np.full(seeds, np.nan, np.float32),
    }
    return Progress(update, 4, update, 100 * update, float(update), metrics)


def logged(path: Path, updates: int = 0) -> LoggedRun:
    return LoggedRun(path, "toy", 2, {"seed": 7, "ppo": {"lr": 1e-3}}, updates, 100 * updates)


def write(logger: Logger, path: Path, *updates: int, since: int = 0) -> list[str]:
    logger.start(logged(path, since))
    for update in updates:
        logger.log(progress(update))
    logger.finish("done")
    return list(logger.artifacts())
