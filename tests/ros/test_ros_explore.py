"""An excitation on a simulated robot over real DDS: the motion follows it, is recorded, and ends parked, at rest and disarmed."""

import dataclasses
import re
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import Late

from isthmus import Signal, load_robot
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus_bringup.plan import plan
from isthmus_cli.deploy.node_graph import NodeGraph
from isthmus_ros.evaluation.processes import RosError, free_domain, isolated
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros

ROBOT, REACH = load_robot("ur5e"), get_task("reach").contract
AMPLITUDE = 0.3  # rad/s
START = {joint.name: (joint.home, 0.05) for joint in ROBOT.joints}


def excitation(path, duration=3.0, drift=0.0, task="reach"):
    """One sine per joint, of velocity or position; the last joint goes off by more than is ramped back if it is given a `drift` (rad/s)."""
    clock = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
    contract = dataclasses.replace(get_task(task).contract, observation=(clock,), start=START)
    joints, position = len(ROBOT.joints), contract.mode == "position"
    wave = MultiSine(
        base=tuple(ROBOT.home.tolist()) if position else (*(0.0,) * (joints - 1), drift),
        amplitude=tuple((AMPLITUDE / (2 * np.pi if position else 1),) for _ in range(joints)),
        frequency=(1.0,),
        phase=tuple((0.5 * index,) for index in range(joints)),
        fade=0.5,
        duration=duration,
    )
    excitation_artifact(contract, wave).save(path)
    return wave


STALLED = ("s old, 0.", "the guard itself did not run", "no command came within", "no command was decided within", "without an answer")


def run(graph, expected, seconds=20.0):
    """Arm, start and wait until the exploration has come to an end; states and what was executed stay with the link.

    Raises:
        Late: the computer was too busy, and the guard has ended the motion.
    """
    link = graph.link
    graph.up()
    graph.link.insist(graph.link.arm, 10.0)
    link.forget()
    graph.link.insist(lambda: link.trigger("policy/start"), 10.0)
    over = ("parked", "not parked", "interrupted")
    link.until(lambda: link.status.get("exploration") in over and link.status["policy"] == "idle", seconds, f"no end: {link.status}")
    if link.status["exploration"] != expected:
        told = link.status["cause"] + link.status["failure"]
        if any(sign in told for sign in STALLED):
            raise Late
        raise AssertionError(link.status)


def test_the_motion_follows_the_excitation_and_ends_parked_at_rest_and_disarmed(tmp_path):
    wave = excitation(tmp_path / "wave.isthmus")
    given = {"policy": str(tmp_path / "wave.isthmus"), "sim": True, "log_dir": str(tmp_path / "log")}
    planned = plan("identify", given)
    with isolated(free_domain()), NodeGraph(planned, "/joint_states") as graph:
        link = graph.link
        run(graph, "parked")
        link.until(lambda: link.status["armed"] == "false", 5.0, f"not disarmed: {link.status}")
        first, period = link.number("run_sequence"), REACH.control_period
        steps = round(wave.duration / period)
        asked = np.array([link.executed[first + step].velocity for step in range(steps) if first + step in link.executed])
        expected = wave.sample(period * np.arange(steps), np.zeros(len(ROBOT.joints)))
        assert len(asked) >= 0.95 * steps  # executed is not a record: the recorder's file is
        given_at = [step for step in range(steps) if first + step in link.executed]
        followed = np.abs(asked - expected[given_at]).max(axis=1) < 1e-6
        assert followed.mean() > 0.9, "the guard has let another motion through"
        assert max(map(abs, (value for message in link.states.values() for value in message.velocity))) > 0.5 * AMPLITUDE
        link.forget()
        link.spin(0.5)
        last = link.states[max(link.states)]
        assert max(map(abs, last.velocity)) < ROBOT.monitors.standstill
        assert not link.executed, "something is still commanded"
        for name, position in zip(last.name, last.position, strict=True):
            assert abs(position - START[name][0]) <= START[name][1], name
        codes = [process.end() for process in reversed(graph.processes)]
    assert codes == [0] * len(planned.processes)
    assert not graph.failures
    assert list((tmp_path / "log").glob("*/metadata.yaml"))


