"""The envelope against the rules as they are written down, one joint at a time, and against motion that is followed in time."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_contract import PENDULUM, UR5E

from isthmus import Box
from isthmus.envelope import EffortEnvelope, MotionEnvelope, Situation, commanded, longer_trail
from isthmus.kinematics import Kinematics
from isthmus.robot import Hold, Joint, Robot
from isthmus.timing import Timing

SEEDS = st.integers(0, 2**32)
ROWS = 40
QUICK = settings(deadline=None, derandomize=True, database=None)  # the same examples every time: a mutant is killed or it is not
ARM = dataclasses.replace(
    UR5E, command_modes=("velocity", "position", "effort"), hold=Hold((40.0, 30, 20, 10, 5, 2), (4.0, 3, 2, 1, 0.5, 0.2), True)
)

PLANAR = """<robot name="planar">
  <link name="base"/><link name="turned"/><link name="slid"/><link name="tool"/>
  <joint name="turn" type="revolute"><parent link="base"/><child link="turned"/><axis xyz="0 0 1"/></joint>
  <joint name="slide" type="prismatic"><parent link="turned"/><child link="slid"/><origin xyz="1 0 0"/><axis xyz="1 0 0"/></joint>
  <joint name="lift" type="prismatic"><parent link="slid"/><child link="tool"/><axis xyz="0 0 1"/></joint>
