import dataclasses

import numpy as np
import pytest
import torch

from isthmus.artifact import Artifact
from isthmus.testing import policy_conformance
from isthmus_policies.export import PARITY_SAMPLES, export_graph
from isthmus_policies.features import FeatureEncoder
from isthmus_sim.tasks import get_task

CONTRACT = get_task("reach").contract


class Actor(torch.nn.Module):
    def __init__(self, contract=CONTRACT):
        super().__init__()
        torch.manual_seed(0)
        self.features = FeatureEncoder(contract)
        self.body = torch.nn.Sequential(torch.nn.Linear(self.features.size, 64), torch.nn.ReLU(), torch.nn.Linear(64, 6), torch.nn.Tanh())

    def forward(self, observation):
        return 1.5 * self.body(self.features(observation))[:, None]


class Drifting(Actor):
    """Computes something else every time, as a module with hidden state does."""

    calls = 0

    def forward(self, observation):
        self.calls += 1
        return super().forward(observation) + 1e-3 * self.calls


def observations(count=PARITY_SAMPLES):
    generator = np.random.default_rng(0)
    return {signal.name: generator.uniform(-1, 1, (count, 1, *signal.shape)).astype(np.float32) for signal in CONTRACT.observation}


def test_file_computes_what_the_network_computes(tmp_path):
    actor, samples = Actor(), observations()
    path = tmp_path / "policy.isthmus"
    export_graph(CONTRACT, actor, samples, training={"algorithm": "none"}).save(path)
    loaded = Artifact.load(path)
    assert loaded.contract.digest() == CONTRACT.digest()
    with torch.no_grad():
        eager = actor({name: torch.from_numpy(value) for name, value in samples.items()}).numpy()
    np.testing.assert_allclose(loaded.policy().act(samples).actions, eager, atol=1e-5 * 3.0)


def test_exported_policy_conforms():
    policy_conformance(export_graph(CONTRACT, Actor(), observations()).policy())


class Sequences(Actor):
    """Two actions, of which one is exported wrongly and one differs between the precisions, by given shares of the range, 3 rad/s."""

    def __init__(self, wrong, share, rounded, rounding):
        super().__init__()
        self.offset, self.rounding = torch.zeros(2, 1), torch.zeros(2, 1)
        self.offset[wrong], self.rounding[rounded] = 3.0 * share, 3.0 * rounding

    def forward(self, observation):
        actions = super().forward(observation)
        if torch.onnx.is_in_onnx_export():
            return actions + self.offset
        return actions + self.rounding if actions.dtype == torch.float64 else actions.expand(-1, 2, -1)


def test_a_graph_may_differ_more_where_precision_does_and_in_what_follows_from_there():
    contract = dataclasses.replace(CONTRACT, horizon=2)
    export_graph(contract, Sequences(1, 5e-5, 1, 2e-5), observations())
    export_graph(contract, Sequences(1, 5e-5, 0, 2e-5), observations())
    for module in (Sequences(1, 5e-5, 1, 0.0), Sequences(0, 5e-5, 1, 2e-5), Sequences(1, 5e-4, 1, 2e-5), Sequences(1, 2e-2, 1, 1e-2)):
        with pytest.raises(ValueError, match="exported graph differs"):
            export_graph(contract, module, observations())


def test_a_graph_that_differs_is_refused_with_the_joint():
    with pytest.raises(ValueError, match=r"exported graph differs from the trained one by .* of the range of \w+_joint, allowed is 1e-05"):
        export_graph(CONTRACT, Drifting(), observations())


def test_what_cannot_be_exported_is_named():
    with pytest.raises(ValueError, match=r"^module must be of type Module, got None$"):
        export_graph(CONTRACT, None, observations())
    missing = observations()
    del missing["joint_velocity"]
    with pytest.raises(ValueError, match=r"^observations have no 'joint_velocity', which the contract observes; there are: "):
        export_graph(CONTRACT, Actor(), missing)


@pytest.mark.parametrize("batch", range(1, 10))
def test_a_row_does_not_depend_on_how_many_others_there_are(batch):
    """onnxruntime rounds the rows that are left of blocks of four otherwise: by up to 1.4e-7 of the range after a recurrence of 30 actions."""
    policy, samples = export_graph(CONTRACT, Actor(), observations()).policy(), observations(24)
    whole = policy.act(samples).actions
    for first in range(0, 24 - batch, 5):
        part = policy.act({name: values[first : first + batch] for name, values in samples.items()}).actions
        np.testing.assert_array_equal(part, whole[first : first + batch])


class Blind(Actor):
    """Does not look at one signal."""

    def forward(self, observation):
        position = observation["joint_position"]
        return 0.1 * torch.tanh(position[:, -1:])


def test_a_network_that_ignores_signals_is_exported(tmp_path):
    policy = export_graph(CONTRACT, Blind(), observations()).policy()
    policy_conformance(policy)
    samples = observations(3)
    assert {signal.name for signal in CONTRACT.observation} > {"joint_position"}
    np.testing.assert_allclose(policy.act(samples).actions, 0.1 * np.tanh(samples["joint_position"][:, -1:]), atol=1e-6)


def test_bounds_of_numpy_are_plain_numbers_when_written():
    bounded = dataclasses.replace(
        CONTRACT,
        control_period=np.float64(CONTRACT.control_period),
        horizon=np.int64(1),
        action=dataclasses.replace(
            CONTRACT.action, low=np.array(CONTRACT.action.low), high=[np.float32(one) for one in CONTRACT.action.high]
        ),
    )
    assert bounded.to_json() == CONTRACT.to_json()
    assert {type(one) for one in (*bounded.action.low, *bounded.action.high, bounded.control_period)} == {float}
    assert repr(bounded.action) == repr(CONTRACT.action)
