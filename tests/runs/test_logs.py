"""A run's log: what is said under `rex`, and Python's warnings, while the run is under way and not after."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

from rexcli.runs.logs import log_to


def test_the_log_has_what_was_said_while_it_was_open(tmp_path: Path) -> None:
    path, logger = tmp_path / "log.txt", logging.getLogger("rex.nodes.log_test")
    with log_to(path), warnings.catch_warnings():
        warnings.simplefilter("always")
        logger.info("within")
        logger.debug("too small a thing")
        warnings.showwarning("careful", UserWarning, "file.py", 7)
    logger.warning("after")
    said = path.read_text()
    assert "INFO rex.nodes.log_test: within" in said
    assert "WARNING warnings: file.py:7: UserWarning: careful" in said
    assert "too small a thing" not in said
    assert "after" not in said


def test_of_logs_that_are_open_at_once_each_has_what_its_own_run_said(tmp_path: Path) -> None:
    """And all is as it was, whichever is closed first."""
    logger, shown = logging.getLogger("rex.nodes.log_test"), warnings.showwarning

    def job(name: str) -> Iterator[None]:
        with log_to(tmp_path / name):
            yield
            logger.info("said by %s", name)
            warnings.showwarning(f"beware of {name}", UserWarning, "file.py", 7)

    jobs = [(job(name), copy_context()) for name in ("first", "second")]
    for each, context in jobs:
        context.run(next, each)
    logger.info("said by nobody")
    for each, context in jobs:
        context.run(next, each, None)
    for name, other in (("first", "second"), ("second", "first")):
        text = (tmp_path / name).read_text()
        assert all(said in text for said in (f"said by {name}", f"beware of {name}", "said by nobody"))
        assert other not in text
    assert warnings.showwarning is shown
    assert logging.getLogger("rex").handlers == []
