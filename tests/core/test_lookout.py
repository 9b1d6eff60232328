"""Always watching: from arming to disarming every sample is looked at, whether anything is commanded or not."""

import dataclasses

import numpy as np
import pytest
from stream_bench import COUNT, ELBOW, JOINTS, PERIOD, ROBOT, Arm, Bench

from isthmus.guard import STOP, LimitGuard
from isthmus.lookout import Lookout
from isthmus.phases import Phase
from isthmus.timing import Timing

MODES = ["velocity", "position"]


def elbow(speed):
    values = np.zeros(COUNT)
    values[ELBOW] = speed
    return values


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_arm_that_runs_away_is_let_go_and_its_driver_is_called(mode):
    bench = Bench(mode).armed().run(0.5)
    bench.arm.driven = elbow(-1.5)
    bench.run(0.4)
    assert bench.phase is Phase.STOPPED
    assert bench.helped == ["elbow_joint runs away though nothing is commanded"] == [bench.stream.cause]
    assert abs(bench.arm.position[0, ELBOW] - ROBOT.home[ELBOW]) < 0.65


@pytest.mark.parametrize("speed", [0.1, 0.3])
@pytest.mark.parametrize("mode", MODES)
def test_an_idle_arm_that_runs_away_slowly_is_a_runaway_all_the_same(mode, speed):
    """On 2579444 it had to be fast enough for 0.3 rad within half a second."""
    bench = Bench(mode).armed().run(0.5)
    bench.arm.driven = elbow(speed)
    bench.run(0.35 / speed)
    assert bench.phase is Phase.STOPPED
    assert bench.helped == ["elbow_joint runs away though nothing is commanded"]


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_arm_that_is_pushed_is_disarmed_with_the_cause_and_never_pulled_back(mode):
    bench = Bench(mode).armed().run(0.5)
    bench.arm.driven = elbow(0.2)
    bench.run(0.4)
    sent = len(bench.arm.sent)
    bench.arm.driven = elbow(0.0)
    bench.run(2.0)
    assert (bench.phase, bench.helped) == (Phase.DISARMED, [])
    assert "elbow_joint was moved by 0.051 rad while nothing was commanded" in bench.stream.cause
    assert len(bench.arm.sent) == sent
    bench.stream.reset()
    assert bench.stream.cause == ""
    bench.armed()
    assert bench.stream.cause == ""


@pytest.mark.parametrize("mode", MODES)
def test_a_joint_that_slides_is_watched_within_its_short_range(mode):
    """On 2ac73ae a finger of 42.5 mm could run from end to end: its thresholds were 50 mm and 0.3 m."""
    short = dataclasses.replace(ROBOT.joints[ELBOW], type="prismatic", position=(1.56, 1.60), home=1.58)
    robot = dataclasses.replace(ROBOT, joints=tuple(short if joint.name == "elbow_joint" else joint for joint in ROBOT.joints))
    bench = Bench(mode, robot)
    bench.arm.position[0, ELBOW] = 1.58
    bench.run(0.1).armed().run(0.5)
    bench.arm.driven = elbow(0.02)
    bench.run(0.6)
    assert bench.stream.cause == "disarmed: elbow_joint was moved by 0.0081 m while nothing was commanded"
    bench.run(0.6)
    assert bench.helped == ["elbow_joint runs away though nothing is commanded"]
    bench = Bench(mode, robot)
    bench.arm.position[0, ELBOW] = 1.58
    bench.run(0.1).armed().cruise(0.0, 0.3)
    bench.arm.driven = elbow(0.02)
    bench.run(1.0, lambda t: np.zeros(COUNT) if mode == "velocity" else robot.home)
    assert bench.helped == ["elbow_joint runs away from its command"]


def nan(sample):
    return dataclasses.replace(sample, position=np.full_like(sample.position, np.nan))


def jump(sample):
    return dataclasses.replace(sample, position=sample.position + 1.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("spoil", "cause"), [(nan, "is not finite"), (jump, "jumped")], ids=["NaN", "jump"])
def test_an_idle_arm_whose_samples_are_wrong_is_stopped(mode, spoil, cause):
    bench = Bench(mode).armed().run(0.5)
    bench.arm.tell = spoil
    bench.run(0.05)
    assert (bench.stream.rung, bench.helped) == (STOP, [])
    assert cause in bench.stream.cause
    bench.run(1.0)
    assert (bench.phase, bench.helped) == (Phase.STOPPED, [])


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_arm_whose_stamps_stand_still_is_stopped(mode):
    bench = Bench(mode).armed().run(0.5)
    bench.arm.frozen = True
    bench.run(0.3)
    assert bench.stream.rung == STOP


def test_a_wrong_time_of_the_sample_holds_first_and_stops_a_period_later():
    bench = Bench().armed().cruise()
    bench.arm.trouble = "stamped ahead"
    bench.run(0.02)
    assert bench.phase is Phase.HOLDING
    bench.run(2 * PERIOD)
    assert bench.changes[-3:] == [Phase.HOLDING, Phase.BRAKING, Phase.STOPPED]  # at rest by then: a hold brakes at every look
    assert "stamped ahead" in bench.stream.cause


