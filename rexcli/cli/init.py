"""Implements `rex init DIR` and `rex new`: starts a project, or adds a node or task to one."""

from __future__ import annotations

import keyword
from pathlib import Path

from rexcli.config.project import bundled_systems, copy_bundled, find_project
from rexcli.errors import RexError, suggest
from rexcli.runs.result import Result, Table

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
KINDS = ("node", "task")
RENAMED = {"gitignore": ".gitignore"}
"""Files that a wheel would leave out under their own name."""


def start_project(folder: str, example: str | None = None) -> Result:
    """Writes a small project, or a copy of one of the bundled systems, into `folder`; never overwrites a file.

    Raises:
        RexError: there is no such example, or one of the files exists already.
    """
    if example is None:
        files = _write_project(Path(folder))
        fix = "rex show; rex train"
    elif example in bundled_systems():
        files = copy_bundled(Path(folder), example)
        fix = f"rex show conf={example}"
    else:
        known = suggest(example, list(bundled_systems()))
        raise RexError(f"command line: --example {example}: there is no such example{known}")
    where = f"cd {folder}; " if Path(folder).resolve() != Path.cwd() else ""
    return Result(
        tables=[
            Table(f"written to {folder}", ("file",), [(str(file),) for file in files]),
            Table("and now", ("command",), [(f"{where}{fix}",)]),
        ],
        path=Path(folder),
    )


def _write_project(folder: Path) -> list[Path]:
    source = TEMPLATES / "project"
    files = {
        path.relative_to(source).with_name(RENAMED.get(path.name, path.name)): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    for file in files:
        if (folder / file).exists():
            raise RexError(f"{folder / file} is there already; give a folder without conf/, nodes/ and tests/")
    for file, path in files.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(path.read_bytes())
    return list(files)


def add_page(kind: str, name: str) -> Result:
    """Writes a commented node or task to `nodes/NAME.py` of this project, and says which YAML declares it.

    Raises:
        RexError: there is no project here, the name is not a valid module name, or the file exists already.
    """
    if kind not in KINDS:
        raise RexError(f"command line: new {kind}: there is no such thing{suggest(kind, list(KINDS))}")
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or name == "rexcli":
        raise RexError(f"command line: {name}: give a name in small letters, such as wheel_motor")
    project = find_project()
    if not project.own:
        raise RexError(f"{project.root}: there is no project here; make one with `rex init .`, or go into one")
    title = "".join(word.capitalize() for word in name.split("_"))
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8").replace("Thing", title).replace("thing", name)
    file = project.root / "nodes" / f"{name}.py"
    if file.exists() or file.with_suffix("").exists():
        raise RexError(f"{file} is there already; give another name")
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    head = text.split('"""')[1].splitlines()
    yaml = [line[4:] for line in head if line.startswith("    ")]
    return Result(tables=[Table(f"written to {file}; declare it in conf/", ("yaml",), [(line,) for line in yaml])])
