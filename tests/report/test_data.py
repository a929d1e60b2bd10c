"""What a page is told of its runs: their numbers as they are, and no more than there is room for."""

from __future__ import annotations

from rexcli.report import Entry, data
from rexcli.report.data import Images, page_data
from tests.report.fixtures import entry, training


def test_curves_are_those_of_metrics_csv(tmp_path):
    (run,) = page_data([entry(training(tmp_path, "a"))], "t")["runs"]
    assert run["curves"]["steps"] == [100, 200, 300, 400]
    assert run["curves"]["metrics"] == {"eval/return_mean": [[-9, -8, -7, -6], [-8, -7, -6, -5]]}


def test_rows_that_have_no_place_are_left_out(tmp_path):
    view = training(tmp_path, "a")
    with (view.path / "metrics.csv").open("a") as rows:
        rows.write("0,5,nan,3.0,1.0\nx,6,600,4.0,1.0\n")
    (run,) = page_data([entry(view)], "t")["runs"]
    assert run["curves"]["steps"] == [100, 200, 300, 400]


def test_too_many_evaluations_are_thinned_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "MOST_NUMBERS", 8)
    page = page_data([entry(training(tmp_path, "a", evaluations=10))], "t")
    assert page["runs"][0]["curves"]["steps"] == [100, 400, 700, 1000]
    assert page["notes"] == ["a: the curves show one evaluation of 3, and the last."]


def test_the_keys_of_a_comparison_are_those_that_differ(tmp_path):
    views = [training(tmp_path, name, lr) for name, lr in (("a", 1e-3), ("b", 2e-3))]
    waiting = Entry(None, "c", "waiting", {"ppo.lr": "4e-3", "seed": "1"})
    page = page_data([*map(entry, views), waiting], "t")
    assert [run["keys"] for run in page["runs"]] == [
        {"ppo.lr": 1e-3, "seed": None},
        {"ppo.lr": 2e-3, "seed": None},
        {"ppo.lr": 4e-3, "seed": 1.0},
    ]
    assert [run["label"] for run in page["runs"]] == ["ppo.lr=0.001", "ppo.lr=0.002", "c"]


def test_a_picture_is_carried_once_and_only_where_there_is_room():
    images = Images(room=5)
    assert images.add(b"1234", "image/png") == images.add(b"1234", "image/png")
    assert images.add(b"56", "image/png") is None
    assert (len(images.urls), images.left_out) == (1, 1)
