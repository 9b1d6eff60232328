"""Nothing is sent to a robot that is not where it was told to be, and nothing is believed that cannot be. All of it failed on 273b4e7."""

import dataclasses

import numpy as np
import pytest
from stream_bench import COUNT, ELBOW, JOINTS, PERIOD, ROBOT, Bench

from isthmus.guard import STOP
from isthmus.phases import Phase
from isthmus.trajectory import Reference

JOINT = np.eye(COUNT)[ELBOW]


def shifted(position, velocity=0.0):
    return lambda sample: dataclasses.replace(sample, position=sample.position + position, velocity=sample.velocity + velocity)


def stuck(sample, *, stamps):
    """A driver that says again what it said once."""
    return lambda newer: sample if stamps else dataclasses.replace(sample, stamp=newer.stamp)


@pytest.mark.parametrize("speed", [0.0, 5.0, 100.0])
def test_an_effort_is_held_where_the_arm_is_and_not_where_one_wrong_sample_says(speed):
    """The elbow was pushed with all it had, for ever, towards a place 335 rad away."""
    bench = Bench("effort").armed().run(0.3)
    bench.arm.tell = shifted(0.5 * JOINT, speed * JOINT)
    bench.run(0.005)
    bench.arm.tell = lambda sample: sample
    bench.run(0.5)
    still = bench.stream.guard._envelope._kinematics.gravity(JOINTS, bench.arm.position)[0]
    assert (bench.phase, bench.stream.cause, bench.helped) == (Phase.HELD, "measured position of elbow_joint jumped", [])
    np.testing.assert_allclose(bench.arm.values[-1], still, atol=1e-6)
    assert np.abs(bench.arm.values - still).max() < 5  # N·m, the gravity of another place for a moment


@pytest.mark.parametrize("kind", ["silent", "frozen"])
@pytest.mark.parametrize("lasting", [0.3, 0.7])
def test_an_effort_finds_an_arm_elsewhere_and_holds_it_there(kind, lasting):
    bench = Bench("effort").armed().run(0.3)
    setattr(bench.arm, kind, True)
    bench.run(lasting)
    setattr(bench.arm, kind, False)
    bench.arm.position = bench.arm.position + 0.8
    sent = len(bench.arm.sent)
    bench.run(0.5)
    still = bench.stream.guard._envelope._kinematics.gravity(JOINTS, bench.arm.position)[0]
    assert bench.phase is Phase.HELD
    assert np.abs(bench.arm.values[sent:]).max() <= np.abs(still).max() + 1e-6


def loosened(field):
    """A sample that lacks the elbow's position or velocity."""
    return lambda sample: dataclasses.replace(sample, **{field: np.where(JOINT > 0, np.nan, getattr(sample, field))})


def test_an_effort_that_no_longer_knows_where_a_joint_is_leaves_it_to_the_driver():
    """It faded, and 0 N·m was sent for ever, so that no driver took over: an arm fell by 4 rad."""
    bench = Bench("effort").armed().run(0.3)
    bench.arm.tell = loosened("position")
    bench.run(0.2)
    assert bench.helped == ["the position of elbow_joint is unknown, and an effort cannot hold what is not seen"]
    bench.run(2.0)
    assert (bench.phase, bench.stream.cause) == (Phase.STOPPED, "joint position of elbow_joint is not finite")
    assert bench.arm.now - bench.arm.moments[-1] > 1.0


def test_an_effort_whose_states_come_too_late_is_left_to_the_driver():
    bench = Bench("effort").armed().run(0.3)
    bench.arm.delay = 0.2
    bench.run(0.1)
    assert bench.helped == ["the joint state on /joint_states is 0.200 s old, and an effort cannot hold what is not seen"]


def test_a_spring_without_its_damper_does_not_pull():
    """Wrists swung up, second by second."""
    bench = Bench("effort").armed().run(0.3)
    bench.stream.stop("told to")
    bench.run(0.3)
    bench.arm.position = bench.arm.position + 0.01
    bench.arm.tell = loosened("velocity")
    sent = len(bench.arm.sent)
    bench.run(1.0)
    pulls = np.abs(bench.arm.values[sent + 1 :] - bench.stream.guard._envelope._kinematics.gravity(JOINTS, bench.arm.position)[0])
    assert pulls[:, ELBOW].max() < 1e-6 < pulls[:, :ELBOW].min()
    assert bench.helped == ["the velocity of elbow_joint is unknown, and a hold by effort needs it"]
    bench.arm.driven = 0.5 * JOINT
    bench.run(1.0)
    assert bench.stream.state.runaway[0]


