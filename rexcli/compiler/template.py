"""Third stage: searches for a short template into which every tick of a timeline fits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice, product

import numpy as np

from rexcli.compiler.dependencies import Dependencies, Patterns, find_dependencies, find_patterns, spread_out
from rexcli.compiler.template_fit import Template, TemplateFitter
from rexcli.compiler.template_rules import Mode, Rule, rules
from rexcli.errors import RexError
from rexcli.timeline.order import order

LONG = 70
"""If all templates tried so far have more slots than this together, no other rule is tried, because shortening long
templates takes long. A template that is only one slot longer than the lower bound is exempt."""


MANY = 40_000
"""If all episodes together have more cuts than this, a template is first searched for a quarter of this number."""


def find_template(dependencies: Dependencies, mode: Mode) -> Template:
    """Returns the shortest template that is found for a timeline.

    Args:
        dependencies: the dependencies of the timeline.
        mode: how to grow templates, see `rules`.

    Raises:
        RexError: if steps wait for each other; the message names them.
    """
    template = _search(dependencies, mode)
    if template is None:
        timeline = dependencies.cuts.timeline
        for episode in range(timeline.num_episodes):
            order(timeline, episode)  # names the steps that wait for each other
        raise RexError("the template does not fit its own timeline; please report this with the timeline")
    return template


def _search(dependencies: Dependencies, mode: Mode) -> Template | None:
    """Returns the shortest template that is found; None if steps wait for each other.

    A template that fits a part of a long timeline mostly fits all of it; if it does and cannot be shorter, the search
    ends.
    """
    fitter, cuts, fewest = TemplateFitter(dependencies), dependencies.cuts, dependencies.fewest
    if mode == "mcs" and cuts.length.size * cuts.started.shape[2] > MANY:
        found = _search(find_dependencies(cuts.part(MANY // 4)), mode)
        if found is not None and len(found.slots) == fewest.sum():
            whole = fitter.fit(found.slots)
            if whole is not None:
                return replace(whole, num_patterns=found.num_patterns)
    running = np.flatnonzero(fewest).tolist()

    @cache
    def patterns(even: bool) -> Patterns:
        return find_patterns(cuts, spread_out(cuts, fewest) if even else cuts.required)

    def grown(rule: Rule, even: bool, most: int | None = None) -> list[int]:
        template = list(islice(rule(patterns(even)), most))
        return template + [node for node in running if node not in template]

    def counted(template: Template | None, even: bool) -> Template | None:
        return template and replace(template, num_patterns=len(patterns(even).weight))

    if mode != "mcs":
        return counted(fitter.fit(grown(rules(mode)[0], True)), True)
    fitting: list[Template] = []
    for even, rule in product((False, True), rules("mcs")):
        short = fitter.shorten(grown(rule, even))
        if short is None:
            return None
        fitting.append(short)
        best = min(fitting, key=lambda template: len(template.slots))
        over = len(best.slots) - int(fewest.sum())
        if over == 0:
            return counted(best, even)
        if over > 1 and len(best.slots) * len(fitting) > LONG:
            break
    for rule in (*rules("generational"), *rules("topological")):  # so that no other mode is ever shorter
        template = grown(rule, True, most=len(best.slots))
        if len(template) < len(best.slots):
            best = fitter.shorten(template) or best
    return counted(best, True)
