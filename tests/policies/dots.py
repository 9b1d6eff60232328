"""What the tests of learners from pictures share: a world of two dots that is drawn without a renderer."""

import numpy as np
import torch

from isthmus import Contract, Limits, Signal
from isthmus.signals import CameraSpec
from isthmus_policies.mentor.config import MentorConfig
from isthmus_policies.mentor.learner import Mentor
from isthmus_policies.outcome import Evaluation
from isthmus_policies.replay import Batch
from isthmus_policies.training import train

SIZE = 24
STEPS = 25
TINY = {"channels": 4, "features": 8, "hidden": 16, "batch_size": 16, "shift": 2}
PLAIN = {"experts": 1, "perturbation": "none", "exploration": "linear", "exploitation": 0.0}  # DrQ-v2
_JOINTS = ("x", "y")


def dots_contract(cameras=("eye",), size=SIZE, history=2, numbers=False, channels=3, joints=_JOINTS):
    """One picture per camera, and with `numbers` where the red dot is."""
    spec = CameraSpec(size, size, channels, "rgb8" if channels == 3 else "mono8")
    seen = tuple(Signal(name, "image", (), "1", (), (), dtype="uint8", history=history, camera=spec) for name in cameras)
    told = (Signal("place", "input", _JOINTS, "1", (-1.0,) * 2, (1.0,) * 2),) if numbers else ()
    limits = Limits(joints, *[(bound,) * len(joints) for bound in (-9.0, 9.0, 9.0, np.inf, 9.0, 9.0)])
    high = (2.0, 1.0, 1.0, 1.0)[: len(joints)]
    action = Signal("joint_velocity", "joint_velocity", joints, "rad/s", tuple(-bound for bound in high), high)
    return Contract("dots", "two-dots", (*seen, *told), action, limits, 0.05)


class TwoDots:
    """A red dot is moved to a green one; the reward is exp(−3 × distance). A row in which an episode ends begins the next."""

    def __init__(self, contract, num_envs=1):
        self.contract, self.num_envs, self.progress, self.hidden = contract, num_envs, 0.0, np.zeros((num_envs, 0))
        (self._camera, *_) = (signal for signal in contract.observation if signal.source == "image")

    def reset(self, *, seed):
        self._generators = [np.random.default_rng([seed, row]) for row in range(self.num_envs)]
        self._places, self._time = np.zeros((self.num_envs, 2, 2)), np.zeros(self.num_envs, int)
        self._stack = np.zeros((self.num_envs, self._camera.history, *self._camera.shape), np.uint8)
        for row in range(self.num_envs):
            self._begin(row)
        return self._observation(), {}

    def step(self, actions):
        self._places[:, 0] = np.clip(self._places[:, 0] + 0.2 * actions / np.array([2.0, 1.0]), -1, 1)
        self._time += 1
        self._stack[:, :-1] = self._stack[:, 1:]
        for row in range(self.num_envs):
            self._stack[row, -1] = self._picture(row)
        reward = np.exp(-3 * np.linalg.norm(self._places[:, 0] - self._places[:, 1], axis=1))
        ended, info, observation = self._time >= STEPS, {}, self._observation()
        if ended.any():
            info["final_obs"] = observation
            for row in np.flatnonzero(ended):
                self._begin(row)
            observation = self._observation()
        return observation, reward, ended & False, ended, info

    def _begin(self, row):
        self._places[row] = self._generators[row].uniform(-1, 1, (2, 2))
        self._time[row] = 0
        self._stack[row] = self._picture(row)

    def _picture(self, row):
        picture = np.zeros(self._camera.shape, np.uint8)
        for color, place in enumerate(self._places[row]):
            down, right = np.round((place + 1) / 2 * (self._camera.shape[0] - 3)).astype(int)
            picture[down : down + 3, right : right + 3, min(color, picture.shape[2] - 1)] = 255
        return picture

    def _observation(self):
        seen = {signal.name: self._stack.copy() for signal in self.contract.observation if signal.source == "image"}
        told = {signal.name: self._places[:, :1].astype(np.float32) for signal in self.contract.observation if signal.source == "input"}
        return {**seen, **told}


def pictured_batch(contract, count=6, seed=0):
    """A batch of noise."""
    generator = np.random.default_rng(seed)
    seen = {}
    for signal in contract.observation:
        shape = (2 * count, signal.history, *signal.shape)
        drawn = generator.integers(0, 256, shape, dtype=np.uint8) if signal.camera else generator.uniform(-1, 1, shape).astype(np.float32)
        seen[signal.name] = torch.from_numpy(drawn)
    action = torch.from_numpy(generator.uniform(-1, 1, (count, 2)).astype(np.float32))
    return Batch(np.arange(count), seen, action, action, torch.ones(count), torch.full((count,), 0.9))


class Killed(Exception):
    pass


def trained(out, algorithm, killed=None, **settings):
    """A training of 200 control periods on two dots, which is killed after some of them."""
    times = {"steps": 200, "learning_starts": 60, "evaluate_every": 1000, "checkpoint_every": 90, "buffer_size": 150}
    config = MentorConfig(**{**TINY, **times, **settings})
    contract = dots_contract(numbers=True)

    def progress(step, total, evaluation):
        if killed and step >= killed:
            raise Killed

    learner = Mentor(contract, config, 0, algorithm)
    told = {"config": config, "seed": 0, "resume": True, "progress": progress}
    return train(learner, TwoDots(contract, config.num_envs), lambda policy: Evaluation(0.0, None), out, **told)
