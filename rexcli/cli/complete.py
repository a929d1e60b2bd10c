"""Completes `conf=NAME` and overrides in the shell, by Hydra's own rules over the experiment's keys."""

from __future__ import annotations

from collections.abc import Sequence

from rexcli.cli.hydra_app import split_conf
from rexcli.config.compose import conf_name, hydra, list_confs, parse, translate
from rexcli.config.project import find_project


def complete(words: Sequence[str], incomplete: str) -> list[str]:
    """Returns what the word at the cursor may become.

    Args:
        words: overrides typed before the cursor. Bash splits words at `=`: `conf`, `=`, `pendulum`.
        incomplete: the beginning of the word that was typed.

    Returns:
        Words, or what may stand after a separate `=`. Empty if anything is wrong, since completion in a shell has no
        place for messages.
    """
    *before, word = _joined([*words, incomplete])
    split = word != incomplete
    try:
        matches = _matches(before, word)
    except Exception:
        return []
    return [match.partition("=")[2] for match in matches] if split else matches


def complete_pictures(incomplete: str) -> list[str]:
    """Returns names of pictures that the word at the cursor may become, and runs as `latest:COMMAND`."""
    from rexcli.plot import pictures

    return [name for name in ("latest", "latest:train", *pictures()) if name.startswith(incomplete)]


def _joined(words: Sequence[str]) -> list[str]:
    """Joins `conf`, `=`, `pendulum` to the one word that was typed."""
    joined: list[str] = []
    for index, word in enumerate(words):
        if joined and (word == "=" or (index and words[index - 1] == "=")):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _matches(words: list[str], word: str) -> list[str]:
    from hydra._internal.core_plugins.bash_completion import BashCompletion

    project = find_project()
    if word.startswith("conf="):
        return [f"conf={conf}" for conf in list_confs(project.search_path) if f"conf={conf}".startswith(word)]
    conf, typed = split_conf(words)
    overrides = [text for text, override in zip(typed, parse(typed), strict=True) if not override.is_sweep_override()]
    with hydra(project) as app:
        plugin = BashCompletion(app.config_loader)
        name, given = conf_name(conf, project), " ".join(translate(overrides, app))

        def query(text: str) -> list[str]:
            return [match for match in plugin._query(name, f"{given} {text}") if not match.startswith("hydra")]

        matches = query(word)
        if len(matches) == 1 and matches[0] != word and matches[0].endswith((".", "=")):
            matches += query(matches[0])  # a second match keeps the shell from ending the word
    return ["conf=", *matches] if not word else matches