@pytest.mark.parametrize("mode", MODES)
def test_a_hold_for_a_sample_does_not_wait_until_a_command_is_missed(mode):
    bench = Bench(mode).armed().cruise()
    bench.run(0.04)
    sent = len(bench.arm.sent)
    bench.arm.trouble = "stamped ahead"
    bench.run(0.03)
    assert (bench.phase, bench.stream.cause) == (Phase.HOLDING, "stamped ahead")
    assert len(bench.arm.sent) > sent


def test_what_the_robot_must_be_stopped_for_is_no_hold_however_short_it_lasts():
    """On df66aab an oscillation near its bound, seen at every other state, was a hold, and a stop half a second later."""
    bench = Bench().armed().cruise()
    bench.arm.alarming = "wrist_1_joint oscillates"
    bench.run(0.005)
    bench.arm.alarming = ""
    bench.run(0.5)
    assert bench.changes[-2:] == [Phase.BRAKING, Phase.STOPPED]
    assert Phase.HOLDING not in bench.changes
    assert bench.stream.cause == "wrist_1_joint oscillates"


@pytest.mark.parametrize("mode", MODES)
def test_states_that_stop_brake_open_loop_and_are_followed_by_silence(mode):
    bench = Bench(mode).armed().cruise()
    bench.arm.silent = True
    bench.run(3.0)
    assert bench.phase is Phase.STOPPED
    assert "the joint state on /joint_states is" in bench.stream.cause
    np.testing.assert_allclose(bench.arm.velocity, 0.0, atol=1e-9)
    sent = len(bench.arm.sent)
    bench.run(5.0)
    assert len(bench.arm.sent) == sent


def test_an_idle_guard_falls_silent_when_states_stop():
    bench = Bench("position").armed().run(0.5)
    bench.arm.silent = True
    bench.run(1.5)
    sent = len(bench.arm.sent)
    bench.run(8.5)
    assert (bench.phase, len(bench.arm.sent)) == (Phase.STOPPED, sent)


def test_a_robot_that_comes_back_elsewhere_is_told_nothing():
    bench = Bench("position").armed().cruise()
    bench.arm.silent = True
    bench.run(0.5)
    bench.arm.position = bench.arm.position + 0.5
    sent = len(bench.arm.sent)
    bench.arm.silent = False
    bench.run(0.02).run(3.0)
    assert bench.phase is Phase.STOPPED
    assert "rad from where it was told to be" in bench.stream._ended
    assert len(bench.arm.sent) == sent


def test_an_effort_fades_when_states_stop_and_the_driver_is_called():
    bench = Bench("effort").armed().run(0.5)
    bench.arm.silent = True
    bench.run(0.2)
    assert len(bench.helped) == 1
    assert bench.stream.rung == STOP
    bench.run(3.0)
    assert bench.phase is Phase.STOPPED
    np.testing.assert_allclose(bench.arm.sent[-1][2], 0.0, atol=1.0)
    assert len(bench.helped) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_joint_that_runs_away_in_motion_is_found_within_its_bound(mode):
    bench = Bench(mode).armed().cruise()
    began = bench.arm.position[0, ELBOW]
    bench.arm.driven = np.where(elbow(1.0) > 0, -2.0, 0.5)
    bench.run(0.3)
    assert len(bench.helped) == 1
    assert abs(bench.arm.position[0, ELBOW] - began) < 0.61
    assert bench.stream.rung == STOP
    assert JOINTS[ELBOW] in bench.stream.cause


def test_a_joint_that_runs_away_after_a_stop_is_told_with_the_cause_of_the_stop():
    bench = Bench().armed().cruise()
    bench.stream.stop("told to")
    bench.arm.driven = elbow(2.0)
    bench.run(0.4)
    assert bench.helped == ["told to, and a joint runs away from its command"]


def test_an_idle_robot_that_is_not_where_its_motion_has_ended_is_stopped():
    bench = Bench()
    bench.arm.place = lambda joints, ago=0.0: bench.arm.position
    bench.armed().run(0.2)
    assert bench.phase is Phase.IDLE
    bench.arm.place = lambda joints, ago=0.0: bench.arm.position + 1.0
    bench.run(0.005)
    assert "does not follow its command" in bench.stream.cause


def test_a_sample_is_as_old_as_its_delay_and_what_has_passed_since():
    bench = Bench().armed().run(0.2)
    bench.arm.delay = 0.06
    bench.run(0.005)
    assert (bench.phase, bench.stream._lookout.glance(0.03)) == (Phase.IDLE, Timing(PERIOD, 0.03, 0.0, 0.06))
    bench.arm.silent = True
    bench.run(0.03)
    assert bench.stream._lookout.glance(0.03).delay == bench.stream._lookout.timing(0.03, bench.arm.now).delay == pytest.approx(0.09)
    assert bench.stream.cause == "the joint state on /joint_states is 0.090 s old, 0.085 s are allowed"