</robot>"""


@pytest.fixture(scope="module")
def planar(tmp_path_factory):
    """A tool at (1 + slide) (cos turn, sin turn), lifted: where it goes can be told without kinematics."""
    folder = tmp_path_factory.mktemp("planar")
    (folder / "planar.urdf").write_text(PLANAR)
    joints = tuple(
        Joint(name, 0.0, velocity, 50.0, braking, 1.0, kind)
        for name, velocity, braking, kind in (
            ("turn", 3.0, 4.0, "revolute"),
            ("slide", 2.0, 1.0, "prismatic"),
            ("lift", 1.0, 9.0, "prismatic"),
        )
    )
    return Robot("planar", "", "planar.urdf", "base", "tool", joints, ("velocity", "position"), folder=str(folder))


def situation(generator, limits, dt, *, rows=ROWS, mode="velocity", age=True):
    """Any state: near walls and far from them, moving and at rest, fresh and late."""
    count = len(limits.joints)
    fastest, low, high = np.array(limits.velocity), np.maximum(limits.position_low, -9.0), np.minimum(limits.position_high, 9.0)
    shape = (rows, count)
    wall = np.where(generator.random(shape) < 0.5, low, high) + generator.normal(0, 0.02, shape)
    position = np.where(generator.random(shape) < 0.5, wall, generator.uniform(low, high, shape))
    rate = generator.uniform(-1.2, 1.2, (rows, count)) * fastest * (generator.random((rows, count)) < 0.8)
    late = np.where(generator.random(rows) < 0.5, generator.uniform(0, 0.1, rows), 0.0) if age else np.zeros(rows)
    executed = position + generator.normal(0, 0.01, (rows, count)) if mode == "position" else rate
    velocity = rate + generator.normal(0, 0.1, (rows, count))
    return Situation(
        executed, rate, np.zeros((rows, count)), position, velocity, np.broadcast_to(late[:, None], (rows, count)), Timing.of(dt)
    )


def stoppable(room, braking, dt):
    """Largest v >= 0 with v dt + v² / (2 b) <= room, by bisection."""
    if room <= 0:
        return 0.0
    low, high = 0.0, room / dt
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * dt + middle * middle / (2 * braking) <= room else (low, middle)
    return low


@pytest.mark.parametrize("mode", ["velocity", "position"])
@pytest.mark.parametrize("walls", [3.0, 1e9, math.inf])
@pytest.mark.parametrize("late", [False, True])
@settings(QUICK, max_examples=6)
@given(
    seed=SEEDS,
    dt=st.sampled_from([0.002, 0.02, 0.1]),
    lag=st.sampled_from([0.0, 0.06]),
    scale=st.sampled_from([1.0, 0.3]),
    acceleration=st.sampled_from([5.0, 40.0, math.inf]),
)
def test_a_command_is_moved_to_the_nearest_one_that_keeps_every_limit(seed, mode, dt, lag, scale, late, walls, acceleration):
    generator = np.random.default_rng(seed)
    robot = dataclasses.replace(ARM, monitors=dataclasses.replace(ARM.monitors, tracking_lag=lag))
    six = np.ones(6)
    limits = dataclasses.replace(
        ARM.limits(),
        position_low=tuple(-walls * six),
        position_high=tuple((walls if walls == math.inf else walls + 1) * six),
        acceleration=tuple(acceleration * six),
        stop_acceleration=tuple(generator.uniform(2, 15, 6)),
        velocity=tuple(generator.uniform(0.5, 3, 6)),
    )
    now = situation(generator, limits, dt, mode=mode, age=late)
    rates = generator.uniform(-2, 2, (ROWS, 6)) * limits.velocity
    asked = now.executed + rates * dt if mode == "position" else rates
    hardest = ARM.joints[0].stop_acceleration * scale  # of the robot itself
    found = MotionEnvelope(robot, limits, mode, scale).clamp(asked, now)
    found = (found - now.executed) / dt if mode == "position" else found
    for row in range(ROWS):
        for joint in range(6):
            rate, fastest, braking = now.rate[row, joint], limits.velocity[joint] * scale, limits.stop_acceleration[joint] * scale
            slowest = math.copysign(max(abs(rate) - hardest * dt, 0.0), rate)
            reach = acceleration * scale * dt
            place = now.executed[row, joint] if mode == "position" else now.position[row, joint] + now.velocity[row, joint] * lag
            if mode == "velocity":
                place += now.executed[row, joint] * now.age[row, joint]
            low = max(rate - reach, -fastest, -stoppable(place - limits.position_low[joint], braking, dt))
            high = min(rate + reach, fastest, stoppable(limits.position_high[joint] - place, braking, dt))
            low, high = min(low, slowest), max(high, slowest)
            assert found[row, joint] == pytest.approx(min(max(rates[row, joint], low), high), rel=1e-6, abs=2e-7)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_braking_goes_towards_rest_at_the_robots_own_stop_acceleration_and_no_further(mode):
    own = (2.0, 4, 6, 8, 10, 12)
    robot = dataclasses.replace(
        ARM, joints=tuple(dataclasses.replace(joint, stop_acceleration=b) for joint, b in zip(ARM.joints, own, strict=True))
    )
    limits = dataclasses.replace(robot.limits(), stop_acceleration=(1.0, 2, 3, 4, 5, 6))
    now = situation(np.random.default_rng(0), limits, 0.02, mode=mode)
    now.rate[:2] = [[0.01, -0.01, 0, 1, -1, 3], [0.02, 0.04, 0.06, -0.08, 0.1, 0.12]]
    found = MotionEnvelope(robot, limits, mode, 0.1).brake(now)
    rate = (found - now.executed) / 0.02 if mode == "position" else found
    step = np.array(own) * 0.1 * 0.02
    np.testing.assert_allclose(rate, np.sign(now.rate) * np.maximum(np.abs(now.rate) - step, 0), atol=1e-9)
    clamped = MotionEnvelope(robot, limits, mode, 0.1).clamp(found, now)
    np.testing.assert_array_equal(clamped, found)


@settings(QUICK, max_examples=60)
@given(
    braking=st.floats(0.5, 20),
    dt=st.sampled_from([0.002, 0.05]),
    room=st.one_of(st.floats(-1, 0), st.floats(1e-12, 1e3), st.sampled_from([0.0, 1e250, 1e305, math.inf])),
)
def test_the_speed_towards_a_wall_is_the_fastest_that_still_stops_before_it(braking, dt, room):
    one, endless = dataclasses.replace(PENDULUM, command_modes=("velocity",), ros=None), (math.inf,)
    limits = dataclasses.replace(one.limits(), position_high=(room,), velocity=endless, acceleration=endless, stop_acceleration=(braking,))
    zero = np.zeros((1, 1))
    speed = MotionEnvelope(one, limits, "velocity", 1.0).clamp(
        np.full((1, 1), 1e308), Situation(zero, zero, zero, zero, zero, np.zeros((1, 1)), Timing.of(dt))
    )[0, 0]
    if room <= 0:
        assert speed == 0
    elif room < 1e10:
        way = speed * dt + speed * speed / (2 * braking)
        assert way == pytest.approx(room, rel=1e-9)
        assert way <= room * (1 + 1e-12)
    else:
        assert speed > 1e100


@settings(QUICK, max_examples=100)
@given(
    braking=st.one_of(st.floats(0.2, 0.5), st.floats(0.5, 20)),
    fastest=st.floats(0.2, 5),
    dt=st.sampled_from([0.002, 0.05]),
    share=st.one_of(st.floats(0.3, 1.2), st.sampled_from([1 - 5e-10, 1 - 1e-12, 1.0])),
    sign=st.sampled_from([-1.0, 1.0]),
)
def test_a_joint_alone_is_bounded_as_soon_as_a_wall_can_bind_and_bit_for_bit_as_in_company(braking, fastest, dt, share, sign):
    one, room = dataclasses.replace(PENDULUM, command_modes=("velocity",), ros=None), share * (fastest * dt + fastest**2 / (2 * braking))
    low, high = (-math.inf, room) if sign > 0 else (-room, math.inf)
    limits = dataclasses.replace(
        one.limits(),
        position_low=(low,),
        position_high=(high,),
        velocity=(fastest,),
        acceleration=(math.inf,),
        stop_acceleration=(braking,),
    )
    envelope, asked = MotionEnvelope(one, limits, "velocity", 1.0), np.full((2, 1), 9.0 * sign)
    zeros, near = np.zeros((2, 1)), np.array([[0.0], [room * sign]])
    alone = envelope.clamp(asked[:1], Situation(zeros[:1], zeros[:1], zeros[:1], near[:1], zeros[:1], np.zeros((1, 1)), Timing.of(dt)))
    both = envelope.clamp(asked, Situation(zeros, zeros, zeros, near, zeros, np.zeros((2, 1)), Timing.of(dt)))
    assert alone[0, 0] == both[0, 0]
    assert abs(alone[0, 0]) == pytest.approx(min(fastest, stoppable(room, braking, dt)), rel=1e-8)


def outside(box, place):
    return max(0.0, *(max(low - x, x - high) for low, x, high in zip(box.low, place, box.high, strict=True)))


def periods(speed, braking, dt):
    """Periods in which a joint moves that is slower from one to the next; the first is at its speed."""
    count, left = 1, abs(speed) - braking * dt
    while left > 0:
        count, left = count + 1, left - braking * dt
    return count


def stepwise(position, speed, braking, dt, count):
    """Where that joint is after so many periods, which need not be whole."""
    way, left = 0.0, abs(speed)
    while count > 0 and left > 0:
        way += left * dt * min(count, 1)
        count, left = count - 1, left - braking * dt
    return position + math.copysign(way, speed)


def evenly(position, speed, braking, dt, count, rate):
    """Likewise in a motion, which comes from another rate and brakes evenly once the first period is over."""
    braked = max(min(count, 1 + abs(speed) / (braking * dt)) - 1, 0)
    way = abs(speed) * dt * min(count, 1) + abs(speed) * dt * braked - braking * (dt * braked) ** 2 / 2
    slower = abs(rate) - abs(speed) if rate * speed >= 0 else 0
    return position + math.copysign(way, speed) + math.copysign(max(slower, 0) * dt / 2, rate)


@settings(QUICK, max_examples=90)
@given(seed=SEEDS, mode=st.sampled_from(["velocity", "position", "motion"]), dt=st.sampled_from([0.02, 0.1]))
def test_what_leaves_the_box_on_its_way_to_rest_is_braked_for_and_nothing_else_is(planar, seed, mode, dt):
    generator = np.random.default_rng(seed)
    box = Box((-1.2, -0.9, -0.3), (0.9, 1.1, 0.4))
    limits = dataclasses.replace(planar.limits(), workspace=box)
    braking, rows = limits.stop_acceleration, 12

    def place(joints):
        turn, slide, lift = joints
        return (1 + slide) * math.cos(turn), (1 + slide) * math.sin(turn), lift

    position = np.column_stack([generator.uniform(-3, 3, rows), generator.uniform(-0.6, 0.3, rows), generator.uniform(-0.35, 0.45, rows)])
    rate = generator.uniform(-1, 1, (rows, 3)) * [3, 2, 1] * (generator.random((rows, 3)) < 0.7)
    motion, mode = mode == "motion", "velocity" if mode == "motion" else mode
    executed = position if mode == "position" else rate
    now = Situation(executed, rate, position, position, rate, np.zeros((rows, 1)), Timing.of(dt))
    if motion:
        now = dataclasses.replace(now, position=np.full_like(position, np.nan), place=position)
    asked = generator.uniform(-1, 1, (rows, 3)) * [3, 2, 1] * (generator.random((rows, 3)) < 0.8)
    free = MotionEnvelope(planar, dataclasses.replace(limits, workspace=None), mode, 1.0)
    kept = MotionEnvelope(planar, limits, mode, 1.0)
    wanted = now.executed + asked * dt if mode == "position" else asked
    allowed, found, braked = free.clamp(wanted, now), kept.clamp(wanted, now), kept.brake(now)
    for row in range(rows):
        chosen = (allowed[row] - executed[row]) / dt if mode == "position" else allowed[row]
        shares = (0.2, 0.4, 0.6, 0.8, 1)
        if motion:
            longest = max(1 + abs(v) / (b * dt) for v, b in zip(chosen, braking, strict=True))
            ways = [
                [evenly(p, v, b, dt, share * longest, r) for p, v, b, r in zip(position[row], chosen, braking, rate[row], strict=True)]
                for share in shares
            ]
        else:
            longest = max(periods(v, b, dt) for v, b in zip(chosen, braking, strict=True))
            ways = [
                [stepwise(p, v, b, dt, share * longest) for p, v, b in zip(position[row], chosen, braking, strict=True)] for share in shares
            ]
        then, before = max(outside(box, place(way)) for way in ways), outside(box, place(position[row]))
        if min(abs(then), abs(then - before)) < 1e-5:  # too near to call
            continue
        leaves = then > 0 and then > before
        np.testing.assert_allclose(found[row], braked[row] if leaves else allowed[row], atol=1e-12)
        assert now.leaves[row] == leaves


@settings(QUICK, max_examples=60)
@given(turn=st.floats(1.2, 2.8), slide=st.floats(-1.5, 1.5), start=st.floats(0.3, 0.7), inside=st.booleans())
def test_an_arc_that_leaves_the_box_in_the_middle_and_comes_back_is_braked_for(planar, turn, slide, start, inside):
    """The way is looked at too, when a joint that brakes harder already rests."""
    braking, dt, velocity = planar.limits().stop_acceleration, 0.02, (turn, slide, 0.9)
    longest = max(periods(v, b, dt) for v, b in zip(velocity, braking, strict=True))

    def place(share):
        joints = [stepwise(0, v, b, dt, share * longest) for v, b in zip(velocity, braking, strict=True)]
        angle = joints[0] - start * turn**2 / (2 * braking[0])
        return (1 + joints[1]) * math.cos(angle), (1 + joints[1]) * math.sin(angle), joints[2]

    furthest = max(place(share)[0] for share in (0.2, 0.4, 0.6, 0.8))
    if furthest < max(place(share)[0] for share in (0.0, 1.0)) + 1e-6:
        return
    box = Box((-9, -9, -9), (furthest + (1e-7 if inside else -1e-7), 9, 9))
    limits = dataclasses.replace(planar.limits(), workspace=box)
    position, rate = np.array([[-start * turn**2 / (2 * braking[0]), 0.0, 0.0]]), np.array([velocity])
    found = MotionEnvelope(planar, limits, "velocity", 1.0)
    now = Situation(rate, rate, position, position, rate, np.zeros((1, 1)), Timing.of(dt))
    np.testing.assert_array_equal(found.clamp(rate, now), rate if inside else found.brake(now))


def test_standing_outside_the_box_is_braked_for_too(planar):
    limits = dataclasses.replace(planar.limits(), workspace=Box((-2, -2, -0.1), (2, 2, 0.1)))
    position, rate = np.array([[0.0, 0, 0.3]]), np.array([[0.0, 0, -0.9]])
    now = Situation(rate, rate, position, position, rate, np.zeros((1, 1)), Timing.of(0.05))
    found = MotionEnvelope(planar, limits, "velocity", 1.0).clamp(np.zeros((1, 3)), now)
    np.testing.assert_allclose(found, [[0, 0, -0.45]])  # not at once: that would be more than stop_acceleration


def test_every_checked_point_counts_and_without_any_it_is_the_tool(planar):
    limits = dataclasses.replace(planar.limits(), workspace=Box((-2, -2, -1), (2, 2, 0.1)))
    position, rest = np.array([[0.0, 0, 0.09]]), np.zeros((1, 3))
    now, up = Situation(rest, rest, rest, position, rest, np.zeros((1, 1)), Timing.of(0.05)), np.array([[0.0, 0, 0.5]])
    np.testing.assert_array_equal(MotionEnvelope(planar, limits, "velocity", 1.0).clamp(up, now), rest)
    lower = dataclasses.replace(planar, workspace_points=("slid",))
    np.testing.assert_array_equal(MotionEnvelope(lower, limits, "velocity", 1.0).clamp(up, now), up)
    both = dataclasses.replace(planar, workspace_points=("slid", "tool"))
    np.testing.assert_array_equal(MotionEnvelope(both, limits, "velocity", 1.0).clamp(up, now), rest)


JOINTS = (UR5E.joint_names[3], UR5E.joint_names[0], UR5E.joint_names[4])


def effort_limits():
    own = ARM.limits()
    columns = [own.joints.index(joint) for joint in JOINTS]
    values = {
        field.name: tuple(getattr(own, field.name)[column] for column in columns)
        for field in dataclasses.fields(own)
        if field.name not in ("joints", "workspace")
    }
    return dataclasses.replace(own, joints=JOINTS, **{**values, "effort": (20.0, 100.0, 6.0), "velocity": (1.0, 2.0, 3.0)})


@settings(QUICK, max_examples=40)
@given(seed=SEEDS, scale=st.sampled_from([1.0, 0.5]))
def test_no_effort_is_beyond_its_limit_or_speeds_up_what_is_too_fast(seed, scale):
    generator, limits = np.random.default_rng(seed), effort_limits()
    velocity = generator.uniform(-1.5, 1.5, (ROWS, 3)) * limits.velocity
    velocity[0] = np.array(limits.velocity) * scale  # exactly at the limit is not beyond it
    velocity[1] = -velocity[0]
    if seed % 3 == 0:
        velocity *= 0.1
    asked = generator.uniform(-1.5, 1.5, (ROWS, 3)) * limits.effort
    zeros = np.zeros((ROWS, 3))
    found = EffortEnvelope(ARM, limits, scale).clamp(asked, Situation(zeros, zeros, zeros, zeros, velocity, zeros, Timing.of(0.01)))
    for row in range(ROWS):
        for joint in range(3):
            bound, fastest = limits.effort[joint], limits.velocity[joint] * scale
            low = 0.0 if velocity[row, joint] < -fastest else -bound
            high = 0.0 if velocity[row, joint] > fastest else bound
            assert found[row, joint] == min(max(asked[row, joint], low), high)


def test_an_effort_is_nothing_where_no_position_is_known():
    zeros, unknown = np.zeros((1, 3)), np.full((1, 3), np.nan)
    now = Situation(zeros, zeros, zeros, unknown, zeros, zeros, Timing.of(0.01))
    np.testing.assert_array_equal(EffortEnvelope(ARM, effort_limits(), 1.0).brake(now), zeros)


@settings(QUICK, max_examples=40)
@given(seed=SEEDS, gravity=st.booleans())
def test_an_effort_holds_with_the_gains_of_the_profile(seed, gravity):
    generator, limits = np.random.default_rng(seed), effort_limits()
    robot = dataclasses.replace(ARM, hold=dataclasses.replace(ARM.hold, gravity=gravity))
    anchor = generator.uniform(-1, 1, (ROWS, 3))
    position, velocity = anchor + generator.normal(0, 0.1, (ROWS, 3)), generator.normal(0, 0.5, (ROWS, 3))
    blind = generator.random((ROWS, 3)) < 0.1
    age = generator.choice([0.0, 0.03, 0.030001, 0.4, 1.03, 9.0], ROWS)  # 30 ms are allowed at 10 ms
    zeros = np.zeros((ROWS, 3))
    now = Situation(
        zeros, zeros, anchor, np.where(blind, np.nan, position), velocity, np.broadcast_to(age[:, None], (ROWS, 3)), Timing.of(0.01)
    )
    found = EffortEnvelope(robot, limits, 1.0).brake(now)
    lift = Kinematics(robot.urdf_path).gravity(JOINTS, position) if gravity else zeros
    columns = [ARM.joint_names.index(joint) for joint in JOINTS]
    kp, kd = np.array(ARM.hold.kp)[columns], np.array(ARM.hold.kd)[columns]
    for row in range(ROWS):
        if gravity and blind[row].any():  # a load that depends on a joint that is not known
            continue
        for joint in range(3):
            held = kp[joint] * (anchor[row, joint] - position[row, joint]) - kd[joint] * velocity[row, joint]
            wanted = (held if age[row] <= 0.03 else 0.0) + min(max(1 - (age[row] - 0.03), 0.0), 1.0) * lift[row, joint]
            wanted = 0.0 if blind[row, joint] else wanted
            low = 0.0 if velocity[row, joint] < -limits.velocity[joint] else -limits.effort[joint]
            high = 0.0 if velocity[row, joint] > limits.velocity[joint] else limits.effort[joint]
            assert found[row, joint] == pytest.approx(min(max(wanted, low), high), abs=1e-9)


def test_a_robot_commanded_by_effort_must_say_how_it_is_held():
    with pytest.raises(ValueError, match=r"^robot 'ur5e' is commanded by effort, so its profile needs hold: \{kp, kd, gravity\}$"):
        EffortEnvelope(dataclasses.replace(ARM, hold=None), ARM.limits(), 1.0)


@pytest.mark.parametrize("lasting", [0.05, math.inf])
@pytest.mark.parametrize("age", [0.0, 0.02, 0.03, 0.06, 0.08, 0.11, 0.16, 0.17, 0.18, 0.3])
def test_what_was_commanded_since_a_sample_is_the_way_of_each_command_while_it_lasted(age, lasting):
    newest, trail = (0.07, 3.0), [(0.05, 2.0), (0.08, -1.0), (0.02, 4.0)]
    way, ms = 0.0, 0.001
    for tick in range(round(age / ms)):
        back, rate = (tick + 0.5) * ms, 4.0  # what was in force before the trail begins counts as its oldest command
        for lasted, value in (newest, *trail):
            if back < lasted:
                rate = value if lasted - back < lasting else 0.0  # at rest, once it has been carried out
                break
            back -= lasted
        way += rate * ms
    ages, rates = np.array([[age, 0.0]]), np.array([[newest[1], 5.0]])
    timing = Timing(0.05, newest[0], 0.01)
    found = commanded(rates, ages, timing, tuple((lasted, np.full((1, 2), value)) for lasted, value in trail), lasting)
    np.testing.assert_allclose(found, [[way, 0.0]], atol=1e-12)
    np.testing.assert_allclose(commanded(rates, ages, timing, ()), rates * ages)


@pytest.mark.parametrize(("since", "kept"), [(0.015, 3), (0.016, 2), (0.02, 2), (0.01, 4), (0.05, 1)])
def test_commands_are_remembered_as_long_as_a_sample_may_be_late(since, kept):
    """As far back as the time-out of 30 ms."""
    trail = ()
    for number in range(9):
        trail = longer_trail(trail, np.full((1, 1), number), Timing(0.01, since, 0.01))
    assert [(lasted, rates[0, 0]) for lasted, rates in trail] == [(since, 8 - back) for back in range(kept)]


@pytest.mark.parametrize(("rate", "asked", "ahead"), [(1.0, 0.6, 0.01), (0.6, 1.0, 0.0), (-1.0, -0.6, -0.01), (0.2, -0.2, 0.0)])
def test_a_motion_that_slows_down_comes_further_than_its_last_velocity_says(planar, monkeypatch, rate, asked, ahead):
    seen, zeros = [], np.zeros((1, 3))
    box = Box((-9.0, -9.0, -9.0), (9.0, 9.0, 9.0))
    envelope = MotionEnvelope(planar, dataclasses.replace(planar.limits(), workspace=box, acceleration=(100.0,) * 3), "velocity", 1.0)
    monkeypatch.setattr(envelope, "_leaves_box", lambda *given: seen.append(given[-1]) or np.zeros(1, dtype=bool))
    rates = np.full((1, 3), rate)
    now = Situation(rates, rates, zeros, zeros, zeros, np.zeros((1, 1)), Timing.of(0.05))
    now.place = zeros
    envelope.clamp(np.full((1, 3), asked), now)
    np.testing.assert_allclose(seen[0][0], ahead, atol=1e-12)