def test_a_gap_does_not_lower_a_held_arm_by_its_sag():
    bench = Bench("effort").armed().run(0.3)
    bench.stream.stop("told to")
    bench.run(0.3)
    bench.arm.position = bench.arm.position - 0.08 * JOINT  # with a load that the profile does not know
    bench.run(0.5)
    anchor = bench.stream.state.anchor
    for _ in range(3):
        bench.arm.silent = True
        bench.run(0.2)
        bench.arm.silent = False
        bench.run(0.5)
    np.testing.assert_array_equal(bench.stream.state.anchor, anchor)
    assert bench.helped == ["the joint state on /joint_states is 0.090 s old, and an effort cannot hold what is not seen"]


@pytest.mark.parametrize("speed", [0.03, 0.5])
def test_an_idle_arm_that_efforts_do_not_hold_is_left_to_its_driver(speed):
    """On 76de68c it was let go, and below 0.04 rad/s nobody looked again: it could fall by 3 rad."""
    bench = Bench("effort").armed().run(0.3)
    bench.arm.driven = -speed * JOINT
    bench.run(0.052 / speed)
    assert bench.phase is Phase.DISARMED
    (asked,) = bench.helped
    assert asked.startswith("elbow_joint was moved by 0.05")
    assert asked.endswith("by a load that its profile does not know, and nobody holds a robot whose efforts end")


def test_an_arm_that_was_held_and_reset_may_be_moved_by_hand():
    bench = Bench("effort").armed().run(0.3)
    bench.arm.alarming = "protective stop"
    bench.run(0.2)
    assert bench.phase is Phase.HELD
    bench.arm.alarming = ""
    bench.stream.reset()
    bench.arm.driven = JOINT
    bench.run(0.6)
    assert (bench.phase, bench.stream.cause, bench.helped) == (Phase.DISARMED, "", [])


@pytest.mark.parametrize(("spring", "torn"), [(0.0, False), (0.5, True)])
def test_a_joint_that_no_spring_holds_is_not_torn_away(spring, torn):
    hold = dataclasses.replace(ROBOT.hold, kp=tuple(spring if joint == "elbow_joint" else 60.0 for joint in JOINTS))
    bench = Bench("effort", dataclasses.replace(ROBOT, hold=hold)).armed().run(0.3)
    bench.stream.stop("told to")
    bench.run(0.3)
    bench.arm.driven = 0.5 * JOINT
    bench.run(1.0)
    assert bench.stream.state.runaway[0] == torn


def test_a_held_arm_that_is_torn_away_is_a_runaway():
    bench = Bench("effort").armed().run(0.3)
    bench.stream.stop("told to")
    bench.run(0.3)
    bench.arm.driven = 0.5 * JOINT
    bench.run(0.5)
    assert bench.helped == []
    bench.run(0.3)
    assert bench.helped == ["told to, and a joint runs away from its command"]


