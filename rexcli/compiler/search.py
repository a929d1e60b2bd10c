"""The search for a short template into which every tick of a timeline fits."""

from __future__ import annotations

from functools import cache
from itertools import islice, product

import numpy as np

from rexcli.compiler.bounds import spread
from rexcli.compiler.partition import Cuts
from rexcli.compiler.schedule import Fit, Scheduler
from rexcli.compiler.supergraph import Mode, Patterns, Rule, find_patterns, rules

LONG = 70
"""Slots above which one template has to do, and above half as many two, unless it is but one slot from the bound: to
shorten a long one takes long."""


MANY = 40_000
"""Cuts, of all episodes together, above which a template is sought for a quarter of so many first."""


def search(cuts: Cuts, mode: Mode) -> tuple[Fit | None, int]:
    """The shortest template that is found, and how many kinds of partition it was grown for.

    What fits a part of a long timeline mostly fits all of it: where it does and none can be shorter, that is all.

    Args:
        cuts: of a timeline.
        mode: how to grow templates, see `rules`.

    Returns:
        None in place of a template if steps wait for each other.
    """
    scheduler = Scheduler(cuts)
    if mode == "mcs" and cuts.length.size * cuts.started.shape[2] > MANY:
        found, num_patterns = search(cuts.part(MANY // 4), mode)
        if found is not None and len(found.template) == scheduler.fewest.sum():
            whole = scheduler.place(found.template)
            if whole is not None:
                return whole, num_patterns
    fewest = scheduler.fewest
    running = np.flatnonzero(fewest).tolist()

    @cache
    def patterns(even: bool) -> Patterns:
        return find_patterns(cuts, spread(cuts, fewest) if even else cuts.required)

    def grown(rule: Rule, even: bool, most: int | None = None) -> list[int]:
        template = list(islice(rule(patterns(even)), most))
        return template + [node for node in running if node not in template]

    if mode != "mcs":
        return scheduler.place(grown(rules(mode)[0], True)), len(patterns(True).weight)
    fits: list[Fit] = []
    for even, rule in product((False, True), rules("mcs")):
        found = scheduler.shorten(grown(rule, even))
        if found is None:
            return None, len(patterns(even).weight)
        fits.append(found)
        best = min(fits, key=lambda fit: len(fit.template))
        over = len(best.template) - int(fewest.sum())
        if over == 0:
            return best, len(patterns(even).weight)
        if over > 1 and len(best.template) * len(fits) > LONG:
            break
    for rule in (*rules("generational"), *rules("topological")):  # so that no other mode is ever shorter
        template = grown(rule, True, most=len(best.template))
        if len(template) < len(best.template):
            best = scheduler.shorten(template) or best
    return best, len(patterns(True).weight)
