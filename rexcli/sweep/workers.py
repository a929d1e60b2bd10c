"""Starts processes that draw pictures for the jobs of a sweep, without importing JAX."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor


def start_workers(most: int) -> ProcessPoolExecutor:
    """Starts as many processes as cores, but no more than `most`; they ignore Ctrl-C, which the caller handles."""
    from rexcli.compiler.backend import cores  # which imports JAX; a worker, which imports this module, does not

    return ProcessPoolExecutor(min(most, cores()), multiprocessing.get_context("spawn"), _begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if logging.lastResort is not None:  # as in `rexcli.cli.main`, which a worker does not go through
        logging.getLogger("rex.plot").addHandler(logging.lastResort)
