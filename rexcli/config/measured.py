"""Replaces declared values by the results of `rex fit` and `rex identify`, for `delays=RUN` and `params=RUN`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rexcli.config.key_origins import Origins
from rexcli.errors import RexError
from rexcli.runs.plain_yaml import load_yaml
from rexcli.runs.view import find_run


@dataclass(frozen=True)
class Measured:
    """A kind of fragment, `{nodes: {NAME: {KEY: …}}, edges: …}`, that a run writes for later experiments.

    Attributes:
        key: the key of the experiment that names the run.
        file: the file of the run that has the fragment.
        makers: the commands that write it.
        sections: the sections of the experiment that it may have. Each key of a node or an edge has a function that
            raises a ValueError, with the place, for values that those commands do not write, since a run may come from
            a stranger.
    """

    key: str
    file: str
    makers: str
    sections: Mapping[str, Mapping[str, Callable[[Any, str], None]]]

    def take(self, plain: dict[str, Any], outputs: Path, origins: Origins) -> None:
        """Declares the results of the run that the key names, if it names one, and replaces the name by the run's
        folder.

        Of several runs, `[latest:fit, latest:identify]`, later ones override earlier ones. Values typed on the command
        line are not changed.

        Args:
            plain: the composed experiment, changed in place.
            outputs: the folder of runs.
            origins: the origins of its keys.

        Raises:
            RexError: if there is no such run, or it has no such fragment, or none for a node or an edge of this
                experiment.
        """
        given = plain.get(self.key)
        if given is None:
            return
        found = [self._take(plain, run, outputs, origins) for run in runs_of(given)]
        plain[self.key] = found if isinstance(given, list) else found[0]

    def _take(self, plain: dict[str, Any], run: Any, outputs: Path, origins: Origins) -> str:
        """Declares the results of one run; returns its folder."""
        where = f"{origins.where(self.key)}: {self.key}={run}"
        if not isinstance(run, str):
            raise RexError(f"{where}: give a run of {self.makers}: a folder, or latest:{self.makers.split()[-1][:-1]}")
        view = find_run(run, outputs, having=(self.file,))
        try:
            fragment = load_yaml((view.path / self.file).read_bytes())
            self._check(fragment)
        except FileNotFoundError:
            raise RexError(
                f"{where}: this run of '{view.command}' has no {self.file}; {self.makers} makes it"
            ) from None
        except (OSError, ValueError) as error:
            raise RexError(f"{view.path / self.file}: {error}; make it again with {self.makers}") from None
        declared = self.declare(plain, fragment, where, origins.typed)
        plain.clear()
        plain.update(declared)
        return str(view.path)

    def declare(
        self,
        config: Mapping[str, Any],
        fragment: Mapping[str, Any],
        where: str,
        typed: Callable[[str], bool] = lambda key: False,
    ) -> dict[str, Any]:
        """Returns a plain experiment with the values of a fragment; other values, and those `typed`, are not changed.

        Raises:
            RexError: if it has none of the fragment's nodes and edges.
        """
        changed = copy.deepcopy(dict(config))
        known = False
        for section in self.sections:
            declared = changed.get(section)
            for name, entry in fragment.get(section, {}).items():
                if not isinstance(declared, dict) or name not in declared:
                    continue
                known = True
                if isinstance(
                    declared[name], dict
                ):  # the check of the experiment has a better message for anything else
                    for key, found in entry.items():
                        path, before = f"{section}.{name}.{key}", declared[name].get(key)
                        declared[name][key] = _merged(before, found, path, typed)
        if not known:
            names = ", ".join(name for section in self.sections for name in fragment.get(section, {}))
            which = " or ".join(section[:-1] for section in self.sections)
            raise RexError(
                f"{where}: its {self.key} are of {names or 'nothing'}; this experiment has no {which} of these"
            )
        return changed

    def _check(self, fragment: Any) -> None:
        if not isinstance(fragment, dict) or not set(fragment) <= set(self.sections):
            raise ValueError(f"it holds something else than {' and '.join(self.sections)}")
        for section, entries in fragment.items():
            if not isinstance(entries, dict):
                raise ValueError(f"{section} is no mapping")
            for name, entry in entries.items():
                if not isinstance(name, str):
                    raise ValueError(f"{section}: {name!r} is no name")
                checks = self.sections[section]
                if not isinstance(entry, dict) or not entry or not set(entry) <= set(checks):
                    raise ValueError(f"{section}.{name} holds something else than {', '.join(checks)}")
                for key, value in entry.items():
                    checks[key](value, f"{section}.{name}.{key}")


def take_measured(plain: dict[str, Any], outputs: Path, origins: Origins, *, typed: bool = False) -> None:
    """Calls `Measured.take` for every kind, and finds the folder of `randomize.posterior`; with `typed`, only for keys
    that were typed on the command line."""
    for kind in (DELAYS, PARAMS):
        if not typed or origins.typed(kind.key):
            kind.take(plain, outputs, origins)
    randomize = plain.get("randomize")
    if not isinstance(randomize, dict):
        return
    run = randomize.get("posterior")
    if isinstance(run, str) and (not typed or origins.typed("randomize.posterior")):
        view = find_run(run, outputs, having=(POSTERIOR,))
        if not view.has(POSTERIOR):
            where = f"{origins.where('randomize.posterior')}: randomize.posterior={run}"
            raise RexError(f"{where}: this run of '{view.command}' has no {POSTERIOR}; `rex identify` makes it")
        plain["randomize"] = {**randomize, "posterior": str(view.path)}


def runs_of(given: Any) -> list[Any]:
    """Returns the runs that `delays` or `params` name: none, one or several."""
    return [] if given is None else given if isinstance(given, list) else [given]


def _merged(before: Any, found: Any, key: str, typed: Callable[[str], bool]) -> Any:
    """Returns the found values at `key` merged into the previous ones; parameters one by one, a delay as a whole."""
    if isinstance(found, dict) and "_target_" not in found:
        merged = dict(before) if isinstance(before, dict) else {}
        return merged | {name: _merged(merged.get(name), item, f"{key}.{name}", typed) for name, item in found.items()}
    return before if typed(key) else found


def _check_declared(value: Any, where: str) -> None:
    if isinstance(value, dict):
        target = value.get("_target_")
        if not isinstance(target, str) or not target.startswith("rexcli."):
            raise ValueError(f"{where}: {target} is no delay or loss of rexcli")
        for key, item in value.items():
            if key != "_target_" and not (key == "interpolation" and item in ("latest", "linear", "hold")):
                _check_declared(item, f"{where}.{key}")
    elif isinstance(value, list):
        for item in value:
            _check_declared(item, where)
    else:
        _check_number(value, where)


def _check_params(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise ValueError(f"{where}: {name!r} is no name")
            _check_params(item, f"{where}.{name}")
    elif isinstance(value, list):
        for item in value:
            _check_params(item, where)
    else:
        _check_number(value, where)


def _check_flag(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{where}: {value!r} is neither true nor false")


def _check_number(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: {value!r} is no number")


_EDGES = {"delay": _check_declared, "loss": _check_declared, "reorder": _check_flag}
POSTERIOR = "posterior.npz"
"""Joint draws from the posterior of `rex identify`."""
DELAYS = Measured(
    "delays", "delays.yaml", "`rex fit` or `rex identify`", {"nodes": {"delay": _check_declared}, "edges": _EDGES}
)
PARAMS = Measured("params", "params.yaml", "`rex identify`", {"nodes": {"params": _check_params}})
