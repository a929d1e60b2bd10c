from __future__ import annotations

import pytest

from rexcli.timeline.csv_rows import MESSAGE_COLUMNS, STEP_COLUMNS, message_rows, seconds, step_rows
from rexcli.timeline.spec import NEVER
from rexcli.timeline.timeline import Messages, Timeline
from tests.timeline.by_hand import edge, node, run, system

SPEC = system(node("a"), node("b"), edge("a", "b"), supervisor="b")


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (1_500_000_000, "1.500000000"),
        (-20_000_001, "-0.020000001"),
        (9_007_199_254_740_993, "9007199.254740993"),
    ],
)
def test_seconds_are_exact(time, text):
    """The last one is no float64."""
    assert seconds(time) == text


def test_rows_of_steps_and_messages():
    timeline = run(SPEC, steps=1, a=4, a__b=[3, 9], b=0.000001)
    assert STEP_COLUMNS == ("episode", "node", "seq", "ts_start", "ts_end")
    assert list(step_rows(timeline)) == [
        (0, "a", 0, "0.000000000", "0.004000000"),
        (0, "a", 1, "0.010000000", "0.014000000"),
        (0, "b", 0, "0.000000000", "0.000000001"),
        (0, "b", 1, "0.010000000", "0.010000001"),
    ]
    assert MESSAGE_COLUMNS == ("episode", "source", "target", "seq_out", "seq_in", "ts_sent", "ts_recv")
    assert list(message_rows(timeline)) == [
        (0, "a", "b", 0, 1, "0.004000000", "0.007000000"),
        (0, "a", "b", 1, -1, "0.014000000", "0.023000000"),
    ]


def test_a_message_that_never_arrived_has_no_time():
    timeline = run(SPEC, steps=1)
    messages = timeline.messages["a>b"]
    lost = messages.arrive.copy()
    lost[0, 1] = NEVER
    timeline = Timeline(timeline.spec, timeline.steps, {"a>b": Messages(lost, messages.reader)})
    assert [row[-1] for row in message_rows(timeline)] == ["0.000000000", ""]
