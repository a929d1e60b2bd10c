"""All loggers of a training as one."""

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
        run: what they log.
        chosen: by name, not started yet.
        register: is told each file and folder that they left in the run.
        note: is told what a person may want to know.
        warn: is told that a logger is given up.

    Raises:
        RexError: on entry, one of the chosen could not start.
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
        """Gives the numbers of an evaluation to all.

        Raises:
            WriteError: `metrics.csv` cannot be written. Of another logger, an error ends that logger alone.
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
        """Ends all: `done`, `interrupted` or `failed`. A training that is interrupted ends as others do, so the end of
        the block does not tell."""
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
        """A training of hours is not lost to a service that went away."""
        del self._started[name]
        self._warn(f"loggers.{name}: {_told(error)}; the training goes on without it")
        logger.info("loggers.%s", name, exc_info=True)


def _told(error: Exception) -> str:
    known = isinstance(error, RexError | WriteError)
    return str(error) if known else " ".join(f"{type(error).__name__}: {error}".split())
