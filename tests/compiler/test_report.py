"""What is said of a plan."""

from __future__ import annotations

from rexcli.compiler.plan import make_plan
from rexcli.compiler.report import describe
from tests.compiler.timelines import by_hand


def test_report_by_hand():
    report = describe(make_plan(by_hand()))
    assert report["slots"] == [
        {"node": "a", "run_share": 1.0, "after": []},
        {"node": "b", "run_share": 1.0, "after": [0]},
        {"node": "s", "run_share": 1.0, "after": [1]},
    ]
    assert report["efficiency"] == 1.0
    assert (report["episodes"], report["steps"], report["partitions"]) == (1, [2], 2)
    assert report["pruned"] == {"a": 1}
    assert report["usage"] == [[1, 1, 1], [1, 1, 1]]