def test_an_arm_that_has_gone_too_far_is_not_ramped_back_but_disarmed(tmp_path):
    excitation(tmp_path / "wave.isthmus", drift=0.35)
    given = {"policy": str(tmp_path / "wave.isthmus"), "sim": True, "log_dir": str(tmp_path)}
    with isolated(free_domain()), NodeGraph(plan("identify", given), "/joint_states") as graph:
        run(graph, "not parked")
        graph.link.until(lambda: graph.link.status["armed"] == "false", 5.0, "not disarmed")
        assert re.match(r"not parked: wrist_3_joint is \+0\.[5-9]\d* rad from where it began", graph.link.status["failure"])
    assert not graph.failures


@pytest.mark.parametrize("task", ["reach", "reach-position"])
def test_who_stops_an_exploration_stops_it_where_it_is(task, tmp_path):
    excitation(tmp_path / "wave.isthmus", duration=30.0, task=task)
    given = {"policy": str(tmp_path / "wave.isthmus"), "sim": True, "record": False}
    with isolated(free_domain()), NodeGraph(plan("identify", given), "/joint_states") as graph:
        link = graph.link
        graph.up()
        graph.link.insist(graph.link.arm, 10.0)
        graph.link.insist(lambda: link.trigger("policy/start"), 10.0)
        link.until(lambda: link.status["policy"] == "run" and link.number("sequence") > link.number("run_sequence") + 20, 10.0, "no run")
        link.trigger("policy/stop")
        link.until(lambda: link.status["policy"] == "idle", 5.0, "no standstill")
        link.forget()
        link.spin(0.5)
        still = {tuple(np.round(message.position, 9)) for message in link.executed.values()}
        assert len(still) <= 1, "the set-point does not stand still"
        assert link.status["exploration"] == "interrupted"
        assert link.status["armed"] == "true"
    assert not graph.failures


def test_a_shadow_plays_the_excitation_to_its_end_and_commands_nothing(tmp_path):
    excitation(tmp_path / "wave.isthmus", duration=1.5)
    given = {"policy": str(tmp_path / "wave.isthmus"), "sim": True, "shadow": True, "log_dir": str(tmp_path)}
    planned = plan("identify", given)
    assert [process.name for process in planned.processes] == ["record_node", "sim_node", "explore_node"]
    with isolated(free_domain()), NodeGraph(planned, "/joint_states") as graph:
        link = graph.link
        graph.up()
        graph.link.insist(lambda: link.trigger("policy/start"), 10.0)
        link.until(lambda: link.status.get("motion") == "1" and link.status["policy"] == "idle", 10.0, "no end")
        assert not link.executed
        assert "exploration" not in link.status
    assert not graph.failures


def test_what_has_no_end_or_cannot_be_parked_is_refused(tmp_path, capfd):
    still = get_task("reach").contract
    from ros_policies import resolved_rate

    resolved_rate(still).save(tmp_path / "endless.isthmus")
    given = {"policy": str(tmp_path / "endless.isthmus"), "sim": True, "record": False}
    with isolated(free_domain()), NodeGraph(plan("identify", given), "/joint_states") as graph, pytest.raises(RosError, match="refused"):
        graph.up()
    assert "the policy has no end of its own" in "".join(capfd.readouterr())


def test_deploy_explores_and_ends_by_itself(tmp_path):
    excitation(tmp_path / "wave.isthmus", duration=2.0)
    words = ["deploy", str(tmp_path / "wave.isthmus"), "--explore", "--sim", "--start", "--log-dir", str(tmp_path)]
    with isolated(free_domain()) as environment:
        began = time.monotonic()
        command = [sys.executable, "-c", "import sys; from isthmus_cli.main import main; sys.exit(main())", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0 and any(sign in done.stdout for sign in STALLED):
        raise Late
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exploration: parked" in done.stdout
    assert time.monotonic() - began > 2.0
    assert list(tmp_path.glob("*/*.mcap"))
