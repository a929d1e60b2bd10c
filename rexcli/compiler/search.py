"""The search for a short template into which every tick of a timeline fits."""

from __future__ import annotations

from itertools import islice, product

import numpy as np

from rexcli.compiler.bounds import spread
from rexcli.compiler.partition import Cuts
from rexcli.compiler.schedule import Fit, Scheduler
from rexcli.compiler.supergraph import Mode, Patterns, Rule, find_patterns, rules

LONG = 70
"""Slots above which one template has to do, and above half as many two, unless it is but one slot from the bound: to
shorten a long one takes long."""


def search(cuts: Cuts, mode: Mode) -> tuple[Fit | None, int]:
    """The shortest template that is found, and how many kinds of partition it was grown for.

    Args:
        cuts: of a timeline.
        mode: how to grow templates, see `rules`.

    Returns:
        None in place of a template if steps wait for each other.
    """
    scheduler = Scheduler(cuts)
    fewest = scheduler.fewest
    patterns = find_patterns(cuts, spread(cuts, fewest))
    running = np.flatnonzero(fewest).tolist()

    def grown(rule: Rule, aim: Patterns, most: int | None = None) -> list[int]:
        template = list(islice(rule(aim), most))
        return template + [node for node in running if node not in template]

    if mode != "mcs":
        return scheduler.place(grown(rules(mode)[0], patterns)), len(patterns.weight)
    fits: list[Fit] = []
    for aim, rule in product((find_patterns(cuts, cuts.required), patterns), rules("mcs")):
        found = scheduler.shorten(grown(rule, aim))
        if found is None:
            return None, len(patterns.weight)
        fits.append(found)
        best = min(fits, key=lambda fit: len(fit.template))
        over = len(best.template) - int(fewest.sum())
        if over == 0:
            return best, len(patterns.weight)
        if over > 1 and len(best.template) * len(fits) > LONG:
            break
    for rule in (*rules("generational"), *rules("topological")):  # so that no other mode is ever shorter
        template = grown(rule, patterns, most=len(best.template))
        if len(template) < len(best.template):
            best = scheduler.shorten(template) or best
    return best, len(patterns.weight)
