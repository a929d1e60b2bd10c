"""Whatever stands in a YAML file or on the command line, what is wrong with it is told in one line that says where."""

from __future__ import annotations

import pytest

from rexcli.cli.errors import LONGEST, describe
from rexcli.cli.main import main
from rexcli.config.compose import compose
from rexcli.errors import RexError

FILES = {
    "latin": (b"name: caf\xe9\n", r"conf/latin\.yaml: byte 9 is no UTF-8; save the file as UTF-8"),
    "binary": (b"name: a\0b\n", r"conf/binary\.yaml: character 7 is not for text files"),
    "word": (b"defaults: base\nname: x\n", r"conf/word\.yaml.*defaults must be a list"),
    "snake": (b"defaults: [base]\nx: &x {y: *x}\n", r"conf/snake\.yaml: an alias \(\*name\) stands inside"),
    "list": (
        b"defaults: [base, _self_]\nname: x\nsupervisor: a\nnodes: [1, 2]\n",
        r"conf/list\.yaml line 4: nodes=.*mapping",
    ),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--quiet"]) == 0
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration_is_named(project, name):
    content, message = FILES[name]
    (project / "conf" / f"{name}.yaml").write_bytes(content)
    with pytest.raises(RexError, match=message):
        compose(name)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nodes=1e12", r"command line: nodes=1e\+12: give a mapping"),
        ("edges=07", r"command line: edges=07: give a mapping"),
        ("ppo=1e18", r"command line: ppo=1e18: this chooses a file of conf/ppo/; give its name"),
        (
            "nodes.agent.rate=1e12",
            r"nodes\.agent\.rate=1e\+12: give a positive number of steps per second, 1e-06 to 1e\+09",
        ),
        ("nodes.agent.rate=5e-324", r"nodes\.agent\.rate=4\.94066e-324: give a positive number of steps"),
        ("name=" + 101 * "a", r"name=a+…: give a name for a folder"),
    ],
)
def test_an_override_that_cannot_be_is_named(override, message):
    with pytest.raises(RexError, match=message):
        compose("pendulum", [override])


def test_what_was_typed_is_not_echoed_without_end():
    text = describe(RexError("a" * 70_000 + "; mend it"))
    assert len(text) < LONGEST + 10
    assert text.endswith("; mend it")
