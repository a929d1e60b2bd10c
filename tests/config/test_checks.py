"""A plain mapping becomes a dataclass, or one line that names the key, the value and the fix."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.config.checks import at_least, between, folder_name, not_negative, positive, read, write
from rexcli.config.key_origins import Origins, layer_of_values
from rexcli.errors import RexError


@dataclass(frozen=True)
class Lens:
    width: float = field(default=1.0, metadata={"check": positive("metres")})
    zoom: Literal[1, 2, "auto"] = "auto"


@dataclass(frozen=True)
class Camera:
    source: str = field(metadata={"key": "from"})
    lens: Lens = field(default_factory=Lens)
    spare: dict[str, Lens] = field(default_factory=dict)
    shots: int | None = None
    gains: list[float] = field(default_factory=list)
    delay: Any = field(default=None, metadata={"delay": True})
    loss: Any = field(default=0.0, metadata={"loss": True})
    options: dict[str, Any] = field(default_factory=dict, metadata={"rest": True})


NUMBERS = st.floats(-1e9, 1e9)
LENSES = st.builds(Lens, st.floats(1e-9, 1e9), st.sampled_from([1, 2, "auto"]))
CAMERAS = st.builds(
    Camera,
    source=st.text(),
    lens=LENSES,
    spare=st.dictionaries(st.sampled_from(["a", "b"]), LENSES),
    shots=st.none() | st.integers(),
    gains=st.lists(NUMBERS, max_size=3),
    delay=st.none() | st.floats(0, 1e6) | st.just({"_target_": "distrax.Normal", "loc": 0.1}),
    loss=st.floats(0, 1) | st.just({"_target_": "rexcli.GilbertElliott", "share": 0.1}),
    options=st.dictionaries(st.sampled_from(["rate", "mode"]), st.booleans()),
)


@settings(max_examples=30, deadline=None)
@given(CAMERAS)
def test_reading_what_was_written_is_the_identity(camera: Camera) -> None:
    plain = write(camera)
    assert plain["from"] == camera.source
    assert read(Camera, plain, "camera", Origins()) == camera


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lens": {"width": 0}}, "camera.lens.width=0: give a positive number (metres)"),
        ({"lens": {"wdth": 1}}, "camera.lens.wdth: there is no such key; did you mean 'width'?"),
        ({"lens": {"zoom": 3}}, "camera.lens.zoom=3: give 1, 2 or 'auto'"),
        ({"lens": {"zoom": True}}, "camera.lens.zoom=true: give 1, 2 or 'auto'"),
        ({"lens": 3}, "camera.lens=3: give a mapping with width, zoom, …"),
        ({"spare": {"a.b": {}}}, "camera.spare: 'a.b' is no name; use letters, digits and _"),
        ({"shots": 1.5}, "camera.shots=1.5: give a whole number"),
        ({"gains": "12"}, "camera.gains=12: give a list of numbers, [a, b]"),
        ({"gains": [1, None]}, "camera.gains.1=null: give a number"),
        ({"delay": -1}, "camera.delay=-1: give a number of seconds"),
        ({"delay": {"loc": 1}}, "camera.delay: a distribution needs `_target_`"),
        ({"loss": 2}, "camera.loss=2: give a share of the messages, 0 to 1"),
        ({"from": None}, "camera.from=null: give a word"),
    ],
)
def test_a_mistake_names_where_it_is_the_value_and_the_fix(change: dict[str, Any], said: str) -> None:
    origins = Origins((layer_of_values([("camera", change)]),))
    with pytest.raises(RexError) as caught:
        read(Camera, {"from": "eye", **change}, "camera", origins)
    assert str(caught.value).startswith(f"command line: {said}")


def test_what_has_no_default_is_missing() -> None:
    with pytest.raises(RexError, match=r"^file: camera\.from is missing: give a word"):
        read(Camera, {}, "camera", Origins(fallback="file"))


@settings(max_examples=60, deadline=None)
@given(NUMBERS | st.sampled_from([-2, 0, 3, float("nan"), float("inf")]))
def test_a_number_that_is_refused_is_told_what_to_give(value: float) -> None:
    for check, right in (
        (positive("m"), 0 < value < float("inf")),
        (not_negative("m"), 0 <= value < float("inf")),
        (at_least(3, "m"), value >= 3),
        (between(-2, 3), -2 <= value <= 3),
    ):
        assert (check(value) is None) == right
        assert right or check(value).startswith("give ")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=8) | st.sampled_from(["..", ".", "a/b", "a\\b", "c:", " a", "a\n", "é", 101 * "a"]))
def test_the_name_of_a_folder_is_one_part_of_a_path(name: str) -> None:
    if folder_name(name) is None:
        assert (Path("runs") / name).parent == Path("runs")
        assert Path(name).parts == (name,)
        assert name.strip() == name
    else:
        assert len(name) > 100 or not (name.isalnum() and name.isascii())


@pytest.mark.parametrize(
    "key", ["nodes.world.qpos", "nodes.world.params", "randomize.nodes.world", "identify.nodes.arm"]
)
def test_names_of_a_node_s_code_are_as_it_has_them(key: str) -> None:
    joints = {"robot/joint1": 0.2, "a.b": 1.0}
    assert read(dict[str, float], joints, key, Origins()) == joints


@pytest.mark.parametrize("key", ["nodes", "edges", "nodes.world", "randomize.nodes", "plots.pictures"])
def test_names_that_are_parts_of_keys_are_plain(key: str) -> None:
    for name in ("a/b", "a.b", "a=b", ""):
        with pytest.raises(RexError, match="is no name; use letters, digits and _"):
            read(dict[str, float], {name: 1.0}, key, Origins())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"servo": [1.0]}, r"nodes\.world\.actuators\.servo=.*give a number or a word"),
        (["servo"], "give a mapping or a word|give a dict or a word"),
    ],
)
def test_of_several_kinds_the_one_that_was_meant_is_explained(value: Any, says: str) -> None:
    kind = dict[str, float | str] | str | None
    assert read(kind, {"servo": 1.0}, "nodes.world.actuators", Origins()) == {"servo": 1.0}
    assert read(kind, "agent", "nodes.world.actuators", Origins()) == "agent"
    with pytest.raises(RexError, match=says):
        read(kind, value, "nodes.world.actuators", Origins())
