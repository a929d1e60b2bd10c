"""Combines all loggers of a training to one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rexcli.errors import RexError, WriteError
from rexcli.rl.loggers.csv import Csv
from rexcli.rl.loggers.logger import LoggedRun, Logger

if TYPE_CHECKING:
    from rexcli.rl.train import Progress

logger = logging.getLogger("rex.train")


class Loggers:
    """`metrics.csv`, and the loggers that the experiment chose: a context manager around the training.

    Args:
        run: the run that they log.
        chosen: the chosen loggers by name, not started yet.
        register: called with each file and folder that they wrote in the run.
        note: called with messages to the user.
        warn: called with a message if a logger is ended by an error.

    Raises:
        RexError: on entry, if a chosen logger could not start.
    """

    def __init__(
        self,
        run: LoggedRun,
        chosen: Mapping[str, Logger],
        *,
        register: Callable[[str], None],
        note: Callable[[str], None],
        warn: Callable[[str], None],
    ):
        self._run, self._register, self._note, self._warn = run, register, note, warn
        self._csv = Csv()
        self._chosen = dict(chosen)
        self._started: dict[str, Logger] = {}

    def __enter__(self) -> Self:
        self._csv.start(self._run)
        try:
            for name, each in self._chosen.items():
                try:
                    said = each.start(self._run)
                except Exception as error:
                    raise RexError(f"loggers.{name}: {_told(error)}") from error
                self._started[name] = each
                if said:
                    self._note(f"{name}: {said}")
        except BaseException:
            self.finish("failed")
            raise
        return self

    def log(self, progress: Progress) -> None:
        """Passes the numbers of an evaluation to all loggers.

        Raises:
            WriteError: if `metrics.csv` cannot be written. An error of another logger only ends that logger.
        """
        self._csv.log(progress)
        self._register("metrics.csv")
        for name, each in list(self._started.items()):
            try:
                each.log(progress)
            except Exception as error:
                self._give_up(name, error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish("done" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "failed")

    def finish(self, status: str) -> None:
        """Closes all loggers: `done`, `interrupted` or `failed`. An interrupted training leaves the block normally, so
        the status cannot be found from that."""
        for name, each in list(self._started.items()):
            del self._started[name]
            try:
                each.finish(status)
                for artifact in each.artifacts():
                    self._register(artifact)
            except Exception as error:
                self._warn(f"loggers.{name}: {_told(error)}")
                logger.info("loggers.%s", name, exc_info=True)

    def _give_up(self, name: str, error: Exception) -> None:
        """Ends a logger after an error, so that a training of hours does not fail because of an unavailable service."""
        del self._started[name]
        self._warn(f"loggers.{name}: {_told(error)}; the training goes on without it")
        logger.info("loggers.%s", name, exc_info=True)


def _told(error: Exception) -> str:
    known = isinstance(error, RexError | WriteError)
    return str(error) if known else " ".join(f"{type(error).__name__}: {error}".split())
