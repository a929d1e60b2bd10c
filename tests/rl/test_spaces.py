import jax
import numpy as np
import pytest

from rexcli import Box, RexError


def test_unit_vectors_reach_the_bounds_and_nothing_beyond():
    box = Box([-2.0, 0.0], [2.0, 10.0])
    np.testing.assert_allclose(
        box.from_unit(np.array([[-1.0, -3.0], [0.0, 0.0], [1.0, 1.5]])), [[-2, 0], [0, 5], [2, 10]]
    )


def test_samples_stay_within_bounds_and_differ():
    box = Box([-2.0, 0.0], [2.0, 10.0])
    samples = np.array(jax.vmap(box.sample)(jax.random.split(jax.random.key(0), 500)))
    assert (samples >= box.low).all()
    assert (samples <= box.high).all()
    np.testing.assert_allclose(samples.mean(axis=0), [0, 5], atol=0.6)


def test_without_bounds_a_vector_stays_as_it_is():
    box = Box.unbounded(3)
    assert not box.bounded
    np.testing.assert_array_equal(box.from_unit(np.array([1.0, 50.0, -3.0])), [1, 50, -3])


def test_bounds_that_cross_or_differ_in_number_are_refused():
    with pytest.raises(RexError, match="low 1 is not below high 1"):
        Box([1.0], [1.0])
    with pytest.raises(RexError, match="2 lower and 1 upper"):
        Box([0.0, 0.0], [1.0])
