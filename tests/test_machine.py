"""What a process is given of the machine, and what it is spared."""

from __future__ import annotations

import gc
import os
from contextlib import suppress

import pytest

from rexcli.machine import GARBAGE, collecting_rarely, cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_cores_are_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)


def test_garbage_is_collected_rarely_only_in_the_block() -> None:
    before = gc.get_threshold()
    try:
        for given, meanwhile in ((700, GARBAGE), (0, 0), (2 * GARBAGE, 2 * GARBAGE)):
            gc.set_threshold(given, *before[1:])
            with suppress(ZeroDivisionError), collecting_rarely():
                assert gc.get_threshold() == (meanwhile, *before[1:])
                raise ZeroDivisionError
            assert gc.get_threshold() == (given, *before[1:])
    finally:
        gc.set_threshold(*before)
