"""Several loggers as one: none of them costs a training, and one that cannot start ends it before it begins."""

from __future__ import annotations

import pytest

from rexcli.errors import RexError
from rexcli.rl.loggers import LoggedRun, Logger, Loggers
from rexcli.rl.train import Progress
from tests.rl.loggers.told import logged, progress


class Failing(Logger):
    """Fails where it is told to."""

    def __init__(self, where: str):
        self.where, self.seen = where, 0

    def start(self, run: LoggedRun) -> None:
        self._fail("start")

    def log(self, progress: Progress) -> None:
        self.seen += 1
        self._fail("log")

    def finish(self, status: str) -> None:
        self._fail("finish")

    def _fail(self, where: str) -> None:
        if self.where == where:
            raise OSError("gone")


@pytest.mark.parametrize(("where", "seen"), [("log", 1), ("finish", 2)])
def test_a_logger_that_fails_is_given_up_and_the_others_go_on(tmp_path, where, seen):
    failing, good, said, registered = Failing(where), Failing("never"), [], []
    chosen = {"bad": failing, "good": good}
    with Loggers(logged(tmp_path), chosen, register=registered.append, note=said.append, warn=said.append) as log:
        log.log(progress(1))
        log.log(progress(2))
    assert (failing.seen, good.seen) == (seen, 2)
    assert len(said) == 1
    assert said[0].startswith("loggers.bad: OSError: gone")
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 5
    assert "metrics.csv" in registered


def test_a_logger_that_cannot_start_ends_the_training_before_it_begins(tmp_path):
    def quiet(text: str) -> None:
        pass

    with (
        pytest.raises(RexError, match=r"loggers\.bad: OSError: gone"),
        Loggers(logged(tmp_path), {"bad": Failing("start")}, register=quiet, note=quiet, warn=quiet),
    ):
        pytest.fail("it must not come so far")
