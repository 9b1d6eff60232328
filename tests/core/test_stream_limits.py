"""Whenever commands, states and looks come, and however they are sent: position limits, accelerations and leads of a stream in simulated time."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_bench import COUNT, ELBOW, EPOCH, JOINTS, PERIOD, ROBOT, TICK, Bench
from trajectory_bench import Follower

from isthmus.guard import CLAMP, PASS, LimitGuard
from isthmus.kinematics import Kinematics
from isthmus.limits import Box
from isthmus.phases import Phase
from isthmus.records import Command, Measurement
from isthmus.senders import Asked
from isthmus.stream import GuardedStream
from isthmus.trajectory import Reference

STEP, HIGH = 0.002, 0.8  # s, rad


def robot_of(velocity, acceleration, braking, **thresholds):
    """Six equal joints in ±HIGH that tell at once where they are."""
    joints = tuple(
        dataclasses.replace(
            joint, home=0.0, velocity=velocity, acceleration=acceleration, stop_acceleration=braking, position=(-HIGH, HIGH)
        )
        for joint in ROBOT.joints
    )
    monitors = dataclasses.replace(ROBOT.monitors, **({"tracking_lag": 0.0, "tracking_tolerance": 5.0, "runaway_travel": 5.0} | thresholds))
    return dataclasses.replace(ROBOT, joints=joints, monitors=monitors)


class Wire:
    """A robot behind a forward controller or a trajectory controller, whose states come late, and the stream before it."""

    realtime, state_topic = True, "/joint_states"

    def __init__(self, robot, mode, transport, period, *, delay=0.0, lag=0.0, tick=0.005):
        self.mode, self.period, self.delay, self.lag, self._tick = mode, period, delay, lag, tick
        self.now, self.position, self.velocity = 10.0, np.zeros(COUNT), np.zeros(COUNT)
        self.past, self.seen, self.places = [], (10.0, 10.0, self.position, self.velocity), []
        guard = LimitGuard(robot, robot.limits(), mode)
        self.reference = Reference(guard.wire_limits, period) if transport == "trajectory" else None
        self.follower, self.sent = Follower(np.zeros(COUNT)), []
        self.stream = GuardedStream(self, guard, period, tick=tick, clock=lambda: self.now)
        self.number, self.looked, self.rungs = 0, 10.0, set()
        self.run(0.1)
        self.stream.arm()
        self.run(0.1)

    @property
    def age(self):
        return self.now - self.seen[0]

    @property
    def stamp(self):
        return round(self.seen[1] * 1e9)

    def read(self):
        _, stamp, position, velocity = self.seen
        return Measurement(np.array([stamp]), JOINTS, position[None].copy(), velocity[None].copy())

    def fault(self):
        return ""

    def alarm(self):
        return ""

    def begin(self):
        if self.reference is not None:
            self.reference.begin(self.seen[2], self.now)

    def place(self, joints, ago=0.0):
        place = self.reference.place(self.now - ago) if self.reference is not None else None
        return None if place is None else place[None]

    def send(self, command, sequence, epoch, *, braking):
        self.sent.append((self.now, command.values[0].copy()))
        if self.reference is not None:
            spline = self.reference.follow(self.mode, command.values[0], self.now, braking=braking)
            self.follower.receive(self.now, spline.times, spline.positions, spline.velocities, spline.accelerations)

    def run(self, seconds, late=lambda: 0.0):
        """Let time pass; `late()` gives seconds that the next look is late."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            step = min(STEP, end - self.now)
            self.now += step
            if self.reference is not None:
                goal = self.follower.at(np.array([self.now]))[0][0]
            elif self.mode == "position":
                goal = self.sent[-1][1] if self.sent else self.position
            else:
                goal = self.position + step * (self.sent[-1][1] if self.sent else 0.0)
            moved = (goal - self.position) * (1 - np.exp(-step / self.lag) if self.lag else 1.0)
            self.position, self.velocity = self.position + moved, moved / step
            self.places.append(self.position)
            self.past.append((self.now + self.delay, self.now, self.position, self.velocity))
            while self.past and self.past[0][0] <= self.now + 1e-9:
                self.seen = (self.now, *self.past.pop(0)[1:])
            if self.now >= self.looked - 1e-9:
                self.looked = self.now + self._tick + late()
                self.stream.watch()
                self.rungs.add(self.stream.rung)

    def ask(self, values):
        self.number += 1
        self.stream.accept(Asked(EPOCH, self.number, self.stamp, 0.0, Command(self.mode, JOINTS, np.array(values, dtype=float)[None])))
        self.rungs.add(self.stream.rung)


BOUNDS = [(3.14, 15.0, 15.0), (1.0, 15.0, 2.0), (0.5, 1.0, 0.2), (1.5, 0.5, 15.0)]
WAYS = [("velocity", "trajectory"), ("velocity", "forward"), ("position", "trajectory"), ("position", "forward")]


