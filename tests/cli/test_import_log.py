"""A folder that `rex export` wrote brings its own experiment, unless another is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rexcli.cli.console import Console
from rexcli.cli.import_log import OWN_MAPPING, import_log
from rexcli.config.compose import compose, config_yaml
from rexcli.config.project import Project
from rexcli.errors import RexError


def refusal(folder: Path, *words: str) -> str:
    with pytest.raises(RexError) as caught:
        import_log(str(folder), words, Console(quiet=True), ("rex", "import"))
    return str(caught.value)


def test_a_folders_own_experiment_counts_where_none_is_named(toy: Project, tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    folder.mkdir()
    text = config_yaml(compose("toy", project=toy)).replace("rate: 20", "rate: -20")
    (folder / OWN_MAPPING).write_text(text)
    assert f"{folder / OWN_MAPPING}: nodes.eye.rate=-20" in refusal(folder)
    assert "import.nodes: say where the nodes are in the log" in refusal(folder, "conf=toy")
    for damaged, said in (("nodes: [", "; give the experiment, conf=NAME"), ("[1, 2]", "not a mapping; give the exp")):
        (folder / OWN_MAPPING).write_text(damaged)
        assert refusal(folder).startswith(f"{folder / OWN_MAPPING}: ")
        assert said in refusal(folder)
    assert not toy.outputs.exists()
