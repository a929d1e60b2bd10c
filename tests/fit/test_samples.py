"""Delays that a timeline was made with are those that it shows, and what it shows in part is marked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rexcli.fit.samples import delay_samples
from rexcli.timeline.simulate import simulate
from rexcli.timeline.spec import EdgeTiming, NodeTiming, SystemTiming

EPISODES, STEPS = 2, 8


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([5e6, 150e6]), st.booleans(), st.sampled_from([0.0, 0.3]))
def test_delays_are_those_that_were_drawn(seed: int, longest: float, reorder: bool, loss: float) -> None:
    drawn: dict[tuple[str, str], np.ndarray] = {}

    def sample(kind: str, name: str, ticks: int) -> np.ndarray:
        rng = np.random.default_rng([seed, *f"{kind}{name}".encode()])
        values = rng.random((200, EPISODES))[:ticks].T
        drawn[kind, name] = values < loss if kind == "loss" else (values * longest).astype(np.int64)
        return drawn[kind, name]

    wire = EdgeTiming("wire", "eye", "brain", loss=loss, reorder=reorder)
    back = EdgeTiming("back", "brain", "eye", skip=True)
    spec = SystemTiming((NodeTiming("eye", 50.0), NodeTiming("brain", 20.0)), (wire, back), "brain")
    timeline = simulate(spec, sample, episodes=EPISODES, steps=STEPS)
    found = {(each.kind, each.name): each for each in delay_samples(timeline)}
    assert list(found) == [("node", "eye"), ("node", "brain"), ("edge", "wire"), ("edge", "back")]
    for name in ("eye", "brain"):
        counts = timeline.steps[name].count - (name == "brain")
        expected = [drawn["node", name][episode, :count] for episode, count in enumerate(counts)]
        np.testing.assert_allclose(found["node", name].seconds, np.concatenate(expected) / 1e9)
        np.testing.assert_array_equal(found["node", name].episode, np.repeat(np.arange(EPISODES), counts))
    link, counts = found["edge", "wire"], timeline.steps["eye"].count

    def sent(kind: str) -> np.ndarray:
        return np.concatenate([drawn[kind, "wire"][episode, :count] for episode, count in enumerate(counts)])

    true, arrived = sent("edge") / 1e9, np.ones(counts.sum(), bool)
    if loss:
        arrived = ~sent("loss")
    assert link.lost.sum() + link.at_least.sum() == (~arrived).sum(), "what is lost at the end might be under way"
    raw = timeline.steps["eye"].end[:, : counts.max()] + drawn["edge", "wire"][:, : counts.max()]
    there = np.arange(counts.max()) < counts[:, None]
    if loss:
        there &= ~drawn["loss", "wire"][:, : counts.max()]
    before = np.maximum.accumulate(np.where(there, raw, 0), axis=1)[:, :-1]
    late = np.pad(raw[:, 1:] < before, ((0, 0), (1, 0)))[there]
    seconds, waited = link.seconds[~link.at_least], link.at_most[~link.at_least]
    np.testing.assert_allclose(seconds[~waited], true[arrived][~waited])
    assert (seconds[waited] >= true[arrived][waited]).all()
    assert link.overtaken == (reorder and late.any())
    np.testing.assert_array_equal(waited, late & (not reorder))
