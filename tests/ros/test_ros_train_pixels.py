"""A learner that sees trains on a robot: pictures come over its camera's topic, and the reward knows where the simulation put the ball."""

import json

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("cv2")

from ros_bench import Late
from ros_policies import still

from isthmus.artifact import Artifact
from isthmus_policies.checkpoint import load_checkpoint, newest_checkpoint
from isthmus_policies.environment import LostError
from isthmus_ros.evaluation.processes import RosError
from isthmus_ros.training.robot_env import RobotEnv
from isthmus_sim import make_vec
from isthmus_sim.tasks import get_task

TASK = get_task("reach-pixels")
LATE = ("stale", "did not run", "s old", "silent", "offers service", "did not answer", "did not begin", "came too late")
SMALL = ("--small", "--learning-starts", 60, "--batch-size", 8, "--hidden", 16, "--channels", 4, "--evaluate-every", 1000)


def first_picture(seed):
    env = make_vec(TASK.name, 1)
    picture = env.reset(seed=seed)[0]["side"][0, -1].astype(float)
    env.close()
    return picture


@pytest.mark.ros
def test_pictures_and_rewards_are_of_the_same_ball():
    seed = int(np.random.default_rng(5).integers(2**31))  # of the first episode
    try:
        env = RobotEnv(TASK, still(TASK.contract))
        try:
            env.reset(seed=5)
            observation = env.begin()
            assert observation["side"].dtype == np.uint8
            assert observation["side"].shape == (1, 3, 84, 84, 3)
            seen = observation["side"][0, -1].astype(float)
            for _ in range(3):
                observation, reward, _, truncated, info = env.step(np.zeros((1, 6)))
                if truncated[0]:
                    raise Late
            place = env._course._standing["ball"][:, :3]
            distance = np.linalg.norm(observation["tool0"][0, -1] - place[0])
            assert reward[0] == pytest.approx(-distance - 0.3 * np.log(distance + 0.01), abs=0.01)
            assert not info["invalid"][0]
        finally:
            env.close()
    except (LostError, RosError) as error:
        if any(words in str(error) for words in LATE):
            raise Late from None
        raise
    here, elsewhere = (np.abs(seen - first_picture(other)).mean() for other in (seed, seed + 1))
    assert here < 0.5 * elsewhere


@pytest.mark.ros
def test_the_command_trains_from_pictures_on_the_robot_and_goes_on(isthmus, tmp_path):
    words = ("train", "mentor", TASK.name, "--plant", "ros", *SMALL, "--out", tmp_path / "run")
    code, _, told = isthmus(*words, "--steps", 130, "--overwrite")
    if code != 0 and any(sentence in told for sentence in LATE):
        raise Late
    assert code == 0, told
    (evaluation,) = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite([evaluation["return"], evaluation["success"]]).all()
    policy = Artifact.load(tmp_path / "run" / "policy.isthmus")
    assert policy.training["algorithm"] == "mentor"
    memory = load_checkpoint(newest_checkpoint(tmp_path / "run" / "checkpoints"))[0]
    frames = memory["memory.image_side"].numpy()
    assert len(np.unique(frames.reshape(-1, frames[0, 0].size), axis=0)) > 20
    code, out, told = isthmus(*words, "--steps", 150, "--resume")
    if code != 0 and any(sentence in told for sentence in LATE):
        raise Late
    assert code == 0, told
    assert "goes on at 130 of 150" in out
