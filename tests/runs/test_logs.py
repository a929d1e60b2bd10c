"""A run's log: what is said under `rex`, and Python's warnings, while the run is under way and not after."""

from __future__ import annotations

import logging
import warnings
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
