"""Reports what was measured in a log, what was inferred, and what looks wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rexcli.config.schema import Experiment
from rexcli.imports import mapping
from rexcli.imports.episode import Episode
from rexcli.imports.stamps import Log, described, unit_of
from rexcli.imports.topics import Topic
from rexcli.timeline.schedule import period
from rexcli.timeline.spec import SystemTiming

COLUMNS = ("of", "what", "how", "from")
"""Columns of the table that says what was measured and what was inferred."""

MEASURED, INFERRED, ABSENT = "measured", "inferred", "not in the log"

Row = tuple[str, str, str, str]


def complaints(log: Log, episodes: list[Episode]) -> Iterator[str]:
    """Yields what is odd in the log, one line each.

    Raises:
        RexError: most messages are odd, since the mapping is then wrong.
    """
    odd: dict[tuple[str, str], tuple[int, int, int]] = {}
    for episode in episodes:
        for place, (count, of, by) in episode.odd.items():
            before = odd.get(place, (0, 0, 0))
            odd[place] = before[0] + count, before[1] + of, max(before[2], by)
    for (key, what), (count, of, by) in odd.items():
        much = f", by up to {by / 1e6:.3g} ms" if by else ""
        line = f"{key}: {count} of {of} messages {what}{much}"
        if by and 2 * count > of and "before" in what:
            raise log.wrong(
                key, f"{line}: its stamps are of two clocks; name the one that is not the recorder's, clock: pc"
            )
        yield line
    for name, node in log.declared.nodes.items():
        rate = log.experiment.nodes[name].rate
        gaps = np.concatenate([np.diff(episode.nodes[name].start) for episode in episodes])
        if not len(gaps):
            continue
        usual = float(np.median(gaps))
        if usual > 0 and abs(usual * rate / 1e9 - 1) > 0.1:
            yield f"nodes.{name}.rate={rate:g}: in the log it is {1e9 / usual:.4g} Hz; from=RUN needs what the log has"
        long = gaps > 5 * max(usual, period(rate))
        if long.any():
            number = unit_of(int(long.sum()), "gap")
            yield f"nodes.{name}: {number} of over 5 periods, up to {gaps.max() / 1e9:.3g} s: are messages missing?"
        over = [episode.nodes[name].sent[:-1] > episode.nodes[name].start[1:] for episode in episodes]
        late = int(sum(each.sum() for each in over))
        if late:
            yield (
                f"nodes.{name}: {unit_of(late, 'step')} of {sum(map(len, over))} took longer than until the next one: "
                "a node is busy with one at a time, so what is longer counts into the delays of its edges"
            )
        topic = log.topics[node.topic]
        if topic.unused and node.capture is None:
            yield f"import.nodes.{name}: {topic.name} has header.stamp, unused; capture: header.stamp takes it"


def rows(log: Log, spec: SystemTiming, episodes: list[Episode]) -> Iterator[Row]:
    """Yields the rows of the table of what was measured and what was inferred."""
    inferred = episodes[0].inferred if episodes else {}
    for node in spec.nodes:
        declared, key = log.declared.nodes[node.name], f"nodes.{node.name}"
        topic = log.topics[declared.topic]
        for what, path in (("start", declared.capture), ("end", declared.send or "log")):
            how = inferred.get(f"{key}.{what}")
            said = _said(log, topic, str(path), declared.clock) if how is None else how
            yield node.name, f"step's {what}", MEASURED if how is None else INFERRED, said
    for edge in spec.edges:
        how = inferred.get(f"edges.{edge.name}.arrive")
        mapped = log.declared.edges.get(edge.name)
        if how is None and mapped is not None:
            sender, reader = log.ends(edge.name)
            topic = log.topics[mapping.edge_topic(mapped, sender)]
            yield edge.name, "arrival", MEASURED, _said(log, topic, str(mapped.receive), reader.clock)
        else:
            yield edge.name, "arrival", INFERRED, how or ""
        if mapped is not None and mapped.reader is not None:
            yield edge.name, "reader", MEASURED, f"{mapped.reader} of its messages"
        else:
            yield edge.name, "reader", INFERRED, "the first step that starts once it is there"
    for name, clock in log.clocks.items():
        given = f"offset {clock.offset / 1e9:.6f} s, drift {clock.drift * 1e6:.1f} µs/s, as declared"
        yield name, "clock", INFERRED if clock.messages else MEASURED, described(clock) if clock.messages else given


def absent(experiment: Experiment) -> Iterator[Row]:
    mapped = experiment.importing.nodes
    for name in experiment.nodes:
        if name not in mapped:
            yield name, "node", ABSENT, "from=RUN simulates it around the others"
            continue
        missing = [kind for kind in ("output", "state") if getattr(mapped[name], kind) is None]
        if missing:
            yield name, " and ".join(missing), ABSENT, "from=RUN takes times alone, and computes values anew"


def _said(log: Log, topic: Topic, path: str, clock: str | None) -> str:
    if path == "log":
        return f"{topic.log_is} of {topic.name}" + (", not a header stamp" if topic.log_is == "log time" else "")
    of = f"time of publishing of {topic.name}" if path == "publish" else f"{path} of {topic.name}"
    return of + (f", clock {clock}" if clock else "")
