"""`rex report` writes its page where it says."""

from __future__ import annotations

from rexcli.cli.main import main
from tests.report.fixtures import carried, training


def test_the_command_writes_where_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    first, second = training(outputs, "toy/train/a"), training(outputs, "toy/train/b", 2e-3)
    assert main(["report", "toy/train/a", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(first.path / "report.html")
    assert (first.path / "report.html").is_file()
    assert main(["report", "toy/train/a", "toy/train/b", "--quiet"]) == 0
    (both,) = (outputs / "reports").iterdir()
    assert [run["name"] for run in carried(both.read_bytes())["runs"]] == ["toy/train/a", "toy/train/b"]
    assert second.path.is_dir()
    assert main(["report", "toy/train/c"]) == 2
    assert "no run is there" in capsys.readouterr().err
