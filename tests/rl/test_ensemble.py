"""Policies that act together: with the mean of their actions, or with what is most probable on average."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from rexcli import RexError, pipeline
from rexcli.config.schema import ObservationConfig
from rexcli.rl.ensemble import Ensemble
from rexcli.rl.policy import Policy
from rexcli.rl.spaces import Discrete
from tests.rl.test_memory import make_policy, seeing


@pytest.mark.slow
def test_an_ensemble_is_the_mean_of_its_policies_each_with_its_own_state(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    members = [make_policy(key=key) for key in (0, 7, 11)]
    monkeypatch.setattr(Policy, "exported", lambda self: b"")
    for seed, policy in enumerate(members):
        policy.save(folder / "policies" / str(seed))
    members[1].save(folder / "policy")
    run = SimpleNamespace(path=folder, results={"return of each seed": [-3.0, -2.0, float("-inf")]})
    monkeypatch.setattr(pipeline, "find_run", lambda *_, **__: run)
    ensemble, _ = pipeline.load_policy("latest", SimpleNamespace(outputs=tmp_path), seed="all")
    third, _ = pipeline.load_policy("latest", SimpleNamespace(outputs=tmp_path), seed=2)
    jax.tree.map(np.testing.assert_array_equal, third, members[2])
    with pytest.raises(RexError, match=r"policy_seed=5: .* seeds \[0, 1, 2\]"):
        pipeline.load_policy("latest", SimpleNamespace(outputs=tmp_path), seed=5)

    assert isinstance(ensemble, Ensemble)
    state, states = ensemble.init_state(), [policy.init_state() for policy in members[:2]]
    apply = jax.jit(lambda policy, state, observation: policy.apply(state, observation))
    for observation in np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32):
        action, state = apply(ensemble, state, observation)
        each = [apply(policy, own, observation) for policy, own in zip(members[:2], states, strict=True)]
        states = [own for _, own in each]
        np.testing.assert_allclose(action, np.mean([alone for alone, _ in each], axis=0), atol=1e-6)
    memory = ensemble.controller(seeing()).initial_memory()
    assert memory["policy"].shape == (2, 5)


@pytest.mark.slow
def test_an_ensemble_chooses_what_is_most_probable_on_average():
    plain = ObservationConfig()
    members = [make_policy(plain, key, Discrete(3), "none") for key in (0, 3, 6)]
    ensemble = Ensemble.of(members)
    observations = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    logits = np.array(jax.jit(jax.vmap(lambda policy: policy.distribution(observations).logits))(ensemble.members))
    probable = (np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)).mean(axis=0).argmax(axis=-1)
    np.testing.assert_array_equal(ensemble.apply(ensemble.init_state(), observations)[0], probable)
    assert len(set(probable.tolist())) > 1
