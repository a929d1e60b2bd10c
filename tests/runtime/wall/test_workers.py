"""A worker does one job after another in one thread, which nobody has to wait for."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from rexcli.runtime.wall.workers import Worker


def test_jobs_are_done_in_turn_by_one_thread_that_ends() -> None:
    worker, done = Worker("arm"), []

    def note(place: int) -> threading.Thread:
        done.append(place)
        return threading.current_thread()

    jobs = [worker.submit(partial(note, place)) for place in range(9)]
    assert worker.close(10.0)
    assert done == list(range(9))
    assert all(job.done for job in jobs)
    (thread,) = {job.result for job in jobs}
    assert (thread.name, thread.daemon, thread.is_alive()) == ("rex-arm", True, False)
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("raised", [ValueError("off"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_job_raises_is_kept_and_the_next_is_done(raised: BaseException) -> None:
    def fail() -> None:
        raise raised

    worker = Worker("arm")
    failed, after = worker.submit(fail), worker.submit(lambda: 7)
    assert after.wait(10.0)
    assert (failed.done, failed.error, failed.result) == (True, raised, None)
    assert (after.error, after.result) == (None, 7)
    assert worker.close(10.0)


def test_a_job_that_hangs_can_be_left_behind() -> None:
    let_go, worker = threading.Event(), Worker("arm")
    job = worker.submit(let_go.wait)
    assert not job.wait(0.01)
    assert not job.done
    assert not worker.close(0.01)
    let_go.set()
    assert job.wait(10.0)
    assert worker.close(10.0)
