"""Folders of runs that were damaged, or that a stranger made."""

from __future__ import annotations

import json
import random

import yaml

from tests.fuzz.case import Case
from tests.fuzz.configs import UNLIKELY
from tests.fuzz.driver import Laboratory
from tests.fuzz.mutations import changed_arrays, changed_bytes, changed_json, changed_tree

FOLDER = "outputs/fuzz"
NAMES = ("../x", "/etc/passwd", "a/../../b", "", "run.json", "a\0b", "C:\\x", ".rex-tmp-1", "x" * 70_000)


def make(rng: random.Random, laboratory: Laboratory) -> Case:
    """A run with one or two damaged files, and a command that reads it."""
    command = rng.choice(("record", "compile", "rollout", "train", "train", "fit"))
    files = dict(laboratory.seeds[command])
    candidates = [name for name in files if not name.startswith(("checkpoints/", "policies/", "policy/"))]
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([*candidates, "run.json", "config.yaml"])
        changed = damaged(rng, name, files.get(name, b""))
        if changed is None:
            files.pop(name, None)
        else:
            files[name] = changed
    folder = f"{FOLDER}/{command}/2026-01-01_00-00-00"
    kept = sorted(path.relative_to(laboratory.project).as_posix() for path in laboratory.kept)
    words, reads = _words(rng, folder, rng.choice([path for path in kept if not path.endswith("/checkpoint")]))
    placed = {f"{folder}/{name}": content for name, content in files.items()}
    names = (folder, "command line", "picture", "latest", "--sort", "metric", "outputs", "config.yaml")
    return Case("run", words, placed, names=names, reads=reads)


def damaged(rng: random.Random, name: str, content: bytes) -> bytes | None:
    """Another content for a file of a run; None where it is missing."""
    if rng.random() < 0.08:
        return None
    if name == "run.json" and rng.random() < 0.2:
        record = json.loads(content or b"{}")
        record["artifacts"] = [{"name": rng.choice(NAMES), "size": 1, "sha256": "0"}]
        return json.dumps(record).encode()
    if name.endswith(".json") and content:
        try:
            return changed_json(rng, content)
        except ValueError:
            return changed_bytes(rng, content)
    if name.endswith(".yaml") and content and rng.random() < 0.7:
        try:
            return yaml.safe_dump(changed_tree(rng, yaml.safe_load(content)), sort_keys=False).encode()
        except (yaml.YAMLError, UnicodeDecodeError):
            return changed_bytes(rng, content)
    if name.endswith(".npz") and content:
        try:
            return changed_arrays(rng, content)
        except Exception:  # it was damaged before
            return changed_bytes(rng, content)
    return changed_bytes(rng, content)


def _words(rng: random.Random, folder: str, other: str) -> tuple[tuple[str, ...], bool]:
    """A command line on this run, maybe beside another, and whether it only reads."""
    reading = [
        ("ls",),
        ("ls", FOLDER),
        ("ls", "--sort", "return mean"),
        ("ls", "--json"),
        ("ls", "status=done", "return mean>-1e9", "since=20d", "--columns", "all"),
        *(("export", folder, "--to", form) for form in ("csv", "npz", "parquet", "rosbag2", "lerobot")),
        ("show", folder),
        ("show", folder, "--json"),
        ("diff", folder, other),
        ("diff", other, folder, "--json"),
        ("report", folder),
        ("report", folder, other),
        ("fit", folder),
        ("plot", folder, rng.choice(("ages", "dataflow", "delays", "system", "trajectories"))),
        ("plot", folder, rng.choice(("training", "supergraph", "density", "lateness", "pendulum"))),
        ("plot", folder),
    ]
    if rng.random() < 0.85:
        return rng.choice(reading), True
    starting = [
        ("compile", f"from={folder}"),
        ("show", f"from={folder}"),
        ("eval", folder, UNLIKELY),
        ("train", f"resume={folder}", "ppo.lr=1"),
        ("identify", folder, "conf=pendulum", "identify.signals={sensor:{nothing:{}}}"),
        ("show", f"delays={folder}"),
        ("show", f"params={folder}"),
        ("show", f"randomize.posterior={folder}"),
        ("train", f"policy={folder}", "policy_seed=all", UNLIKELY),
    ]
    return rng.choice(starting), False
