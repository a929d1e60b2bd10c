"""What C++ writes is kept back while processes are connected, and says who is gone."""

from __future__ import annotations

import os
import sys

import pytest

from rexcli.rl.captured_stderr import CapturedStderr


@pytest.fixture(autouse=True)
def _signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of SIGABRT is that of the tests."""
    monkeypatch.setattr(CapturedStderr, "_on_abort", staticmethod(lambda handler: None))


def test_what_python_says_goes_on_and_what_was_kept_back_comes_out_at_the_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.fdopen(2, "w", buffering=1, closefd=False)
    monkeypatch.setattr(sys, "stderr", before)
    with CapturedStderr() as captured:
        os.write(2, b"of C++\n")
        print("of Python", file=sys.stderr)
        assert capfd.readouterr().err == "of Python\n"
        captured.close()
        assert sys.stderr is before
        assert capfd.readouterr().err == "of C++\n"
        os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


def test_one_that_is_to_stay_is_left_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    with CapturedStderr() as captured:
        captured.stay()
    os.write(2, b"of C++\n")
    assert capfd.readouterr().err == ""
    captured._stays = False
    captured.close()
    assert capfd.readouterr().err == "of C++\n"


@pytest.mark.parametrize(
    ("index", "written", "who"),
    [
        (None, "", "another process is gone"),
        (0, "a trace\n", "another process is gone"),
        (2, "a trace\n", "process 0 is gone"),
        (0, "(which stopped sending heartbeats):\n/job:worker/task:3\n/job:worker/task:12\nof 7\n", "process 3, 12 is"),
        (2, "(which stopped sending heartbeats):\n/job:worker/task:0\n", "process 0 is gone"),
    ],
)
def test_who_is_gone_is_told_as_far_as_it_is_known(index: int | None, written: str, who: str) -> None:
    with CapturedStderr() as captured:
        if index is not None:
            captured.expect(index)
        os.write(2, written.encode())
        said = captured.lost()
    assert said.startswith(who)
    assert "rex train resume=RUN" in said
