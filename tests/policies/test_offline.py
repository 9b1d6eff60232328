import numpy as np
import pytest
import torch
from transitions import filled_replay, small_contract

from isthmus_policies.offline import Offline, mix, recorded_replay
from isthmus_sim.recordings import RecordedEpisode

CONTRACT = small_contract()


def episode(periods, terminated=False, seed=0):
    generator = np.random.default_rng(seed)
    return RecordedEpisode(
        {"state": generator.normal(size=(periods + 1, 1, 2))},
        generator.uniform(-1, 3, (periods, 1)),
        generator.normal(size=periods),
        terminated,
    )


def test_a_replay_of_recordings_holds_each_transition_once():
    made = [episode(5, seed=1), episode(3, terminated=True, seed=2)]
    batch = recorded_replay(CONTRACT, made).sample(500, 0.5, 1, np.random.default_rng(0))
    rewards = np.concatenate([part.reward for part in made]).astype(np.float32)
    assert set(batch.reward.tolist()) == set(rewards.tolist())
    for index, reward in enumerate(batch.reward.numpy()):
        part, step = next((part, step) for part in made for step in range(len(part.reward)) if np.float32(part.reward[step]) == reward)
        np.testing.assert_array_equal(batch.observation["state"][index], part.observation["state"][step].astype(np.float32))
        np.testing.assert_array_equal(batch.observation["state"][500 + index], part.observation["state"][step + 1].astype(np.float32))
        np.testing.assert_allclose(batch.action[index], (part.action[step] - 1) / 2, atol=1e-6)
        np.testing.assert_allclose(batch.previous[index], (part.action[step - 1] - 1) / 2 if step else 0, atol=1e-6)
        assert batch.discount[index] == (0.0 if part.terminated and step == 2 else 0.5)


def test_actions_beyond_the_range_are_stored_at_its_bound():
    wild = RecordedEpisode({"state": np.zeros((3, 1, 2))}, np.array([[9.0], [-9.0]]), np.zeros(2), False)
    batch = recorded_replay(CONTRACT, [wild]).sample(50, 0.5, 1, np.random.default_rng(0))
    assert set(batch.action[:, 0].tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize(("share", "count"), [(0.5, 16), (0.25, 8), (0.9, 29)])
def test_each_batch_has_its_share_of_both(share, count):
    fresh, recorded = filled_replay(CONTRACT, seed=1), recorded_replay(CONTRACT, [episode(40)])
    offline = Offline(recorded, share, "test")
    assert offline.count(32) == count
    parts = [replay.sample(size, 0.9, 2, np.random.default_rng(0)) for replay, size in ((fresh, 32 - count), (recorded, count))]
    batch = mix(*parts)
    assert (batch.slots < 0).sum() == count
    np.testing.assert_array_equal(batch.slots, np.concatenate([parts[0].slots, -1 - parts[1].slots]))
    for name in ("reward", "discount", "action", "previous"):
        assert torch.equal(getattr(batch, name), torch.cat([getattr(part, name) for part in parts]))
    now, after = batch.observation["state"].chunk(2)
    assert torch.equal(now, torch.cat([part.observation["state"].chunk(2)[0] for part in parts]))
    assert torch.equal(after, torch.cat([part.observation["state"].chunk(2)[1] for part in parts]))


def test_refusals_name_the_bad_value():
    replay = recorded_replay(CONTRACT, [episode(4)])
    with pytest.raises(ValueError, match=r"must be in \(0, 1\), got 1"):
        Offline(replay, 1, "test")
    with pytest.raises(ValueError, match=r"a share of 0.01 of batches of 16 is 0; both parts need at least 1"):
        Offline(replay, 0.01, "test").count(16)
    with pytest.raises(ValueError, match="the recordings hold no transition"):
        recorded_replay(CONTRACT, [])
