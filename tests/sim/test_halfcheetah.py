import importlib.util
from pathlib import Path

import gymnasium
import numpy as np

from isthmus_sim.vector_env import TaskVectorEnv

path = Path(__file__).parents[2] / "benchmarks" / "halfcheetah.py"
spec = importlib.util.spec_from_file_location("halfcheetah", path)
halfcheetah = importlib.util.module_from_spec(spec)
spec.loader.exec_module(halfcheetah)


def test_the_halfcheetah_of_the_benchmark_is_that_of_gymnasium():
    env = TaskVectorEnv(halfcheetah.halfcheetah(), halfcheetah.HalfCheetahPlant(2), guard=False)
    first = env.reset(seed=0)[0]
    original = gymnasium.make("HalfCheetah-v5")
    original.reset(seed=0)
    position = np.concatenate([[env.plant.truth().position[1, 0]], first["height"][1, 0], first["angles"][1, 0]])
    original.unwrapped.set_state(position, np.concatenate([first["velocity"][1, 0], first["rates"][1, 0]]))
    for share in np.random.default_rng(0).uniform(-1, 1, (40, 6)):
        observation, reward, *_ = env.step(np.tile(share * list(halfcheetah.GEARS.values()), (2, 1)))
        expected, expected_reward, *_ = original.step(share)
        seen = np.concatenate([observation[name][1, 0] for name in ("height", "angles", "velocity", "rates")])
        np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-12)
        assert abs(reward[1] - expected_reward) < 1e-12
