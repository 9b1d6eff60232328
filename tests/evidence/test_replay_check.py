"""Recordings once more, through observation, policy and guard, and open loop."""

from dataclasses import replace

import numpy as np
import pytest
from mcap_ros2.writer import Writer

from isthmus import messages
from isthmus.robot import load_robot
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence.gap.planted import record_episodes
from isthmus_evidence.gap.recordings import Recording, check_comparable, read_recordings
from isthmus_evidence.pictures.divergence import save_divergence
from isthmus_evidence.replay import open_loop, replay
from isthmus_evidence.reports.replay_report import divergence_report, replay_report
from isthmus_sim.identification.bag_commands import CommandTopics
from isthmus_sim.identification.recorded import trace_log
from isthmus_sim.tasks import get_task

TASK = replace(get_task("reach"), episode_steps=20)
ROBOT = load_robot("ur5e")


@pytest.fixture(scope="module")
def policy():
    return scripted_artifact(TASK.contract).policy()


@pytest.fixture(scope="module")
def traces(tmp_path_factory, policy):
    folder = tmp_path_factory.mktemp("recorded")
    record_episodes(TASK, policy, "mujoco", range(2), folder / "clean")
    record_episodes(TASK, policy, "mujoco", range(2), folder / "hidden", "stale history", hidden=True)
    return {name: [recording.trace for recording in read_recordings([folder / name])] for name in ("clean", "hidden")}


def test_an_episode_is_what_comes_of_it_again(traces, policy):
    stages = replay(traces["clean"][0], policy, ROBOT)
    assert [stage.name for stage in stages][-2:] == ["policy", "guard"]
    assert all(stage.equal == stage.compared > 0 and stage.passes for stage in stages)
    assert any("1 of 1 recordings" in str(part) for part in replay_report({"clean": stages}))


def test_the_stage_and_the_period_of_the_first_difference_are_named(traces, policy):
    stages = {stage.name: stage for stage in replay(traces["hidden"][0], policy, ROBOT)}
    assert stages["observation joint_position"].passes
    assert not stages["policy"].passes
    assert stages["policy"].first[0] == 1  # the first period in which an older observation is another one
    assert stages["guard"].passes


def test_a_changed_command_differs_in_the_guard_alone(traces, policy):
    trace = traces["clean"][0]
    executed = trace.executed.copy()
    executed[7, 2] += 1e-12
    stages = {stage.name: stage for stage in replay(replace(trace, executed=executed), policy, ROBOT)}
    assert stages["guard"].first[:2] == (7, "elbow_joint")
    assert not stages["guard"].passes
    assert stages["policy"].passes


def test_a_guard_in_another_process_is_left_out(traces, policy):
    trace = traces["clean"][0]
    guard = replay(replace(trace, metadata={"plant": "ros"}), policy, ROBOT)[-1]
    assert guard.skipped
    assert guard.passes


def test_a_solver_has_a_tolerance(traces, policy):
    trace = traces["clean"][0]
    near = replace(trace, actions=trace.actions + 1e-4)
    assert not replay(near, policy, ROBOT)[-2].passes
    assert replay(near, policy, ROBOT, tolerance=1e-2)[-2].passes


def test_a_tolerance_is_a_share_of_the_range_of_each_action(traces, policy):
    trace = traces["clean"][0]
    action = trace.contract.action
    wide = replace(trace.contract, action=replace(action, low=(-100.0, *action.low[1:]), high=(100.0, *action.high[1:])))
    apart = np.zeros(len(action.elements))
    apart[1] = 0.02 * (action.high[1] - action.low[1])

    class Wide:
        contract = wide
        reset, act = policy.reset, policy.act

    stage = replay(replace(trace, contract=wide, actions=trace.actions + apart), Wide(), ROBOT, tolerance=1e-2)[-2]
    assert stage.largest == pytest.approx(0.02)
    assert not stage.passes


def test_a_recording_of_which_nothing_was_compared_is_not_called_equal(traces, policy):
    clean = traces["clean"][0]
    blind = replay(replace(clean, observations={}, decisions=np.zeros(0, dtype=int), metadata={"plant": "ros"}), policy, ROBOT)
    assert not any(stage.compared for stage in blind)
    told = list(replay_report({"clean": replay(clean, policy, ROBOT), "blind": blind}))
    assert told[-1] == "1 of 2 recordings are what comes of them again; of 1 nothing could be compared"
    rows = {row[0]: row[-1] for row in told[0].rows}
    assert rows["guard"] == "equal, 1 of 2 not compared: it ran in another process, in its own time"


def test_commands_in_the_simulator_that_they_come_from_give_the_same_motion(traces, tmp_path):
    found = open_loop(traces["clean"][1], TASK, "mujoco", ROBOT)
    np.testing.assert_allclose(found.position, 0, atol=1e-9)
    other = open_loop(traces["clean"][1], TASK, "pybullet", ROBOT)
    assert 0 < np.abs(other.position).max() < 0.1
    assert other.tool.max() > 0
    save_divergence({"here": found, "there": other}, tmp_path / "apart.svg")
    assert (tmp_path / "apart.svg").stat().st_size > 1000
    assert len(list(divergence_report({"there": other}, "reach", "pybullet"))) == 2


def test_a_bag_of_a_driver_is_simulated_and_compared_by_the_topics_of_the_profile(traces, tmp_path):
    trace = traces["clean"][1]
    file, begin = tmp_path / "ur.mcap", 10**9
    names = ("sensor_msgs/msg/JointState", "std_msgs/msg/Float64MultiArray")
    with file.open("wb") as stream:
        writer = Writer(stream)
        state, array = (writer.register_msgdef(name, messages.SCHEMAS[name]) for name in names)
        for row in range(len(trace)):
            stamp = begin + round(trace.stamps[row] * 1e9)
            said = messages.joint_state(
                messages.header(stamp), trace.joints, position=trace.position[[row]], velocity=trace.velocity[[row]]
            )
            writer.write_message("/joint_states", state, said, log_time=stamp, publish_time=stamp)
            told = messages.multi_array(trace.executed[row], "")
            writer.write_message("/forward_velocity_controller/commands", array, told, log_time=stamp, publish_time=stamp)
        writer.finish()
    (recording,) = read_recordings([file], CommandTopics(robot=ROBOT))
    check_comparable([Recording(trace_log(trace, "trace"), trace)], [recording])
    np.testing.assert_allclose(open_loop(recording.log, TASK, "mujoco", ROBOT).position, 0, atol=1e-6)
    with pytest.raises(ValueError, match=r"velocity here, none there; those of bags are read from .*--commands TOPIC"):
        check_comparable([Recording(trace_log(trace, "trace"), trace)], read_recordings([file]))


def test_another_policy_is_refused_with_the_difference(traces):
    other = scripted_artifact(get_task("reach-position").contract).policy()
    with pytest.raises(ValueError, match="another contract than the recording"):
        replay(traces["clean"][0], other, ROBOT)
    with pytest.raises(ValueError, match=r"the recording has velocity commands .*; task 'reach-position' takes position"):
        open_loop(traces["clean"][0], get_task("reach-position"), "mujoco", ROBOT)


def test_what_is_missing_at_the_end_is_said(traces):
    trace = traces["clean"][0]
    assert Recording(trace_log(trace, "run"), trace, name="run").cut_off == ""
    cut = Recording(trace_log(trace, "run"), replace(trace, complete=False), name="run")
    assert cut.cut_off == f"run was cut off: {len(trace)} control periods are left of it"
