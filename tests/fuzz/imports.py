"""Logs of other programs that were damaged, and what says what is in them."""

from __future__ import annotations

import random

import yaml

from tests.fuzz.case import Case
from tests.fuzz.driver import Laboratory
from tests.fuzz.mutations import changed_bytes, changed_tree
from tests.fuzz.runs import damaged

LOG = "log.csv"
MAPPING = {
    "defaults": ["base", "_self_"],
    "name": "robot",
    "supervisor": "agent",
    "nodes": {
        "sensor": {"_target_": "nodes.robot.Sensor", "rate": 50},
        "agent": {"_target_": "nodes.robot.Agent", "rate": 50, "delay": 0.004},
    },
    "edges": {"sensor_agent": {"from": "sensor", "to": "agent", "window": 2, "blocking": True}},
    "import": {
        "nodes": {
            "sensor": {"topic": "log", "capture": "stamp", "output": {"th": "angle"}, "unit": "s", "seq": "number"},
            "agent": {
                "topic": "log",
                "send": "stamp",
                "output": [{"field": "command", "dtype": "float32"}, "angle"],
                "clock": "robot",
            },
        },
        "edges": {
            "sensor_agent": {
                "receive": "stamp",
                "lag": {"command": "agent.output[0]", "response": "sensor.th", "max": 0.1},
            }
        },
        "clocks": {"robot": {"offset": 0.001, "drift": 0.0}},
        "episode": "episode",
        "zero": [0, 500_000_000],
    },
}


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A table with a mapping, one of which is wrong; or a bag or data set that `rex export` wrote, damaged."""
    kinds = [name for name in ("mcap", "sqlite3", "lerobot") if name in laboratory.seeds]
    if rng.random() < 0.5:
        return _table(rng)
    kind = rng.choice(kinds)
    files = dict(laboratory.seeds[kind])
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(files))
        content = damaged(rng, name, files[name])
        if name.endswith(".yaml") and rng.random() < 0.7:
            content = yaml.safe_dump(changed_tree(rng, yaml.safe_load(files[name])), sort_keys=False).encode()
        if content is None and len(files) > 1:
            del files[name]
        else:
            files[name] = content or b""
    words = ["import", "log", *(["conf=pendulum"] if rng.random() < 0.2 or kind == "lerobot" else [])]
    placed: dict[str, bytes | None] = {f"log/{name}": content for name, content in files.items()}
    return Case("import", tuple(words), placed, names=("log", "import.", "conf/", "command line"))


def _table(rng: random.Random) -> Case:
    rows = [f"{number},{number // 10},{0.02 * number:.3f},{number % 3},{0.1 * number}" for number in range(20)]
    log = "\n".join(["number,episode,stamp,command,angle", *rows]).encode()
    mapping = yaml.safe_dump(MAPPING, sort_keys=False).encode()
    if rng.random() < 0.3:
        log = changed_bytes(rng, log)
    else:
        mapping = yaml.safe_dump(changed_tree(rng, MAPPING), sort_keys=False).encode()
    files: dict[str, bytes | None] = {LOG: log, "conf/robot.yaml": mapping}
    return Case("import", ("import", LOG, "conf=robot"), files, names=(LOG, "conf/", "import."))
