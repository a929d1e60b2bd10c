"""`delays=RUN`: the delays that `rex fit` found in a recording, in place of the declared ones."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rexcli.config.key_origins import Origins
from rexcli.errors import RexError
from rexcli.runs.plain_yaml import load_yaml
from rexcli.runs.view import find_run

FILE = "delays.yaml"
SECTIONS = ("nodes", "edges")


def take_delays(plain: dict[str, Any], outputs: Path, origins: Origins) -> None:
    """Declares the delays of the run that the key `delays` names, if it names one, and keeps the run's folder there.

    A delay that was typed on the command line stays as it was typed.

    Args:
        plain: the composed experiment, changed in place.
        outputs: where runs are.
        origins: of its keys.

    Raises:
        RexError: there is no such run, it has no fitted delays, or of no node and edge of this experiment.
    """
    run = plain.get("delays")
    if run is None:
        return
    where = f"{origins.where('delays')}: delays={run}"
    if not isinstance(run, str):
        raise RexError(f"{where}: give a run of `rex fit`: a folder, latest:fit")
    view = find_run(run, outputs, having=(FILE,))
    try:
        fragment = load_yaml((view.path / FILE).read_bytes())
        _check(fragment)
    except (OSError, ValueError) as error:
        raise RexError(f"{view.path / FILE}: {error}; make it again with `rex fit`") from None
    for section in SECTIONS:
        for name in list(fragment.get(section, {})):
            if origins.typed(f"{section}.{name}.delay"):
                del fragment[section][name]
    declared = declare_delays(plain, fragment, where)
    plain.clear()
    plain.update(declared, delays=str(view.path))


def declare_delays(config: Mapping[str, Any], fragment: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A plain experiment with the delays of a fragment `{nodes: {NAME: {delay: …}}, edges: …}`; others stay.

    Raises:
        RexError: it has none of the fragment's nodes and edges.
    """
    changed = copy.deepcopy(dict(config))
    known = []
    for section in SECTIONS:
        for name, entry in fragment.get(section, {}).items():
            declared = changed.get(section)
            if not isinstance(declared, dict) or name not in declared:
                continue
            known.append(name)
            if isinstance(declared[name], dict):  # of anything else the check of the experiment has to say more
                declared[name]["delay"] = entry["delay"]
    if not known:
        names = ", ".join(name for section in SECTIONS for name in fragment.get(section, {}))
        raise RexError(f"{where}: its delays are of {names or 'nothing'}; this experiment has no node or edge of these")
    return changed


def _check(fragment: Any) -> None:
    """Refuses what `rex fit` does not write: a run may come from a stranger.

    Raises:
        ValueError: with the place.
    """
    if not isinstance(fragment, dict) or not set(fragment) <= set(SECTIONS):
        raise ValueError("it holds something else than nodes and edges")
    for section, entries in fragment.items():
        if not isinstance(entries, dict):
            raise ValueError(f"{section} is no mapping")
        for name, entry in entries.items():
            if not isinstance(name, str):
                raise ValueError(f"{section}: {name!r} is no name")
            if not isinstance(entry, dict) or set(entry) != {"delay"}:
                raise ValueError(f"{section}.{name} holds something else than a delay")
            _check_targets(entry["delay"], f"{section}.{name}.delay")


def _check_targets(value: Any, where: str) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if not isinstance(target, str) or not target.startswith("rexcli."):
            raise ValueError(f"{where}: {target} is no delay of rexcli")
        for key, item in value.items():
            if key != "_target_":
                _check_targets(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            _check_targets(item, where)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: {value!r} is no number")