@pytest.mark.parametrize("stamps", [False, True], ids=["fresh stamps", "old stamps"])
@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("away", [0.3, 0.9])
def test_a_driver_that_repeats_old_values_ends_in_silence_and_finds_no_command_waiting(mode, stamps, away):
    bench = Bench(mode).armed().cruise(0.5, 1.0)
    bench.arm.tell = stuck(bench.arm.read(), stamps=stamps)
    bench.cruise(0.5, 1.0)
    assert bench.stream.rung == STOP
    bench.run(2.0)
    sent = len(bench.arm.sent)
    bench.run(3.0)
    assert (bench.phase, len(bench.arm.sent)) == (Phase.STOPPED, sent)
    bench.arm.position, bench.arm.tell = bench.arm.position - away, lambda sample: sample
    bench.run(1.0)
    assert len(bench.arm.sent) == sent


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_driver_that_comes_back_elsewhere_within_the_second_finds_no_command_either(mode):
    bench = Bench(mode).armed().cruise(0.5, 1.0)
    bench.arm.tell = stuck(bench.arm.read(), stamps=False)
    for _ in range(100):
        if bench.stream.rung < STOP:
            bench.cruise(0.5, PERIOD)
    bench.run(0.3)
    assert bench.phase is Phase.BRAKING
    if mode == "position":  # of velocities alone nobody can tell, and rest pulls nobody
        bench.arm.position, bench.arm.tell = bench.arm.position - 0.9, lambda sample: sample
        sent = len(bench.arm.sent)
        bench.run(0.5)
        assert (bench.phase, len(bench.arm.sent)) == (Phase.STOPPED, sent)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_an_idle_arm_that_must_stop_is_sent_nothing_more(mode):
    bench = Bench(mode).armed().run(0.5)
    sent = len(bench.arm.sent)
    bench.arm.position = bench.arm.position + 0.9 * JOINT
    bench.run(1.0)
    assert (bench.phase, bench.helped) == (Phase.STOPPED, [])
    assert bench.stream.cause.startswith("measured position of elbow_joint jumped")
    assert len(bench.arm.sent) == sent


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_runaway_is_none_that_stands_elsewhere(mode):
    """It is watched until it stands, though it does not follow its command and was stopped for that."""
    bench = Bench(mode).armed().cruise(0.0, 0.3)
    bench.arm.driven = -1.5 * JOINT
    bench.run(1.0, lambda t: np.zeros(COUNT) if mode == "velocity" else ROBOT.home)
    assert bench.stream.rung == STOP
    assert bench.helped[0].endswith("runs away from its command")


def test_a_runaway_whose_states_fall_silent_calls_for_help():
    bench = Bench().armed().run(0.5)
    bench.arm.driven = -JOINT
    bench.run(0.1)
    assert bench.phase is Phase.DISARMED
    bench.arm.silent = True
    bench.run(0.2)
    assert bench.helped == ["the robot moved though nothing was commanded when /joint_states fell silent"]


@pytest.mark.parametrize(("delay", "looks"), [(0.0, 18), (0.04, 10)])  # 85 ms are allowed
def test_a_late_state_falls_silent_earlier(delay, looks):
    bench = Bench().armed().run(0.5)
    bench.arm.driven = -JOINT
    bench.run(0.1)
    bench.arm.delay, bench.arm.silent = delay, True
    bench.run(0.005 * (looks - 1))
    assert bench.helped == []
    bench.run(0.005)
    assert bench.helped == ["the robot moved though nothing was commanded when /joint_states fell silent"]


def test_a_robot_that_rests_elsewhere_is_sent_its_brake_to_rest_and_no_set_point_twice():
    bench = Bench("position", dataclasses.replace(ROBOT, monitors=dataclasses.replace(ROBOT.monitors, tracking_tolerance=0.1))).armed()
    began = bench.arm.now
    bench.arm.tell = lambda sample: shifted(-0.15 * min(1.0, (bench.arm.now - began) / 0.8) * JOINT)(sample)
    bench.run(1.0, lambda t: ROBOT.home + 2.0 * max(0.0, t - 0.1) * JOINT)
    assert (bench.phase, bench.stream.cause) == (Phase.STOPPED, "elbow_joint does not follow its command")
    steps = np.diff(bench.arm.values[:, ELBOW])
    assert abs(steps[-1]) < 1e-9 < 0.03 < steps[-2]


@pytest.mark.parametrize(("speed", "helped"), [(0.0, []), (-1.0, ["elbow_joint runs away though nothing is commanded"])])
def test_after_one_wrong_sample_it_is_watched_from_the_next_one_on(speed, helped):
    bench = Bench().armed().run(0.5)
    bench.arm.tell = shifted(0.9 * JOINT)
    bench.run(0.005)
    assert bench.phase is Phase.STOPPED
    bench.arm.tell = stuck(bench.arm.read(), stamps=True)
    bench.run(0.02)
    bench.arm.tell, bench.arm.driven = lambda sample: sample, speed * JOINT
    bench.run(0.6)
    assert bench.helped == helped


