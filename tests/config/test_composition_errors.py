"""Whatever stands in a YAML file or on the command line, what is wrong with it is told in one line that says where."""

from __future__ import annotations

import re

import pytest

from rexcli.cli.errors import describe
from rexcli.cli.main import main
from rexcli.config.compose import compose, experiment_from_config
from rexcli.errors import LONGEST, RexError

FILES = {
    "latin": (b"name: caf\xe9\n", r"conf/latin\.yaml: byte 9 is no UTF-8; save the file as UTF-8"),
    "binary": (b"name: a\0b\n", r"conf/binary\.yaml: character 7 is not for text files"),
    "word": (b"defaults: base\nname: x\n", r"conf/word\.yaml.*defaults must be a list"),
    "snake": (b"defaults: [base]\nx: &x {y: *x}\n", r"conf/snake\.yaml: an alias \(\*name\) stands inside"),
    "laughs": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        + b"".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n".encode() for i in range(1, 12)),
        r"conf/laughs\.yaml: its aliases \(\*name\) stand for 3\.57e\+11 keys and values",
    ),
    "number": (b"3\n", r"conf/number\.yaml: a file of conf/ is a mapping, key: value; write one"),
    "nested": (b"x: " + 3000 * b"{a: " + b"1" + 3000 * b"}" + b"\n", r"conf/nested\.yaml"),
    "list": (
        b"defaults: [base, _self_]\nname: x\nsupervisor: a\nnodes: [1, 2]\n",
        r"conf/list\.yaml line 4: nodes=.*mapping",
    ),
    "deep": (
        b"defaults: [base, _self_]\nname: x\nidentify: {signals: [sensor]}\n",
        r"conf/deep\.yaml: Cannot merge .*; one is a mapping, key: value, and the other a list",
    ),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", ".", "--example", "pendulum", "--quiet"]) == 0
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration_is_named(project, name):
    content, message = FILES[name]
    (project / "conf" / f"{name}.yaml").write_bytes(content)
    with pytest.raises(RexError, match=message):
        compose(name)


@pytest.mark.parametrize("flags", [["--cfg", "job"], ["--info", "defaults"], ["-m", "seed=1,2"]])
@pytest.mark.parametrize("name", ["latin", "number", "laughs"])
def test_hydras_flags_name_it_too(project, name, flags, capsys):
    content, message = FILES[name]
    (project / "conf" / f"{name}.yaml").write_bytes(content)
    assert main(["show", f"conf={name}", *flags]) == 2
    assert re.search(message, capsys.readouterr().err)


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
        (70_000 * "a" + "=1", r"command line: a+…: there is no key of 70000 characters"),
        ("nodes." + 70_000 * "a" + "={rate: 50}", r"command line: nodes\.a+…: there is no key of 70006 characters"),
        ("~nodes=1", r"command line: ~nodes=…: it has another value; leave the value out, ~nodes$"),
        ("~nodes.agent={rate:1}", r"~nodes\.agent=…: it has another value; leave the value out, ~nodes\.agent$"),
        ("seed=" + 2000 * "[", r"this is no override"),
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


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": "${nope}"}, r"a/config\.yaml: name: Interpolation key 'nope' not found"),
        ({"name": object()}, r"a/config\.yaml: name: .*object"),
        ({("a", "b"): 1}, r"a/config\.yaml|command line"),
    ],
)
def test_what_is_wrong_with_the_configuration_of_a_run_is_told_of_its_file(config, said):
    with pytest.raises(RexError, match=said):
        experiment_from_config(config, "a/config.yaml", ["seed=1"])
