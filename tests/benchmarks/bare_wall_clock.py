"""A loop that waits for its time and does nothing else, for `bench_wall_clock`: how late it is, nothing can help.

It waits as the wall clock's threads do, with their priority, in a process of its own. Prints `ready`, and at the end
one JSON object: the rate that it achieved, how late it was (p50, p99, max, ms), how many ticks it missed, and how
many started more than a period late.

    python -m tests.benchmarks.bare_wall_clock RATE SECONDS PRIORITY SPIN [frequency|phase]
"""

from __future__ import annotations

import json
import sys
from array import array

from rexcli.runtime.wall.realtime import WakeEvent, now, set_realtime, short_switch_interval


def loop(rate: float, seconds: float, spin: int, scheduling: str = "frequency") -> dict[str, object]:
    """Like a node of that rate and scheduling whose steps take no time."""
    period, ticks, event = 1e9 / rate, round(rate * seconds), WakeEvent()
    began = now() + 10**7
    late, shift, first, time = array("q"), 0, None, 0
    for tick in range(ticks):
        due = round(tick * period) + shift
        event.wait_until(began + due, spin)
        time = now() - began
        first = time if first is None else first
        late.append(time - due)
        if scheduling == "frequency":
            shift = max(shift, time - round((tick + 1) * period))
    ordered = sorted(late)
    return {
        "rate": (ticks - 1) / (time - (first or 0)) * 1e9,
        "late": [ordered[round(share * (ticks - 1))] / 1e6 for share in (0.5, 0.99, 1.0)],
        "missed": int(shift // period),
        "over": sum(ns > period for ns in late),
    }


def main() -> None:
    rate, seconds, priority, spin = map(float, sys.argv[1:5])
    with short_switch_interval():
        set_realtime(int(priority))
        print("ready", flush=True)
        print(json.dumps(loop(rate, seconds, round(spin * 1e9), *sys.argv[5:])), flush=True)


if __name__ == "__main__":
    main()