def drive(robot, mode, transport, period, jitter, generator, *, delay=0.0, lag=0.0, urgent=(), late=lambda: 0.0):
    """Full speed towards a limit, until long after it could be reached."""
    wire = Wire(robot, mode, transport, period, delay=delay, lag=lag)
    speed, due, place = robot.joints[0].velocity, wire.now, 0.0
    ramp = speed / min(robot.joints[0].acceleration, robot.joints[0].stop_acceleration)
    for k in itertools.count():
        due += period
        wire.run(max(due + jitter * period * generator.uniform(-1, 1) - wire.now, 1e-4), late)
        if k * period > HIGH / speed + 2 * ramp + 0.5 or not wire.stream.armed:
            return wire
        place = min(place + speed * period, HIGH)
        wire.ask(np.full(COUNT, speed if mode == "velocity" else place))
        if k in urgent:
            wire.run(generator.uniform(0, period), late)
            wire.stream.hold("test")


def beyond(wire):
    """rad by which the robot, or what it was told, was beyond a limit at most."""
    places = np.array(wire.places)
    if wire.reference is not None:
        places = np.vstack([places, wire.follower.motion(wire.now + 2.0, 0.002)[0][1]])
    return np.abs(places).max() - HIGH


@pytest.mark.parametrize(("mode", "transport"), WAYS)
@pytest.mark.parametrize("bounds", [BOUNDS[0], BOUNDS[2]])
@pytest.mark.parametrize("period", [0.02, 0.05, 0.1])
def test_commands_that_jitter_do_not_carry_a_joint_beyond_its_limit(mode, transport, bounds, period):
    """Velocities on a trajectory: 3, 22 and 85 mrad on the beat, with jitter up to 101. On a forward controller: up to 94 mrad."""
    on_the_beat = drive(robot_of(*bounds), mode, transport, period, 0.0, np.random.default_rng(1))
    assert on_the_beat.rungs <= {PASS, CLAMP}
    assert on_the_beat.position.max() > HIGH - 0.01  # the limit is reached
    for wire in (on_the_beat, drive(robot_of(*bounds), mode, transport, period, 0.3, np.random.default_rng(1))):
        assert beyond(wire) <= 1e-6


@pytest.mark.parametrize(("mode", "transport"), WAYS)
@settings(max_examples=3, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bounds=st.sampled_from(BOUNDS[:3]),
    period=st.sampled_from([0.02, 0.05]),
    delay=st.sampled_from([0.0, 0.02]),
    urgent=st.sets(st.integers(5, 60), max_size=3),
    grain=st.sampled_from([0.0, 0.005]),
)
def test_nothing_that_comes_late_carries_a_joint_beyond_its_limit(mode, transport, seed, bounds, period, delay, urgent, grain):
    """Commands that jitter, states and looks that are late, and holds at any moment."""
    generator = np.random.default_rng(seed)
    wire = drive(
        robot_of(*bounds),
        mode,
        transport,
        period,
        0.45,
        generator,
        delay=delay,
        urgent=urgent,
        late=lambda: generator.uniform(0, grain),
    )
    assert beyond(wire) <= 1e-6


@pytest.mark.parametrize(("mode", "transport"), WAYS)
@pytest.mark.parametrize(("seed", "braking"), [(0, 15.0), (4, 15.0), (1, 5.0), (9, 5.0)])
def test_commands_that_jitter_do_not_carry_a_point_out_of_the_workspace_box(mode, transport, seed, braking):
    """A motion brakes evenly, and not from period to period: on a trajectory the tool came to rest 18 to 37 mm outside."""
    generator = np.random.default_rng(seed)
    tree, link = Kinematics(ROBOT.urdf_path), ROBOT.tool_frame
    middle = tree.positions(JOINTS, np.zeros((1, COUNT)), [link])[link][0]
    box = Box(tuple((middle - 0.15).tolist()), tuple((middle + 0.15).tolist()))
    robot = dataclasses.replace(robot_of(1.5, 15.0, braking), workspace=box, workspace_points=())
    wire, due, speed = Wire(robot, mode, transport, PERIOD), 10.2, generator.uniform(-1.5, 1.5, COUNT)
    place = np.zeros(COUNT)
    for _ in range(25):
        due, place = due + PERIOD, place + speed * PERIOD
        wire.run(max(due + 0.45 * PERIOD * generator.uniform(-1, 1) - wire.now, 1e-4))
        wire.ask(speed if mode == "velocity" else place)
    points = tree.positions(JOINTS, np.array(wire.places), [link])[link]
    assert np.abs(points - middle).max() < 0.15 + 0.002
    assert np.abs(points - middle).max() > 0.1  # it came near


