"""No card is needed to see that nothing is left behind on the CPU: PyTorch's `meta` device has shapes and no numbers, and refuses to be mixed."""

import numpy as np
import pytest
import torch
from transitions import filled_replay, small_contract

import isthmus_policies.soft
from isthmus_policies.dsac_t import DsacT, DsacTConfig
from isthmus_policies.learner import find_device
from isthmus_policies.sac import Sac, SacConfig
from isthmus_policies.srl import Srl, SrlConfig

CONTRACT = small_contract()
LEARNERS = [(Sac, SacConfig), (DsacT, DsacTConfig), (Srl, SrlConfig)]


@pytest.fixture(params=LEARNERS, ids=lambda pair: pair[0].__name__)
def elsewhere(request, monkeypatch):
    kind, config = request.param
    monkeypatch.setattr(isthmus_policies.soft, "find_device", lambda name: torch.device("meta"))
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: 0.0 if self.is_meta else item(self))
    return kind(CONTRACT, config())


def test_an_update_is_computed_on_the_learners_device(elsewhere):
    replay, generator = filled_replay(elsewhere.contract), np.random.default_rng(0)
    for _ in range(2):  # DSAC-T improves its actor every second time
        elsewhere.update(lambda: replay.sample(16, 0.9, 1, generator), 1.0)
    on = {name: tensor.device.type for name, tensor in elsewhere.state().items()}
    assert {name for name, device in on.items() if device == "cpu"} == set(on) & {"generator", "updates"}


def test_actions_are_computed_on_the_learners_device(elsewhere):
    observation = {signal.name: np.zeros((2, 1, *signal.shape), np.float32) for signal in elsewhere.contract.observation}
    with pytest.raises(NotImplementedError, match="meta tensor; no data"):  # only when they are brought back
        elsewhere.act(observation, np.zeros((2, 1), np.float32), np.ones(2, bool))


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device must be cpu, cuda or cuda:N, got 'gpu'"):
        SacConfig(device="gpu")
    count = torch.cuda.device_count()
    with pytest.raises(ValueError, match=f"device 'cuda:{count}' is not there: this machine has cpu and "):
        find_device(f"cuda:{count}")
