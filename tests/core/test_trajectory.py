"""What a trajectory controller interpolates keeps the limits. The figures of commit 0188891, in the same courses, stand in the tests' docstrings."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from trajectory_bench import TICK, Follower, Samples

from isthmus.robot import load_robot
from isthmus.trajectory import Reference

LIMITS = load_robot("ur5e").limits()
VELOCITY, ACCELERATION = LIMITS.velocity[0], LIMITS.acceleration[0]
FULL = np.full(6, VELOCITY)
START = np.array([0.5, -1.0, 1.5, 0.0, -0.3, 2.0])


def bounded(velocity, acceleration, braking, low=-np.inf, high=np.inf):
    """Limits of six equal joints."""
    names = ("velocity", "acceleration", "stop_acceleration", "position_low", "position_high")
    values = zip(names, (velocity, acceleration, braking, low, high), strict=True)
    return dataclasses.replace(LIMITS, **{name: tuple(np.broadcast_to(value, 6).tolist()) for name, value in values})


class Course:
    """A guard, the reference behind it and the robot that follows, on one simulated clock."""

    def __init__(self, mode, period, *, limits=LIMITS, latency=0.0, high=np.inf, delays=()):
        bounds = [np.array(getattr(limits, name)) for name in ("velocity", "acceleration", "stop_acceleration")]
        self.mode, self.period, self.bounds = mode, period, bounds
        self.now, self._delays = 0.0, itertools.chain(delays, itertools.repeat(latency))
        self.guard = Samples(mode, period, *bounds, START, high)
        self.reference, self.robot = Reference(limits, period), Follower(START)
        self.reference.begin(START, -9.0)
        self.braked = []

    def send(self, values, *, braking=False):
        spline = self.reference.follow(self.mode, values, self.now, braking=braking)
        self.robot.receive(self.now + next(self._delays), spline.times, spline.positions, spline.velocities, spline.accelerations)

    def command(self, speed, after=None):
        self.now += self.period if after is None else after
        self.send(self.guard.command(self.now, speed))

    def cruise(self, count=30):
        for _ in range(count):
            self.command(FULL)

    def stop(self, after, tick):
        """An urgent stop some seconds after the last command, braked for at every tick until long after rest, and then sent again at rest."""
        self.now += after
        begun = self.now
        while self.now < begun + (self.bounds[0] / self.bounds[2]).max() + 4 * self.period:
            self.send(self.guard.brake(self.now), braking=True)
            self.now += tick
        for _ in range(3):
            self.send(self.guard.place.copy() if self.mode == "position" else np.zeros(6))
            self.now += self.period
        self.braked.append((begun, self.now - self.period))

    def seen(self):
        """Moments `[T]`, positions, velocities and accelerations `[T, J]`, jumps."""
        (moments, *motion), jumps = self.robot.motion(self.now + 2.0)
        return moments, *motion, jumps

    def assert_limits(self):
        moments, _, velocity, acceleration, jumps = self.seen()
        assert (np.abs(velocity) / self.bounds[0]).max() <= 1.01
        speeding = velocity * acceleration > 0
        assert (np.abs(acceleration) / np.where(speeding, self.bounds[1], np.maximum(self.bounds[1], self.bounds[2]))).max() <= 1.05
        assert not len(jumps) or jumps.max() < 1e-5  # rad and rad/s where one message replaces another
        np.testing.assert_array_equal(velocity[-1], 0.0)
        return moments, velocity


def test_commands_on_the_beat_keep_the_limits():
    """3.25 rad/s and 60 rad/s²: the set-point advanced by the velocity at the end of the period."""
    for mode in ("velocity", "position"):
        course = Course(mode, 0.05)
        course.cruise()
        _, velocity = course.assert_limits()
        assert velocity.max() > 0.995 * VELOCITY


def test_braking_on_the_beat_keeps_the_limits_and_never_turns_back():
    """60 rad/s², and -0.11 rad/s at the end."""
    for mode in ("velocity", "position"):
        course = Course(mode, 0.05)
        course.cruise()
        course.stop(0.05, 0.05)
        _, velocity = course.assert_limits()
        assert velocity.min() >= -1e-9


def test_a_command_that_is_late_by_34_ms_makes_up_for_nothing():
    """3.55 rad/s."""
    for mode in ("velocity", "position"):
        course = Course(mode, 0.05)
        course.cruise(20)
        course.command(FULL, 0.084)
        course.cruise(5)
        course.assert_limits()
        place = course.reference.spline.positions[0]
        assert (place < START + VELOCITY * course.now).all()


def test_a_stop_5_ms_after_a_command_keeps_the_limits():
    """4.08 rad/s and 226 rad/s² in position mode."""
    for mode, tick in itertools.product(("position", "velocity"), (0.05, TICK)):
        course = Course(mode, 0.05)
        course.cruise()
        course.stop(0.005, tick)
        moments, velocity = course.assert_limits()
        begun, _ = course.braked[0]
        assert velocity.min() >= -1e-9
        assert (velocity[moments >= begun + VELOCITY / ACCELERATION + 0.002] == 0.0).all()  # braked at once, and as hard as allowed


def test_a_scaled_reference_keeps_a_tenth_of_velocity_and_of_acceleration():
    """`rate_scale` 0.1 left the tail ten times the acceleration."""
    for mode in ("velocity", "position"):
        course = Course(mode, 0.05, limits=LIMITS.scaled(0.1))
        course.cruise()
        course.stop(0.005, 0.05)
        course.assert_limits()
        _, _, velocity, acceleration, _ = course.seen()
        assert np.abs(velocity).max() <= 0.101 * VELOCITY
        assert np.abs(acceleration).max() <= 0.105 * ACCELERATION


speeds = st.none() | arrays(np.float64, 6, elements=st.sampled_from([-VELOCITY, 0.0, 0.03, 1.0, VELOCITY]) | st.floats(-VELOCITY, VELOCITY))
beats = st.lists(st.tuples(st.floats(-0.49, 0.49), st.just(0.0) | st.floats(0.0, 0.08), speeds), min_size=1, max_size=15)
stops = st.tuples(st.floats(0.0, 0.05), st.booleans())


@pytest.mark.parametrize("rate", [20, 100])
@pytest.mark.parametrize("mode", ["velocity", "position"])
@settings(max_examples=20, deadline=None)
@given(
    acts=st.lists(st.tuples(beats, stops), min_size=1, max_size=2), latency=st.floats(0.0, 0.005), room=st.sampled_from([0.05, 0.5, np.inf])
)
def test_limits_hold_under_jitter_late_commands_and_urgent_stops(mode, rate, acts, latency, room):
    period = 1 / rate
    course = Course(mode, period, latency=latency, high=START + room)
    speed, due = FULL, 0.0
    for commands, (after, often) in acts:
        due = course.now
        for early, late, other in commands:
            due += period + late
            speed = speed if other is None else other
            course.command(speed, max(due + early * period - course.now, 1e-4))
        course.stop(after, TICK if often else period)
    moments, velocity = course.assert_limits()
    for begun, ended in course.braked:
        window = velocity[(moments >= begun + latency) & (moments <= ended + latency)]
        forward = np.sign(window[0])
        assert (window * forward >= -1e-6).all()  # no turning back
        assert (np.diff(np.abs(window), axis=0) <= 1e-6).all()  # no restart
        np.testing.assert_array_equal(window[-1], 0.0)
    if mode == "position":
        assert (course.seen()[1] <= course.guard.high + 1e-3).all()


@pytest.mark.parametrize("rate", [20, 100])
@settings(max_examples=20, deadline=None)
@given(
    commands=beats,
    room=st.sampled_from([0.05, 0.5, np.inf]),
    bounds=st.sampled_from([(3.0, 15.0, 15.0), (1.0, 2.0, 15.0), (3.0, 40.0, 5.0)]),
)
def test_positions_settle_on_a_constant_set_point_and_rest(rate, commands, room, bounds):
    period = 1 / rate
    course = Course("position", period, limits=bounded(*bounds), high=START + room)
    for early, _, speed in commands:
        course.command(FULL if speed is None else speed, period * (1 + early))
    for _ in range(round(8 * rate)):
        course.command(np.zeros(6))
    course.assert_limits()
    np.testing.assert_allclose(course.reference.spline.positions, course.guard.place[None], atol=2e-9)
    assert (course.seen()[1] <= course.guard.high + 1e-3).all()
    assert len(course.reference.spline.times) == 1  # nothing moves any more


@given(asked=st.lists(arrays(np.float64, 6, elements=st.floats(0, 0.3)), min_size=2, max_size=8))
def test_set_points_on_the_beat_that_do_not_turn_back_are_followed_by_their_b_spline(asked):
    course = Course("position", 0.05)
    places = [START]
    for speed in asked:
        course.command(speed)
        places.append(course.guard.place)
        end = course.reference.spline.sample(0.05)
        np.testing.assert_allclose(end[0], (places[-1] + places[-2]) / 2, atol=2e-4)
        np.testing.assert_allclose(end[1], course.guard.rate, atol=1e-2)


@given(speed=arrays(np.float64, 6, elements=st.floats(-0.7, 0.7)))
def test_velocities_on_the_beat_are_reached_within_the_period(speed):
    course = Course("velocity", 0.05)
    course.command(speed)
    np.testing.assert_allclose(course.reference.spline.sample(0.05)[1], speed, atol=1e-5)


def test_a_joint_that_was_braked_stays_until_another_set_point_comes():
    course = Course("position", 0.05)
    course.cruise()
    course.stop(0.001, 0.05)
    rest = course.reference.spline.positions[-1]
    assert (np.abs(rest - course.guard.place) > 0.1).all()  # a period's way short of what the guard holds
    for _ in range(5):
        course.send(course.guard.place)
        np.testing.assert_array_equal(course.reference.spline.positions, rest[None])
    course.send(course.guard.place + np.array([0.01, 0, 0, 0, 0, 0]))
    assert (course.reference.spline.positions[-1] != rest).tolist() == [True, False, False, False, False, False]


def test_a_message_that_takes_longer_or_shorter_than_the_last_one_is_a_step_of_no_more_than_speed_times_the_difference():
    course = Course("velocity", 0.05, delays=np.random.default_rng(0).uniform(0, 0.005, 200))
    course.cruise()
    course.stop(0.02, TICK)
    _, _, velocity, acceleration, jumps = course.seen()
    assert np.abs(velocity).max() <= 1.01 * VELOCITY
    assert np.abs(acceleration).max() <= 1.05 * ACCELERATION
    assert jumps[:, 0].max() <= 0.005 * VELOCITY
    assert jumps[:, 1].max() <= 0.005 * 1.05 * ACCELERATION


@given(speed=arrays(np.float64, 6, elements=st.sampled_from([0.0, 1e-17, -1e-12, 3e-9, 2e-6, 1e-4, -0.5, 3.0])))
def test_points_are_whole_nanoseconds_apart_however_slow_a_joint_is(speed):
    reference = Reference(bounded(3.0, np.inf, 15.0), 0.05)
    reference.begin(START, -2.0)
    for now in (7.0, 7.031, 7.05):
        spline = reference.follow("velocity", speed, now, braking=False)
        nanoseconds = spline.times * 1e9
        np.testing.assert_allclose(nanoseconds, np.round(nanoseconds), atol=1e-6)
        assert (np.diff(nanoseconds) >= 1e3).all()
        np.testing.assert_array_equal(spline.velocities[-1], 0.0)
        np.testing.assert_array_equal(spline.accelerations[-1], 0.0)


@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("acceleration", [0.3, 0.5, 1.0, 2.0, 15.0])
def test_speeding_up_keeps_its_own_limit_where_braking_is_much_harder(mode, acceleration):
    """0.3 and 15 rad/s²: 126 %; 0.5: 116 %; 1: 108 %."""
    course = Course(mode, 0.05, limits=bounded(1.5, acceleration, 15.0))
    course.cruise()
    course.assert_limits()
    assert course.seen()[2].max() > 0.9 * min(1.5, acceleration * 30 * 0.05)


@pytest.mark.parametrize("velocity", [0.001, 0.003, 0.01])
def test_a_slow_joint_that_brakes_hard_keeps_its_velocity(velocity):
    """1.08 times the limit where the turn to the tail is as long as the tail."""
    course = Course("velocity", 0.05, limits=bounded(velocity, 15.0, 15.0))
    for _ in range(10):
        course.command(np.full(6, velocity))
    course.assert_limits()


@settings(max_examples=20, deadline=None)
@given(
    commands=beats,
    bounds=st.sampled_from([(3.0, 15.0, 15.0), (1.0, 2.0, 15.0), (3.0, 40.0, 5.0), (1.0, np.inf, 2.0)]),
    urgent=st.floats(0.0, 0.05),
)
@example(  # 18 µrad beyond: two joints began their tapers within 10 µs, so that both had one point
    commands=[
        (0.0, 0.0, None),
        (0.4419265410155072, 0.010812958083110903, np.array([1.20253045, 3.0, -3.0, -3.0, -3.0, -3.0])),
        (-0.0648276155478858, 0.0, None),
        (-0.3823425257880948, 0.0743834715927672, np.full(6, -3.0)),
        (0.0, 0.03125, None),
    ],
    bounds=(3.0, 15.0, 15.0),
    urgent=0.0,
)
def test_velocities_rest_before_position_limits_whatever_is_asked_and_whenever(commands, bounds, urgent):
    """The guard behind it knows no limit: 22 mrad beyond on the beat, more with jitter."""
    course = Course("velocity", 0.05, limits=bounded(*bounds, START - 0.3, START + 0.3))
    for early, late, speed in commands:
        course.command(np.full(6, bounds[0]) if speed is None else speed, 0.05 * (1 + early) + late)
    course.stop(urgent, TICK)
    course.assert_limits()
    assert (np.abs(course.seen()[1] - START) <= 0.3 + 5e-6).all()  # points of a trajectory come at whole nanoseconds


def test_nothing_is_followed_before_it_begins():
    with pytest.raises(ValueError, match=r"^a reference must begin at a position before it follows commands$"):
        Reference(LIMITS, 0.05).follow("velocity", FULL, 0.0, braking=False)


def test_where_the_arm_was_told_to_be_is_known_for_a_time_out():
    reference = Reference(LIMITS, 0.05)
    assert reference.place(0.0) is None
    reference.begin(START, -9.0)
    plans = []
    for count in range(8):
        now = 0.05 * count
        plans.append((now, reference.follow("velocity", FULL if count < 4 else -FULL, now, braking=False)))
    for began, plan in plans[-2:]:  # the newest, and the one before it
        for later in (0.0, 0.02, 0.049):
            np.testing.assert_allclose(reference.place(began + later), plan.sample(later)[0], atol=1e-12)
    np.testing.assert_array_equal(reference.place(9.0), plans[-1][1].positions[-1])  # at rest at its end
    oldest = reference.place(-9.0)
    np.testing.assert_array_equal(
        oldest, plans[5][1].positions[0]
    )  # 0.1 s ago, within 85 ms a sample may be as late; what is older is forgotten
    for count in range(3):  # farther apart than a sample may be late: one plan before the newest is enough
        now = 0.6 + 0.2 * count
        plans.append((now, reference.follow("velocity", FULL, now, braking=False)))
    np.testing.assert_array_equal(reference.place(-9.0), plans[-2][1].positions[0])


@pytest.mark.parametrize("speed", [0.5, 2.0, 3.0])
def test_a_set_point_that_moves_is_followed_half_a_period_behind(speed):
    """A plan that did not know how fast it moves would stay behind by what it needs to brake: 0.3 rad at 3 rad/s."""
    reference, value, now = Reference(LIMITS, 0.05, waits=False), START.copy(), 0.0
    reference.begin(value, now)
    for count in range(40):
        value[0] += min(speed, 0.6 * (count + 1)) * 0.05
        reference.follow("position", value, now, braking=False)
        now += 0.05
        assert abs(value[0] - reference.place(now)[0]) <= 0.51 * speed * 0.05