@pytest.mark.parametrize(("realtime", "ago"), [(True, 0.09), (False, 0.0)])
def test_where_a_robot_was_told_to_be_is_asked_for_the_moment_of_its_sample(realtime, ago):
    def place(joints, ago=0.0):
        assert joints == JOINTS
        return np.full((1, COUNT), ago)

    bench = Bench()
    bench.arm.realtime, bench.arm.place, bench.arm.delay, bench.arm.silent = realtime, place, 0.06, True
    bench.arm.pass_time(0.03)
    told = bench.stream._lookout.told()
    np.testing.assert_array_equal(told.now, 0.0)
    np.testing.assert_allclose(told.then, ago)
    bench.arm.place = lambda joints, ago=0.0: None
    assert bench.stream._lookout.told() is None


def test_an_arm_that_was_let_go_and_stands_is_watched_no_longer():
    bench = Bench().armed().run(0.5)
    bench.arm.driven = elbow(0.2)
    bench.run(0.3)
    bench.arm.driven = elbow(0.0)
    bench.run(1.0)
    bench.arm.driven = elbow(3.0)
    bench.run(1.0)
    assert (bench.phase, bench.helped) == (Phase.DISARMED, [])


def test_a_robot_that_comes_back_where_it_was_goes_on_braking():
    bench = Bench("position").armed().cruise()
    bench.arm.silent = True
    bench.run(0.2)
    bench.arm.silent = False
    bench.run(0.5)
    assert bench.phase is Phase.STOPPED
    assert "joint state on /joint_states" in bench.stream.cause
    assert bench.stream._ended == ""
    assert not bench.stream._lookout._gap


@pytest.mark.parametrize("elsewhere", [0.0, 0.5])
def test_a_robot_that_is_sent_motions_of_velocities_comes_back_where_it_was_told_to_be_or_is_let_go(elsewhere):
    """It was told where to be, though the commands alone do not say so."""
    bench, lost = Bench("velocity"), [0.0]
    bench.arm.place = lambda joints, ago=0.0: bench.arm.position - lost[0] - bench.arm.velocity * ago
    bench.armed().cruise(speed=1.5)
    bench.arm.silent = True
    bench.run(0.1)
    assert bench.phase is Phase.BRAKING
    lost[0], bench.arm.position = elsewhere, bench.arm.position + elsewhere
    bench.arm.silent = False
    bench.run(0.005)
    assert bench.phase is (Phase.STOPPED if elsewhere else Phase.BRAKING)
    assert bench.stream._ended == (f"disarmed: {JOINTS[0]} is 0.5 rad from where it was told to be" if elsewhere else "")


def test_of_velocities_alone_nobody_can_tell_where_a_robot_should_come_back():
    bench = Bench("velocity").armed().cruise()
    bench.arm.silent = True
    bench.run(0.2)
    bench.arm.position = bench.arm.position + 0.5
    bench.arm.silent = False
    bench.run(0.5)
    assert (bench.phase, bench.stream._ended) == (Phase.STOPPED, "")
    assert not bench.stream._lookout._gap


def gripper(sample):
    """A joint more than the guard commands, of which nothing is known."""
    more = {name: np.append(getattr(sample, name), [[np.nan]], axis=1) for name in ("position", "velocity", "effort")}
    return dataclasses.replace(sample, joints=(*sample.joints, "gripper"), **more)


def test_a_joint_that_nobody_knows_and_the_guard_does_not_command_was_not_moved():
    bench = Bench().armed().run(0.5)
    bench.arm.tell = gripper
    bench.run(0.5)
    assert (bench.phase, bench.stream.cause) == (Phase.IDLE, "")


def test_a_robot_that_comes_back_without_a_position_is_not_found_again_yet():
    bench = Bench("position").armed().cruise()
    bench.arm.silent = True
    bench.run(0.2)
    bench.arm.silent, bench.arm.tell = False, nan
    bench.run(0.005)
    assert bench.stream._lookout._gap
    assert (bench.phase, bench.stream._ended) == (Phase.BRAKING, "")


def test_a_wrong_time_at_the_first_look_is_a_wrong_time():
    bench = Bench().armed()
    bench.arm.trouble = "the stamps run backwards"
    bench.run(0.005)
    assert (bench.phase, bench.stream.cause) == (Phase.STOPPED, "the stamps run backwards")


def test_an_arm_that_was_seen_all_the_time_is_not_looked_for_where_it_was_told_to_be():
    guard, arm = LimitGuard(ROBOT, ROBOT.limits(), "position"), Arm("position")
    state = guard.initial(1, armed=True)
    state = dataclasses.replace(state, executed=ROBOT.home[None] + elbow(0.4), started=np.ones_like(state.started))
    lookout = Lookout(arm, guard, PERIOD)
    lookout.begin(arm.now)
    assert lookout.look(state, Phase.IDLE, lookout.timing(PERIOD, arm.now), arm.now).stray == ""
    arm.delay = 1.0  # a gap
    lookout.look(state, Phase.IDLE, lookout.timing(PERIOD, arm.now), arm.now)
    arm.delay = 0.0
    found = lookout.look(state, Phase.IDLE, lookout.timing(PERIOD, arm.now), arm.now).stray
    assert found == "elbow_joint is 0.4 rad from where it was told to be"