@pytest.mark.parametrize("lasting", [0.0, 0.2])
def test_a_robot_that_stood_when_it_was_stopped_and_falls_silent_needs_no_help(lasting):
    """An emergency stop may end its driver, too. On 457d5e6 it was said to have moved."""
    bench = Bench().armed().run(0.5)
    bench.stream.stop("emergency_stop is true")
    bench.run(lasting)
    bench.arm.silent = True
    bench.run(1.0)
    assert (bench.phase, bench.helped) == (Phase.STOPPED, [])


def test_arming_again_and_again_does_not_lower_an_arm_that_sags():
    bench = Bench("position").armed().run(0.3)
    home = bench.arm.position[0].copy()
    for _ in range(8):
        bench.arm.tell = shifted(-0.014)
        bench.stream.arm()
        bench.run(0.2)
    np.testing.assert_array_equal(bench.arm.values[-1], home)
    bench.arm.tell = shifted(-0.03)  # that is no sag
    bench.stream.arm()
    np.testing.assert_allclose(bench.arm.values[-1], home - 0.03)


def test_an_arm_whose_place_is_unknown_is_not_armed_again_where_it_was():
    bench = Bench("position").armed().run(0.3)
    sent = len(bench.arm.sent)
    bench.arm.tell = shifted(np.where(JOINT, np.nan, 0.0))
    bench.stream.arm()
    bench.run(0.3)
    assert (bench.phase, len(bench.arm.sent)) == (Phase.STOPPED, sent)
    assert bench.stream.cause == "position of elbow_joint is unknown and nothing was executed since arming, so there is nothing to hold"


@pytest.mark.parametrize(("scale", "slow"), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.03), (1.0, 0.01)])
def test_a_set_point_that_is_not_there_yet_is_given_the_time_that_the_limits_need(scale, slow):
    limits = ROBOT.limits().scaled(scale)
    limits = dataclasses.replace(limits, velocity=tuple(slow * one for one in limits.velocity))
    reference, home = Reference(limits, PERIOD), ROBOT.home
    reference.begin(home, 7.0)
    spline = reference.follow("velocity", np.full(COUNT, 0.1), 7.0, braking=False)
    np.testing.assert_array_equal(spline.positions, home[None])
    time = reference.began - 7.0
    s = np.linspace(0, 1, 1001)
    sag = min(0.02, 0.25 * min(limits.velocity))
    position = sag * (10 * s**3 - 15 * s**4 + 6 * s**5)
    velocity = np.gradient(position, s * time)
    used = velocity.max() / min(limits.velocity), np.abs(np.gradient(velocity, s * time)[2:-2]).max() / min(limits.acceleration)
    assert max(used) == pytest.approx(1.0, rel=0.01)
    reference.follow("velocity", np.full(COUNT, 0.1), reference.began, braking=False)
    assert (reference.place(reference.began + PERIOD) > home).all()
    reference.begin(home - sag / 2, 9.0)
    np.testing.assert_allclose(reference.place(9.0), home, atol=0.02)
    assert (reference.place(9.0) > home).all()  # where it was told to rest


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_robot_whose_positions_are_lost_stands_when_its_velocities_say_so(mode):
    bench = Bench(mode).armed().cruise(1.5, 0.6)
    bench.arm.tell = shifted(np.nan)
    bench.cruise(1.5, 0.4)
    bench.run(0.5)
    assert (bench.phase, bench.helped) == (Phase.STOPPED, [])


def test_an_arm_whose_position_is_lost_is_not_taken_to_be_where_it_was_told_to_be():
    bench = Bench("position").armed().cruise()
    bench.stream.stop("told to")
    bench.run(1.0)
    bench.stream.reset()
    bench.arm.tell = shifted(np.nan * JOINT)
    sent = len(bench.arm.sent)
    bench.stream.arm()
    bench.run(1.0)
    assert (bench.phase, len(bench.arm.sent)) == (Phase.STOPPED, sent)
    assert bench.stream.cause.endswith("is unknown and nothing was executed since arming, so there is nothing to hold")


def test_an_arm_that_was_never_told_anything_rests_where_it_is():
    """Though 0 is near enough for an arm that sags from there."""
    bench = Bench("position")
    bench.arm.position = np.full((1, COUNT), 0.005)
    bench.arm.pass_time()
    np.testing.assert_array_equal(bench.armed().arm.values[-1], np.full(COUNT, 0.005))
