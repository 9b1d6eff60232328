"""What the tests of the learners share: a small contract, and replays of made-up transitions."""

import numpy as np

from isthmus import Contract, Limits, Signal
from isthmus_policies.replay import Replay


def small_contract(actions=1, size=2):
    joints = tuple(f"j{index}" for index in range(actions))
    elements = tuple(f"o{index}" for index in range(size))
    limits = Limits(joints, *[(bound,) * actions for bound in (-9.0, 9.0, 9.0, np.inf, 9.0, 9.0)])
    action = Signal("joint_effort", "joint_effort", joints, "N*m", (-1.0,) * actions, (3.0,) * actions)
    observed = Signal("state", "input", elements, "1", (-np.inf,) * size, (np.inf,) * size)
    return Contract("arm", "test", (observed,), action, limits, 0.05)


def filled_replay(contract, periods=200, seed=0, episode=50):
    """One row of noise, whose episodes end by time limit."""
    generator = np.random.default_rng(seed)
    replay = Replay(contract, 4 * periods)
    actions = len(contract.action.elements)

    def observation():
        return {signal.name: generator.normal(size=(1, 1, *signal.shape)).astype(np.float32) for signal in contract.observation}

    before = observation()
    for period in range(periods):
        after = observation()
        action = generator.uniform(-1, 1, (1, actions)).astype(np.float32)
        ended = np.array([period % episode == episode - 1])
        reward = generator.normal(size=1)
        replay.add(before, np.zeros_like(action), action, reward, np.zeros(1, bool), ended, after)
        before = after
    return replay
