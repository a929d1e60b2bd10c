"""Graphs from the `supergraph` package's own generator, and what its search makes of them.

Runs in an interpreter that has `supergraph` 0.0.8, for `bench_supergraph --peer`. Reads cases as JSON, one a line, and
writes for each one line of JSON: every graph's steps and edges, and size, time and efficiency of the supergraph.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time


def measure(case: dict) -> dict:
    """Generates the graphs of `case` and searches their minimum common supergraph.

    Args:
        case: `rates` (Hz, by node), `edges` (pairs of nodes, own ones included), `seconds`, `sigma`, `episodes`,
            `backtrack`; the supervisor is node 0.
    """
    edges = {tuple(edge) for edge in case["edges"]}
    graphs = [
        evaluate.create_graph(case["rates"], edges, case["seconds"], seed=seed, sigma=case["sigma"])
        for seed in range(case["episodes"])
    ]
    pruned = [evaluate.prune_by_leaf(evaluate.prune_by_window(graph, 1), 0) for graph in graphs]
    answer = {"graphs": [export(graph, len(case["rates"])) for graph in graphs]}
    began = time.process_time()
    found, _, _ = supergraph.grow_supergraph(pruned, 0, backtrack=case["backtrack"], progress_bar=False)
    answer["search_seconds"] = time.process_time() - began
    matched = supergraph.evaluate_supergraph(pruned, found)
    answer["slots"] = len(found)
    answer["steps"] = sum(map(len, matched))
    answer["partitions"] = sum(kind == 0 for graph in pruned for _, kind in graph.nodes(data="kind"))
    return answer


def export(graph, size: int) -> dict:
    """Start times, s, by node, and `[source, tick, target, tick]` of every edge but those of a node to itself."""
    steps: list[dict[int, float]] = [{} for _ in range(size)]
    place = {}
    for name, data in graph.nodes(data=True):
        steps[data["kind"]][data["seq"]] = float(data["ts"])
        place[name] = (data["kind"], data["seq"])
    edges = [[*place[a], *place[b]] for a, b in graph.edges if place[a][0] != place[b][0]]
    return {"start": [[ticks[k] for k in sorted(ticks)] for ticks in steps], "edges": edges}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    with contextlib.redirect_stdout(sys.stderr):
        import supergraph
        from supergraph import evaluate

        for line in sys.stdin:
            answers.write(json.dumps(measure(json.loads(line))) + "\n")
            answers.flush()
