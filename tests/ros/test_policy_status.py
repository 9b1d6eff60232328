"""`policy/status` says which policy and robot it is of, so that a recording is evidence for what ran; without nodes."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy")

from ros_policies import resolved_rate

from isthmus.artifact import Artifact
from isthmus_ros.common import wire
from isthmus_ros.common.setup import read_setup
from isthmus_ros.policy.reports import policy_status
from isthmus_sim.tasks import get_task


def test_it_says_which_policy_runs_on_which_robot(tmp_path):
    resolved_rate(get_task("reach").contract).save(file := tmp_path / "policy.isthmus")
    artifact = Artifact.load(file)
    told = {"policy": str(file), "robot": "", "robots_dir": "", "joint_prefix": "", "clock": "wall", "stamp_check": "absolute"}
    node = SimpleNamespace(get_parameter=lambda name: SimpleNamespace(value=told[name]), get_namespace=lambda: "/")
    setup = read_setup(node, artifact.contract)
    plant = SimpleNamespace(epoch="e", sequence=3, stamp=0, robot=setup.robot)
    step = SimpleNamespace(decision=None)
    motion = SimpleNamespace(step=step, moving=True, state="run", starts=1, first=0, stopped=-1, failure="")
    bound = SimpleNamespace(
        setup=setup, policy_digest=artifact.policy_digest, plant=plant, corrections=None, inputs=SimpleNamespace(values=dict)
    )
    (status,) = policy_status(motion, bound, wire.time_of(1)).status
    assert status.hardware_id == "ur5e"
    assert {pair.key: pair.value for pair in status.values}["policy_digest"] == artifact.policy_digest
