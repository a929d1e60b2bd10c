"""Losses have the share and the bursts that are declared, and are refused by name where they cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from rexcli import Edge, GilbertElliott, IndependentLoss, Node, NodeSpec, System, WallClock
from rexcli.errors import RexError
from rexcli.fit.families import fit, plain
from rexcli.fit.samples import delay_samples
from rexcli.timeline.message_outcomes import count_losses
from rexcli.timelines import simulate

LOSSES = [IndependentLoss(0.05), GilbertElliott(0.05, 6), GilbertElliott(0.1, 10, 0.6, 0.01)]


def system(loss, delay=0.003) -> System:
    nodes = [(NodeSpec("eye", 100.0), Node()), (NodeSpec("brain", 50.0), Node())]
    return System(nodes, [Edge("eye_brain", "eye", "brain", delay=delay, loss=loss)], "brain")


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_what_is_drawn_is_what_was_declared(loss):
    lost = loss.sample_episodes("a", 0, np.arange(20), 20_000)
    assert lost.mean() == pytest.approx(loss.share, rel=0.05)
    np.testing.assert_array_equal(loss.sample_episodes("a", 0, np.array([7]), 50)[0], lost[7, :50])
    assert (loss.sample_episodes("b", 0, np.arange(20), 20_000) != lost).any()
    if getattr(loss, "lost_in_burst", 0) == 1:
        assert count_losses(lost.ravel(), np.repeat(np.arange(20), 20_000))[1] == pytest.approx(loss.burst, rel=0.05)


@pytest.mark.parametrize("loss", [GilbertElliott(0.08, 5), IndependentLoss(0.08)], ids=repr)
def test_a_fit_finds_share_and_burst(loss):
    timeline = simulate(system(loss), seconds=400.0)
    fitted = {each.name: fit(each, ["constant"]) for each in delay_samples(timeline)}["eye_brain"]
    assert fitted.loss == pytest.approx(0.08, abs=0.012)
    assert fitted.bursty == isinstance(loss, GilbertElliott)
    if fitted.bursty:
        assert plain(fitted.losses)["burst"] == pytest.approx(5, rel=0.15)
    else:
        assert plain(fitted.losses) == pytest.approx(0.08, abs=0.012)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: system(1.5), "edges.eye_brain.loss: loss 1.5: give a share of the messages, 0 to 1"),
        (lambda: system("x"), "edges.eye_brain.loss: loss 'x': give a share"),
        (lambda: GilbertElliott(0.2, 1), "burst 1: give 1.25 messages or more"),
        (lambda: GilbertElliott(0.0, 4), "share 0: give more than lost_between=0 and less than lost_in_burst=1"),
        (lambda: WallClock(system(0.1)), "edges.eye_brain.loss=10% lost: the wall clock loses no message on purpose"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make, message):
    with pytest.raises(RexError, match=message):
        make()
