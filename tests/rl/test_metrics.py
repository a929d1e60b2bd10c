import jax.numpy as jnp
import numpy as np
import pytest

from rexcli import RexError
from rexcli.rl.metrics import Always, Final, Highest, Lowest, Mean, Metric, SettlingTime, Share

RATE = 4.0
MEASURES = {
    "height": jnp.array([0.0, 1.0, 2.0, 0.5, 3.0, 4.0, 5.0, 2.0]),
    "speed": jnp.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Mean("height"), 17.5 / 8),
        (Mean("height", last=1.0), 14 / 4),
        (Highest("height"), 5.0),
        (Highest("speed", last=1.5), 0.0),
        (Lowest("height", last=0.5), 2.0),
        (Final("height"), 2.0),
        (Share(above={"height": 0.75}), 6 / 8),
        (Share(above={"height": 0.75}, below={"speed": 0.5}), 5 / 8),
        (Share(above={"height": 0.75}, below={"height": 3.5}, last=1.0), 2 / 4),
        (Always(above={"height": 0.75}, last=1.0), 1.0),
        (Always(above={"height": 0.75}, last=1.25), 0.0),
        (SettlingTime(above={"height": 0.75}), 4 / 4.0),
        (SettlingTime(above={"height": -1.0}), 0.0),
        (SettlingTime(above={"height": 2.0}), 8 / 4.0),
    ],
)
def test_metrics_by_hand(metric, expected):
    np.testing.assert_allclose(metric(MEASURES, RATE), expected, rtol=1e-6)


def test_a_bound_itself_does_not_count():
    assert Share(above={"speed": 1.0})(MEASURES, RATE) == 0
    assert Share(below={"speed": 0.0})(MEASURES, RATE) == 0


def test_wrong_metrics_are_refused_with_the_fix():
    with pytest.raises(RexError, match=r"give above: \{measure: number\}"):
        Share()
    with pytest.raises(RexError, match="it measures nothing"):
        Final("height")({}, RATE)
    with pytest.raises(RexError, match="last=0 s is not within an episode of 2 s"):
        Mean("height", last=0.0)(MEASURES, RATE)
    with pytest.raises(RexError, match=r"has no __call__"):
        Metric()(MEASURES, RATE)