@pytest.mark.parametrize(("mode", "transport"), [("velocity", "trajectory"), ("position", "trajectory"), ("velocity", "forward")])
@pytest.mark.parametrize("period", [0.02, 0.05, 0.1])
def test_states_that_are_30_ms_late_at_full_speed_are_no_lead(mode, transport, period):
    """A robot as shipped, with its servo's lag: positions on a trajectory were stopped at 20 Hz, and at 10 Hz already by 10 ms."""
    for delay in (0.0, 0.01, 0.03) if period > 0.02 else (0.0, 0.01, 0.02):
        robot = robot_of(3.14, 15.0, 15.0, tracking_tolerance=0.35, runaway_travel=ROBOT.monitors.runaway_travel, tracking_lag=0.06)
        wire = drive(
            robot, mode, transport, period, 0.0, np.random.default_rng(0), delay=delay, lag=0.06 if transport == "trajectory" else 0.0
        )
        assert wire.rungs <= {PASS, CLAMP}
        assert wire.velocity.max() < 0.05
        assert wire.position.max() > HIGH - 0.01


def test_a_clock_that_goes_on_while_the_stream_decides_is_no_time_before_the_decision():
    """-0.5 ms since the last decision ended the guard."""
    wire = Wire(robot_of(3.14, 15.0, 15.0), "velocity", "forward", 0.05)
    moments = itertools.count()
    wire.stream._clock = lambda: wire.now + 1e-6 * next(moments)
    for _ in range(10):
        wire.ask(np.full(COUNT, 1.0))
        wire.run(0.05)
    wire.stream.stop("test")
    wire.run(0.5)
    assert wire.stream.phase is Phase.STOPPED


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_robot_on_a_trajectory_that_does_not_move_is_stopped(mode):
    wire = Wire(robot_of(3.14, 15.0, 15.0, tracking_tolerance=0.35), mode, "trajectory", 0.05)
    wire.follower.receive = lambda *_: None
    for k in range(20):
        wire.ask(np.full(COUNT, 1.0 if mode == "velocity" else 0.05 * (k + 1)))
        wire.run(0.05)
    assert "does not follow its command" in wire.stream.cause
    assert wire.stream.phase in (Phase.BRAKING, Phase.STOPPED)


@pytest.mark.parametrize("gap", [0.0005, 0.002, 0.02])
@pytest.mark.parametrize("speed", [0.02, 0.1, 1.0])
def test_a_sender_that_falls_silent_before_a_limit_leaves_an_arm_at_rest(speed, gap):
    """Braked at a look, the arm rested before the time-out; on commit 804735c the velocity of the last command was then sent again for ever."""
    bench, high = Bench("velocity"), ROBOT.limits().position_high[ELBOW]
    bench.arm.position[0, ELBOW] = high - gap
    bench.arm.said = (bench.arm.position.copy(), bench.arm.velocity.copy())
    bench.armed()
    asked = np.zeros(COUNT)
    asked[ELBOW] = speed
    bench.run(0.3, lambda t: asked)
    bench.run(0.6)
    assert bench.arm.position[0, ELBOW] <= high + 1e-9
    np.testing.assert_array_equal(bench.arm.sent[-1][2], 0.0)


def test_time_that_passes_within_a_look_is_not_lost_to_the_monitors():
    """A perfect arm at 2 rad/s: 1 ms between look and judgement was a lead that grew, and stopped it, on commit 804735c."""
    bench, pan = Bench("velocity"), JOINTS.index("shoulder_pan_joint")
    bench.arm.position[0, pan] = -6
    bench.arm.said = (bench.arm.position.copy(), bench.arm.velocity.copy())
    bench.armed()
    stream, look, due = bench.stream, bench.stream._look, bench.arm.now + PERIOD

    def slow_look(now):
        look(now)
        bench.arm.pass_time(0.001)

    stream._look = slow_look
    asked = np.zeros(COUNT)
    asked[pan] = 2.0
    while bench.arm.position[0, pan] < 4:
        bench.arm.pass_time(TICK - 0.001)
        if bench.arm.now >= due - 1e-9:
            due += PERIOD
            bench.ask(asked)
        stream.watch()
        assert bench.phase in (Phase.IDLE, Phase.FOLLOWING), stream.cause
    assert np.abs(stream.state.monitors.lead).max() < 0.03


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_a_motion_brakes_at_once_only_where_it_would_leave_the_box(mode):
    """In position mode the set-points themselves stay inside."""
    tree, link, base = Kinematics(ROBOT.urdf_path), ROBOT.tool_frame, np.eye(COUNT)[0]
    tool = tree.positions(JOINTS, ROBOT.home[None], [link])[link][0]
    box = Box(tuple((tool - 0.01).tolist()), tuple((tool + 0.01).tolist()))
    bench = Bench(mode, dataclasses.replace(ROBOT, workspace=box, workspace_points=())).armed()
    for slow, braked in ((0.01, False), (0.6, mode == "velocity"), (0.01, False)):
        bench.run(1.5 * PERIOD, lambda t, slow=slow: slow * base + (0.0 if mode == "velocity" else ROBOT.home))
        assert (bench.arm.braked, bench.stream.rung) == (braked, PASS if slow < 0.1 else CLAMP)
