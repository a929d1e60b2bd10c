"""Writes a timeline as the rows of two tables, `steps.csv` and `messages.csv`, whose columns are a stable interface."""

from __future__ import annotations

from collections.abc import Iterator

from rexcli.timeline.spec import NANOSECONDS, NEVER
from rexcli.timeline.timeline import Timeline

STEP_COLUMNS = ("episode", "node", "seq", "ts_start", "ts_end")
MESSAGE_COLUMNS = ("episode", "source", "target", "seq_out", "seq_in", "ts_sent", "ts_recv")

Row = tuple[int | str, ...]


def step_rows(timeline: Timeline) -> Iterator[Row]:
    """Yields the rows of `STEP_COLUMNS`, ordered by episode, node (as declared) and tick. `seconds` formats times."""
    for episode in range(timeline.num_episodes):
        for node in timeline.spec.nodes:
            steps = timeline.steps[node.name]
            count = steps.count[episode]
            times = zip(steps.start[episode, :count].tolist(), steps.end[episode, :count].tolist(), strict=True)
            for tick, (start, end) in enumerate(times):
                yield episode, node.name, tick, seconds(start), seconds(end)


def message_rows(timeline: Timeline) -> Iterator[Row]:
    """Yields the rows of `MESSAGE_COLUMNS`, ordered by episode, edge (as declared) and message.

    `seq_in` is -1 where no step reads the message, and `ts_recv` is empty where it did not arrive.
    """
    for episode in range(timeline.num_episodes):
        for edge in timeline.spec.edges:
            source, messages = timeline.steps[edge.source], timeline.messages[edge.name]
            count = source.count[episode]
            columns = (source.end, messages.arrive, messages.reader)
            values = zip(*(column[episode, :count].tolist() for column in columns), strict=True)
            for seq, (sent, arrive, reader) in enumerate(values):
                received = seconds(arrive) if arrive < NEVER else ""
                yield (
                    episode,
                    edge.source,
                    edge.target,
                    seq,
                    reader,
                    seconds(sent),
                    received,
                )


def seconds(time: int) -> str:
    """Formats nanoseconds as seconds with exactly 9 decimals."""
    sign = "-" if time < 0 else ""
    whole, rest = divmod(abs(time), NANOSECONDS)
    return f"{sign}{whole}.{rest:09d}"
