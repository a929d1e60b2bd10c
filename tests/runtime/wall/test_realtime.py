"""Waiting: not too short, not much too long, and woken by an event; priorities go back to what they were."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from contextlib import suppress

import jax
import jax.numpy as jnp
import pytest

from rexcli.runtime.wall.realtime import WakeEvent, now, process_priority, short_switch_interval, why_no_priority


@pytest.mark.parametrize("spin", [0, 200_000])
def test_a_wait_ends_when_it_is_due(spin: int) -> None:
    for _ in range(20):
        due = now() + 3_000_000
        assert not WakeEvent().wait_until(due, spin)
        assert due <= now() < due + 500_000_000


def test_an_event_wakes_who_waits_and_is_kept_for_who_comes_later() -> None:
    event = WakeEvent()
    threading.Timer(0.05, event.set).start()
    began = time.monotonic()
    assert event.wait_until(now() + 10**10, 0)
    assert time.monotonic() - began < 5
    event.set()
    event.set()
    assert event.wait(0.0)
    assert not event.wait(0.0), "two rings while nobody waits are one"


def test_what_was_changed_for_real_time_is_changed_back() -> None:
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    gc.set_threshold(100_000, 10, 10)
    try:
        with short_switch_interval():
            assert sys.getswitchinterval() < interval
            assert gc.get_threshold()[0] < 1000
        assert sys.getswitchinterval() == interval
        assert gc.get_threshold()[0] == 100_000
    finally:
        gc.set_threshold(*threshold)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these priorities")
@pytest.mark.parametrize("turn", [1, 2])
def test_priorities_are_given_back(turn: int) -> None:
    with process_priority(5) as granted:
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        assert policy == (os.SCHED_RR if granted else os.SCHED_OTHER)
    assert os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    with process_priority(0) as granted:
        assert not granted


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these priorities")
def test_threads_that_python_does_not_know_come_along() -> None:
    def policies() -> dict[int, int]:
        found = {}
        for thread in map(int, os.listdir("/proc/self/task")):
            with suppress(ProcessLookupError):
                found[thread] = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
        return found

    jax.jit(lambda x: x @ x)(jnp.ones((300, 300))).block_until_ready()
    known = {thread.native_id for thread in threading.enumerate()}
    before = policies()
    assert before.keys() - known, "XLA has threads of its own"
    with process_priority(5) as granted:
        there = policies()
        if granted:
            assert {there[thread] for thread in before if thread in there} == {os.SCHED_RR}
    after = policies()
    assert {thread: after[thread] for thread in before if thread in after} == {
        thread: policy for thread, policy in before.items() if thread in after
    }


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these priorities")
def test_who_may_have_no_priority_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with process_priority(5) as granted:
        pass
    assert (why_no_priority(5) is None) == granted
    monkeypatch.setattr("rexcli.runtime.wall.realtime.set_priority", lambda thread, priority: False)
    assert why_no_priority(0) is None
    assert "wall.priority=5: this user may have no real-time priority here" in str(why_no_priority(5))
    assert "`ulimit -r` be 6 or more" in str(why_no_priority(5))
