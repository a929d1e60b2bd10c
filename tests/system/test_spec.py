"""What is declared wrong is refused, with the key and the fix."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rexcli.errors import RexError
from tests.system.test_system import AB, A, B, Drawn, Plain, make


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": [(replace(A, rate=0.0), Drawn()), (B, Plain())]}, "nodes.a.rate=0"),
        ({"nodes": [(replace(A, rate=float("nan")), Drawn()), (B, Plain())]}, "nodes.a.rate=nan"),
        ({"nodes": [(A, Drawn()), (A, Plain())]}, "nodes.a is declared 2 times"),
        ({"nodes": [(replace(A, scheduling="fast"), Drawn()), (B, Plain())]}, "nodes.a.scheduling=fast"),
        ({"nodes": [(replace(A, expected_delay=-1.0), Drawn()), (B, Plain())]}, "nodes.a.expected_delay=-1"),
        ({"nodes": [(A, object()), (B, Plain())]}, "no step"),
        ({"edges": [replace(AB, target="c")]}, "edges.ab.to=c: no node is called 'c'"),
        ({"edges": [replace(AB, window=0)]}, "edges.ab.window=0"),
        ({"edges": [replace(AB, jitter="some")]}, "edges.ab.jitter=some"),
        ({"edges": [AB, replace(AB, name="other")]}, "edges.other.name=a: node 'b' has this input already, edges.ab"),
        ({"supervisor": "c"}, "supervisor=c: no node is called 'c'"),
        ({"init_order": ("bb",)}, "did you mean 'b'"),
    ],
)
def test_what_is_no_system_is_refused(change, message):
    with pytest.raises(RexError, match=message):
        make(**change)
