import numpy as np
import pytest
import torch

from isthmus import CameraSpec, Contract, Limits, Signal
from isthmus_policies.features import WAY_SCALE, FeatureEncoder

JOINTS = ("a", "b")


def contract(*signals):
    limits = Limits(JOINTS, (-3.0,) * 2, (3.0,) * 2, (1.0,) * 2, (np.inf,) * 2, (5.0,) * 2, (10.0,) * 2)
    action = Signal("joint_velocity", "joint_velocity", JOINTS, "rad/s", (-1.0,) * 2, (1.0,) * 2)
    return Contract("arm", "test", signals, action, limits, 0.05)


ANGLE = Signal("q", "joint_position", JOINTS, "rad", (-3.0,) * 2, (3.0,) * 2)
SPEED = Signal("v", "joint_velocity", JOINTS, "rad/s", (-2.0, 0.0), (2.0, 4.0))
TOOL = Signal("tool", "pose", ("x", "y"), "m", (-1.0,) * 2, (1.0,) * 2)
GOAL = Signal("goal", "input", ("x", "y"), "m", (-1.0,) * 2, (1.0,) * 2)


def encode(made, **values):
    return FeatureEncoder(made)({name: torch.tensor([value], dtype=torch.float32) for name, value in values.items()})[0]


def test_angles_become_cosines_and_sines():
    features = encode(contract(ANGLE), q=[[0.0, np.pi / 2]])
    torch.testing.assert_close(features, torch.tensor([1.0, 0.0, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_a_whole_turn_changes_nothing():
    once, twice = encode(contract(ANGLE), q=[[0.3, -1.0]]), encode(contract(ANGLE), q=[[0.3 + 2 * np.pi, -1.0 - 2 * np.pi]])
    torch.testing.assert_close(once, twice, atol=1e-5, rtol=0)


def test_joints_that_slide_are_scaled_to_one_beside_those_that_turn():
    mixed = Signal("q", "joint_position", ("a", "b", "slide"), "rad, rad, m", (-3.0, -3.0, 0.0), (3.0, 3.0, 0.04), history=2)
    made = contract(mixed)
    assert FeatureEncoder(made).size == 2 * (2 * 2 + 1)
    features = encode(made, q=[[0.0, np.pi / 2, 0.0], [np.pi, 0.0, 0.04]])
    expected = [1.0, 0.0, -1.0, 1.0, 0.0, 1.0, 0.0, 0.0, -1.0, 1.0]
    torch.testing.assert_close(features, torch.tensor(expected), atol=1e-6, rtol=0)


def test_bounded_signals_are_scaled_to_one():
    torch.testing.assert_close(encode(contract(SPEED), v=[[2.0, 0.0]]), torch.tensor([1.0, -1.0]))


def test_unbounded_elements_stay_as_they_are():
    free = Signal("v", "joint_velocity", JOINTS, "rad/s", (-np.inf, 0.0), (np.inf, 4.0))
    torch.testing.assert_close(encode(contract(free), v=[[7.0, 4.0]]), torch.tensor([7.0, 1.0]))


def test_the_way_from_tool_to_goal_is_made_explicit():
    features = encode(contract(TOOL, GOAL), tool=[[0.1, 0.2]], goal=[[0.1 + WAY_SCALE, 0.2]])
    torch.testing.assert_close(features[-2:], torch.tensor([1.0, 0.0]), atol=1e-6, rtol=0)


def test_size_counts_every_feature_with_history():
    long = Signal("q", "joint_position", JOINTS, "rad", (-3.0,) * 2, (3.0,) * 2, history=3, stride=2)
    made = contract(long, SPEED, TOOL, GOAL)
    encoder = FeatureEncoder(made)
    observation = {signal.name: torch.zeros(5, signal.history, *signal.shape) for signal in made.observation}
    assert encoder(observation).shape == (5, encoder.size)


def picture(size):
    return Signal("wrist", "image", (), "1", (), (), dtype="uint8", history=2, camera=CameraSpec(size, size))


def test_images_become_features_beside_the_others():
    made = contract(ANGLE, picture(40))
    encoder = FeatureEncoder(made)
    pictures = torch.randint(0, 256, (3, 2, 40, 40, 3), dtype=torch.uint8)
    features = encoder({"q": torch.zeros(3, 1, 2), "wrist": pictures})
    assert features.shape == (3, encoder.size)
    assert not torch.equal(features[0], features[1])
    assert sum(parameter.numel() for parameter in encoder.parameters())


def test_images_that_vanish_in_the_convolutions_are_refused_by_name():
    with pytest.raises(ValueError, match="signal 'wrist': images must have 36 pixels per side or more, got 35 × 35"):
        FeatureEncoder(contract(ANGLE, picture(35)))
