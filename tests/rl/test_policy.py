import json
import shutil

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rexcli import RexError
from rexcli.rl.networks import ActorCritic
from rexcli.rl.normalize import RunningStats
from rexcli.rl.policy import EXPORTED, Policy
from rexcli.rl.spaces import Box
from tests.rl.tiny import ToZero, tiny_program, tiny_system


def make_policy(normalised=True, size=1):
    network = ActorCritic(1, 2, 8, "relu", "xavier_uniform")
    stats = RunningStats(jnp.full(size, 0.3), jnp.full(size, 4.0), jnp.float32(100)) if normalised else None
    params = jax.tree.map(lambda leaf: leaf + 0.3, network.init(jax.random.key(0), jnp.zeros(size)))
    return Policy(params, stats, network, Box([-2.0], [2.0]))


@pytest.mark.parametrize("normalised", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_saving_and_loading_is_the_identity(tmp_path, normalised):
    policy = make_policy(normalised)
    policy.save(tmp_path / "policy", {"_target_": "nodes.mine.Task", "seconds": 2.0})
    again = Policy.load(tmp_path / "policy")
    assert jax.tree.structure(again) == jax.tree.structure(policy)
    jax.tree.map(np.testing.assert_array_equal, again, policy)
    observation = jnp.linspace(-1, 1, 7)[:, None]
    np.testing.assert_array_equal(again.action(observation), policy.action(observation))


def test_the_folder_holds_plain_arrays_and_json(tmp_path):
    make_policy().save(tmp_path / "policy", {"_target_": "nodes.mine.Task"})
    assert {path.name for path in (tmp_path / "policy").iterdir()} == {"policy.json", "weights.npz", EXPORTED}
    with np.load(tmp_path / "policy" / "weights.npz", allow_pickle=False) as arrays:
        assert arrays["params/params/actor/Dense_0/kernel"].shape == (1, 8)
    about = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert about["env"] == {"_target_": "nodes.mine.Task"}


@pytest.mark.parametrize("normalised", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_exported_function_needs_jax_alone_and_acts_the_same(tmp_path, normalised):
    policy = make_policy(normalised)
    policy.save(tmp_path / "policy")
    exported = jax.export.deserialize(bytearray((tmp_path / "policy" / EXPORTED).read_bytes()))
    for observation in (jnp.array([0.7]), jnp.array([-2.0])):
        np.testing.assert_allclose(exported.call(observation), policy.action(observation), rtol=1e-6)


def test_what_is_no_policy_is_refused_with_its_place(tmp_path):
    with pytest.raises(RexError, match="no policy there"):
        Policy.load(tmp_path)
    make_policy().save(tmp_path / "policy")
    file = tmp_path / "policy" / "weights.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(RexError, match="damaged"):
        Policy.load(tmp_path / "policy")
    make_policy().save(tmp_path / "policy")
    about = tmp_path / "policy" / "policy.json"
    about.write_text(about.read_text().replace('"format": 3', '"format": 99'))
    with pytest.raises(RexError, match="format 99"):
        Policy.load(tmp_path / "policy")


def test_actions_fill_the_space_and_normalisation_counts():
    observation = jnp.linspace(-3, 3, 50)[:, None]
    actions = make_policy().action(observation)
    assert (jnp.abs(actions) <= 2).all()
    assert (actions != make_policy(normalised=False).action(observation)).any()


def test_a_task_of_another_size_is_refused():
    with pytest.raises(RexError, match="observations of ToZero are 1 real numbers, but the policy was trained with 3"):
        make_policy(size=3).controller(ToZero().bind(tiny_system()))


def test_a_controller_acts_on_what_the_supervisor_sees():
    task = ToZero().bind(tiny_system())
    policy, program = make_policy(), tiny_program()
    _, seen = jax.jit(lambda: program.reset(program.init(jax.random.key(1))))()
    _, output = policy.controller(task)(seen)
    np.testing.assert_array_equal(output, policy.action(task.observe(seen)))
    noisy = policy.controller(task, deterministic=False)
    outputs = {float(noisy(seen.replace(seq=jnp.int32(seq)))[1][0]) for seq in range(5)}
    assert len(outputs) == 5


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies") / "policy"
    make_policy().save(folder)
    return folder


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_damaged_policy_is_refused_when_it_is_read(saved, data):
    """Bits that flip, files that end early, bytes that are gone: one error that names the folder, or a policy."""
    folder = saved.parent / "damaged"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    file = folder / data.draw(st.sampled_from(["policy.json", "weights.npz"]))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "drop", "swap"]))
        if kind == "flip":
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "cut" and place:
            content = content[:place]
        elif kind == "drop" and len(content) > 1:
            del content[place]
        else:
            content[place] = data.draw(st.integers(32, 126))
    file.write_bytes(bytes(content))
    policy, said = None, ""
    try:
        policy = Policy.load(folder)
    except RexError as error:
        said = str(error)
    if policy is None:
        assert str(folder) in said
    else:
        assert policy.action(jnp.zeros(policy.observation_size)).shape == (policy.action_space.size,)


@pytest.mark.parametrize("key", ["units", "layers", "action_size"])
@pytest.mark.parametrize("value", [0, 0.0, -1, 2**70, None, "8", []])
def test_a_network_that_cannot_be_is_refused(saved, key, value):
    folder = saved.parent / "impossible"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    about = json.loads((folder / "policy.json").read_text())
    about["network"][key] = value
    (folder / "policy.json").write_text(json.dumps(about))
    with pytest.raises(RexError, match="the policy is damaged") as caught:
        Policy.load(folder)
    assert str(folder) in str(caught.value)
