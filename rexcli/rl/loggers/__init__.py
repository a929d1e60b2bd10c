"""Provides the loggers of a training's numbers: one module per logger, chosen in YAML, several at once.

loggers:
  tensorboard: {_target_: rexcli.rl.loggers.TensorBoard}
  mine: {_target_: nodes.mine.MyLogger}
"""

from rexcli.rl.loggers.csv import Csv
from rexcli.rl.loggers.logger import LoggedRun, Logger, mean_and_seeds
from rexcli.rl.loggers.several import Loggers
from rexcli.rl.loggers.tensorboard import TensorBoard
from rexcli.rl.loggers.wandb import WandB

__all__ = ["Csv", "LoggedRun", "Logger", "Loggers", "TensorBoard", "WandB", "mean_and_seeds"]
