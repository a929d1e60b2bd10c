"""YAML is read as data and as nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.runs.plain_yaml import differences, flatten, load_yaml


def test_yaml_is_read_as_data() -> None:
    assert load_yaml("lr: 1e-4\nname: 1e\nother: [1.5, -2E+3, 3]\n") == {
        "lr": 1e-4,
        "name": "1e",
        "other": [1.5, -2e3, 3],
    }
    assert load_yaml("a: ${oc.env:HOME}\n_target_: os.system") == {"a": "${oc.env:HOME}", "_target_": "os.system"}


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "a: [", "- a\nb: c", "[" * 2000]
)
def test_yaml_that_asks_for_objects_or_is_none_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_yaml(text)


KEYS = st.text("abc", min_size=1, max_size=2)
TREES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
)
CONFIGS = st.dictionaries(KEYS, TREES, min_size=1, max_size=3)


def nested(leaves: dict[str, Any]) -> dict[str, Any]:
    """The mappings whose leaves these are, by dotted key."""
    config: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *above, last = path.split(".")
        inner = config
        for key in above:
            inner = inner.setdefault(key, {})
        inner[last] = leaf
    return config


@settings(max_examples=12, deadline=None)
@given(CONFIGS)
def test_leaves_by_dotted_key_are_all_of_a_configuration(config: dict[str, Any]) -> None:
    assert nested(flatten(config)) == config


@settings(max_examples=12, deadline=None)
@given(CONFIGS, st.data())
def test_configurations_differ_where_a_leaf_was_changed_or_taken_away(
    config: dict[str, Any], data: st.DataObject
) -> None:
    leaves = flatten(config)
    path = data.draw(st.sampled_from(sorted(leaves)))
    assert differences(config, nested(leaves)) == {}
    assert differences(config, nested({**leaves, path: "changed"})) == {path: (leaves[path], "changed")}
    fewer = {key: leaf for key, leaf in leaves.items() if key != path} | {"kept": 1}
    assert differences({**config, "kept": 1}, nested(fewer)) == {path: (leaves[path], None)}
