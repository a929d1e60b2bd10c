"""Converts timelines and specs to plain arrays and JSON, the contents of `timeline.npz`, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from rexcli.errors import RexError
from rexcli.timeline.phases import check
from rexcli.timeline.spec import NEVER, EdgeTiming, NodeTiming, SystemTiming
from rexcli.timeline.timeline import Messages, Steps, Timeline, Times

VERSION = 1


def to_arrays(timeline: Timeline) -> dict[str, npt.NDArray[Any]]:
    """Returns arrays by name: `spec` (JSON), `steps/<node>/{start,end,count}`, `messages/<edge>/{arrive,reader}`."""
    arrays: dict[str, npt.NDArray[Any]] = {"spec": np.array(spec_to_json(timeline.spec))}
    for name, steps in timeline.steps.items():
        arrays[f"steps/{name}/start"] = steps.start
        arrays[f"steps/{name}/end"] = steps.end
        arrays[f"steps/{name}/count"] = steps.count
    for name, messages in timeline.messages.items():
        arrays[f"messages/{name}/arrive"] = messages.arrive
        arrays[f"messages/{name}/reader"] = messages.reader
    return arrays


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Timeline:
    """Restores the timeline from the arrays that `to_arrays` returns.

    Raises:
        RexError: if an array is missing, does not fit the others, or has indices out of their range.
    """
    if "spec" not in arrays:
        raise RexError("timeline: array 'spec' is missing; this file holds no timeline")
    spec = spec_from_json(str(arrays["spec"]))
    episodes = len(_integers(arrays, f"steps/{spec.supervisor}/count", None))
    steps: dict[str, Steps] = {}
    for node in spec.nodes:
        start = _integers(arrays, f"steps/{node.name}/start", (episodes, None))
        end = _integers(arrays, f"steps/{node.name}/end", start.shape)
        count = _integers(arrays, f"steps/{node.name}/count", (episodes,))
        _check_range(f"steps/{node.name}/count", count, 0, start.shape[1])
        steps[node.name] = Steps(start, end, count)
    messages: dict[str, Messages] = {}
    for edge in spec.edges:
        shape = steps[edge.source].start.shape
        arrive = _integers(arrays, f"messages/{edge.name}/arrive", shape)
        reader = _integers(arrays, f"messages/{edge.name}/reader", shape)
        _check_range(f"messages/{edge.name}/reader", reader, -1, steps[edge.target].start.shape[1] - 1)
        if ((reader >= 0) & (arrive >= NEVER)).any():
            raise RexError(
                f"timeline: array 'messages/{edge.name}/reader' has a message read that never arrives; record or "
                "compile it again"
            )
        messages[edge.name] = Messages(arrive, reader)
    return Timeline(spec, steps, messages)


def spec_to_json(spec: SystemTiming) -> str:
    """Returns a spec as one line of JSON."""
    return json.dumps({"version": VERSION, **asdict(spec)})


def spec_from_json(text: str) -> SystemTiming:
    """Returns the spec that `spec_to_json` wrote.

    Raises:
        RexError: if `text` is not a spec, or a spec of another version.
    """
    try:
        fields = json.loads(text)
        version = fields.pop("version")
        if version != VERSION:
            raise RexError(f"timeline: version {version} of the format; this rex reads version {VERSION}")
        spec = SystemTiming(
            nodes=tuple(NodeTiming(**node) for node in fields["nodes"]),
            edges=tuple(EdgeTiming(**edge) for edge in fields["edges"]),
            supervisor=fields["supervisor"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RexError(f"timeline: its spec cannot be read ({error!r}); record or compile it again") from None
    check(spec, recorded=[node.name for node in spec.nodes])
    return spec


def _check_range(name: str, array: Times, low: int, high: int) -> None:
    if array.size and (array.min() < low or array.max() > high):
        raise RexError(
            f"timeline: array '{name}' holds {array.min()} to {array.max()}, outside {low} to {high}; "
            "record or compile it again"
        )


def _integers(arrays: Mapping[str, npt.NDArray[Any]], name: str, shape: tuple[int | None, ...] | None) -> Times:
    if name not in arrays:
        raise RexError(f"timeline: array '{name}' is missing; record or compile it again")
    array = np.asarray(arrays[name])
    fits = shape is None or (
        array.ndim == len(shape)
        and all(want is None or size == want for size, want in zip(array.shape, shape, strict=True))
    )
    if not fits or array.dtype != np.int64:
        raise RexError(
            f"timeline: array '{name}' is {array.dtype}{list(array.shape)}, which does not fit the others; "
            "record or compile it again"
        )
    return array
