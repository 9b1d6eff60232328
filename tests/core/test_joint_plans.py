"""How one joint moves on a trajectory: a bound of a plan is met exactly by the plan that it was computed for."""

import itertools
import math

import numpy as np
import pytest

from isthmus.limits import Limits
from isthmus.trajectory import Reference, _Joint, _points

PERIOD = 0.05
BOUNDS = [(3.0, 15.0, 15.0), (1.0, 2.0, 15.0), (3.0, 40.0, 5.0), (0.003, 15.0, 15.0), (1.0, math.inf, 2.0), (1.5, 0.01, 15.0)]
JOINTS = [_Joint(*bounds, -math.inf, math.inf, PERIOD) for bounds in BOUNDS]
ONE = JOINTS[0]


def rest(joint, velocity, way):
    """Where a plan from 0 rests."""
    return joint.phases(0.0, velocity, way, 0.0)[-1][1]


@pytest.mark.parametrize("joint", JOINTS)
def test_the_largest_velocity_before_a_limit_is_that_whose_plan_rests_there(joint):
    for velocity, room in itertools.product([-1.0, -0.2, 0.0, 0.1, 0.5, 2.0], [0.004, 0.02, 0.05, 0.2, 1.0]):
        aim = joint._before(velocity, room)
        if aim > joint.braking * joint.turn / 2:  # else the tail is no more than its taper
            assert rest(joint, velocity, (aim, joint.braking, True)) == pytest.approx(room, abs=1e-12)
        elif aim == -math.inf:
            assert velocity > 0
            assert rest(joint, velocity, (0.0, joint.braking, True)) > room - 1e-6
        else:
            assert -1e-5 < rest(joint, velocity, (aim, joint.braking, True)) - room <= 0


def test_before_a_limit_that_is_near_or_passed_a_joint_may_come_to_rest_or_turn_back():
    assert ONE._before(0.0, -0.1) == ONE._before(-0.1, -0.1) == 0.0
    assert ONE._before(0.1, -0.1) == ONE._before(1e-9, 0.0) == -math.inf
    assert ONE._before(2.0, math.inf) == math.inf


@pytest.mark.parametrize("joint", JOINTS)
def test_the_deceleration_of_a_tail_is_that_which_rests_after_the_room(joint):
    for speed, room in itertools.product([0.001, 0.01, 0.5, 1.0, 3.0], [1e-7, 1e-5, 1e-3, 0.02, 0.5]):
        assert rest(joint, speed, (speed, joint._stopping(speed, room), False)) == pytest.approx(room, rel=1e-9)


def test_where_there_is_no_room_or_no_speed_a_tail_takes_no_time():
    assert ONE._stopping(1.0, 0.0) == ONE._stopping(1.0, -0.1) == ONE._stopping(0.0, 0.1) == math.inf


@pytest.mark.parametrize("joint", JOINTS)
def test_the_largest_speed_that_stops_takes_the_room(joint):
    for room in (1e-6, 1e-3, 0.1, 2.0):
        speed = joint._stoppable(room)
        assert speed * (PERIOD + joint.turn) / 2 + speed**2 / (2 * joint.braking) == pytest.approx(room, rel=1e-12)
        assert joint._stoppable(-room) == joint._stoppable(0.0) == 0.0


def test_the_turn_is_a_hundredth_of_the_period_and_less_where_braking_is_much_harder():
    shares = [0.01, 0.05 * 2 / 15, 0.01, 0.01, 0.01, 0.001]
    assert [joint.turn for joint in JOINTS] == pytest.approx([share * PERIOD for share in shares], rel=1e-12)


@pytest.mark.parametrize("joint", JOINTS)
def test_the_fastest_end_of_a_period_is_200th_beyond_the_limit_while_the_acceleration_turns_and_no_more(joint):
    def top(speed):
        slowing = -joint.phases(0.0, speed, (speed, joint.braking, True), 0.0)[2][3]
        return speed + slowing * joint.turn / 2

    assert 0 < joint.fastest <= joint.velocity
    if joint.fastest < joint.velocity:
        assert top(joint.fastest) == pytest.approx(1.005 * joint.velocity, rel=1e-9)
    else:
        assert top(joint.fastest) <= 1.005 * joint.velocity


@pytest.mark.parametrize("joint", [joint for joint in JOINTS if joint.acceleration < math.inf])
@pytest.mark.parametrize("velocity", [0.0, 0.3, 1.0])
def test_a_period_speeds_up_at_the_limit_and_towards_rest_it_brakes(joint, velocity):
    fast = joint.within(velocity, 9.0)
    if fast - velocity > joint.acceleration * PERIOD / 2 * (1 + 1e-9):
        assert joint.phases(0.0, velocity, (fast, joint.braking, True), 0.0)[0][3] == pytest.approx(joint.acceleration, rel=1e-6)
    else:  # the turn would take most of it
        assert (joint.acceleration, fast - velocity) == (0.01, pytest.approx(0.01 * PERIOD / 2))
    reach, braked = fast - velocity, max(velocity - joint.braking * PERIOD, 0.0)
    assert joint.within(velocity, -9.0) == pytest.approx(min(velocity - reach, braked), abs=1e-12)
    assert joint.within(-velocity, -9.0) == pytest.approx(-fast, abs=1e-12)
    assert joint.within(-velocity, 9.0) == pytest.approx(-min(velocity - reach, braked), abs=1e-12)
    assert joint.within(velocity, velocity) == velocity


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize(("velocity", "room"), [(0.5, 0.06), (1.0, 0.12), (2.9, 0.4), (0.0, 0.008)])
def test_a_joint_that_cruises_towards_a_limit_rests_at_it(sign, velocity, room):
    for low, high in ((-room, 9.0), (-9.0, room)):
        joint = _Joint(3.0, 15.0, 15.0, 0.7 + low, 0.7 + high, PERIOD)
        towards = (low < -room / 2 < 0 and high == 9.0) == (sign < 0)
        way = joint.cruise(0.7, sign * velocity, sign * 3.0)
        assert way[2]
        assert way[1] == 15.0
        if towards:
            assert rest(joint, sign * velocity, way) == pytest.approx(sign * room, abs=1e-12)
        else:
            assert abs(way[0]) > velocity or abs(way[0]) == 3.0


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_joint_cruises_no_faster_than_its_fastest(sign):
    slow = JOINTS[3]
    assert slow.fastest < slow.velocity
    assert slow.cruise(0.0, 0.0, sign * slow.velocity)[0] == sign * slow.fastest


def test_a_joint_that_cannot_rest_before_a_limit_any_more_brakes_at_once():
    joint = _Joint(3.0, 15.0, 15.0, -0.1, 0.1, PERIOD)
    assert joint.cruise(0.0, 2.0, 3.0) == joint.cruise(0.0, 2.0, -3.0) == (2.0, 15.0, False)
    assert joint.cruise(0.0, -2.0, -3.0) == joint.cruise(0.0, -2.0, 3.0) == (-2.0, 15.0, False)


@pytest.mark.parametrize("joint", JOINTS)
def test_the_phases_of_a_plan_belong_together(joint):
    for velocity, aim, moves in itertools.product((-0.4, 0.0, 0.001, 0.5), (-0.5, 0.0, 0.002, 0.4), (True, False)):
        aim = aim if moves else velocity
        rows = joint.phases(0.3, velocity, (aim, joint.braking, moves), 0.0)
        assert len(rows) == 5
        assert rows[0][:3] == [0.0, 0.3, velocity] if velocity or (aim and moves) else rows[0] == [0.0, 0.3, 0.0, 0.0, 0.0]
        for (begin, position, speed, acceleration, jerk), following in itertools.pairwise(rows):
            h = following[0] - begin
            assert h >= 0
            assert following[1] == pytest.approx(position + h * (speed + h * (acceleration / 2 + h * jerk / 6)), abs=1e-15)
            assert following[2] == pytest.approx(speed + h * (acceleration + h * jerk / 2), abs=1e-12)
        assert rows[-1][2:] == [0.0, 0.0, 0.0]
        if moves and (velocity or aim):
            tail = [row for row in rows if row[0] >= PERIOD - 1e-12]
            assert tail[0][2] == pytest.approx(aim, abs=1e-12)
            assert rows[1][0] == pytest.approx(PERIOD - joint.turn)


def test_a_period_that_ends_at_rest_ends_without_acceleration():
    _, turning, *_ = ONE.phases(0.0, 0.5, (0.0, 15.0, True), 0.0)
    assert turning[3] + turning[4] * ONE.turn == pytest.approx(0.0, abs=1e-9)


def test_a_plan_that_is_over_at_once_is_rest():
    rows = ONE.phases(0.3, 1e-9, (1e-9, 15.0, False), 1e-5)
    assert rows == [[0.0, 0.3, 0.0, 0.0, 0.0]] * 5
    length = ONE.phases(0.3, 1e-9, (1e-9, 15.0, False), 0.0)[-1][0]
    assert 0 < length < 1e-5
    assert ONE.phases(0.3, 1e-9, (1e-9, 15.0, False), length * (1 - 1e-9))[0][2] == 1e-9


def test_a_point_of_one_joint_within_the_taper_of_another_lies_on_its_motion():
    speeds, apart = (0.5, 0.503), 1e-5
    plans = np.array([ONE.phases(0.0, speed, (speed, 15.0, True), 0.0) for speed in speeds])
    spline, jerk = _points(plans, apart), 15.0 / ONE.turn
    begins, ends = plans[:, 3, 0], plans[:, 4, 0]
    later = int(np.argmin(np.abs(spline.times - begins[1])))
    left = ends[0] - begins[1]
    assert apart < begins[1] - begins[0] < ONE.turn
    assert spline.accelerations[later, 0] == pytest.approx(-jerk * left, rel=1e-4)
    assert spline.velocities[later, 0] == pytest.approx(jerk * left**2 / 2, rel=1e-4)
    assert spline.positions[-1, 0] - spline.positions[later, 0] == pytest.approx(jerk * left**3 / 6, rel=1e-3)
    np.testing.assert_allclose([spline.accelerations[later, 1], spline.velocities[later, 1]], [-15.0, 15.0 * ONE.turn / 2], rtol=1e-3)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
class TestApproach:
    """To a set-point, from 0 at a velocity; the guard moves it at a rate."""

    def approach(self, sign, velocity, gap, rate=0.0):
        aim, deceleration, moves = ONE.approach(0.0, sign * velocity, sign * gap, sign * rate)
        return sign * aim, deceleration, moves

    @pytest.mark.parametrize(("velocity", "gap"), [(0.0, 0.01), (0.2, 0.0075), (0.2, 0.01), (0.3, 0.03), (0.1, 0.02)])
    def test_a_set_point_that_is_due_is_where_the_plan_rests(self, sign, velocity, gap):
        way = ONE.approach(0.0, sign * velocity, sign * gap, sign * gap / PERIOD)
        assert way[2]
        assert sign * way[0] == pytest.approx(gap / PERIOD - velocity / 2, abs=1e-12)
        assert rest(ONE, sign * velocity, way) == pytest.approx(sign * gap, abs=1e-4)  # what the turn adds
        assert way[1] == pytest.approx(abs(way[0]) / PERIOD, rel=1e-5)

    def test_one_that_is_near_is_braked_for_at_once(self, sign):
        way = ONE.approach(0.0, sign * 0.5, sign * 0.01, 0.0)
        assert (sign * way[0], way[2]) == (0.5, False)
        assert rest(ONE, sign * 0.5, way) == pytest.approx(sign * 0.01, abs=1e-12)
        for gap in (0.005, 0.0, 1e-10):  # nearer than the joint can brake
            assert self.approach(sign, 0.5, gap) == (0.5, 15.0, False)

    def test_a_joint_that_is_there_rests(self, sign):
        assert self.approach(sign, 0.0, 0.9e-9) == (0.0, 15.0, False)
        assert self.approach(sign, 0.0, 1e-9)[2]

    def test_one_that_was_passed_is_turned_back_to(self, sign):
        aim, deceleration, moves = self.approach(sign, 0.5, -0.02)
        assert (aim, moves) == (pytest.approx(ONE.within(0.5, -9.0)), True)
        assert deceleration == pytest.approx(max(ONE._stopping(-aim, 0.02 + (0.5 + aim) * PERIOD / 2), -aim / PERIOD))

    @pytest.mark.parametrize(("rate", "further"), [(1.0, 1 / 30 - 0.025), (0.5, 0.0), (0.0, 0.0), (-1.0, 0.0)])
    def test_a_joint_is_no_faster_than_what_stops_where_the_guard_would(self, sign, rate, further):
        aim, deceleration, moves = self.approach(sign, 1.0, 0.1, rate)
        assert aim == pytest.approx(ONE._stoppable(0.1 - 0.025 + further), rel=1e-12)
        assert (deceleration, moves) == (15.0, True)

    def test_far_away_it_speeds_up_and_could_rest_a_period_later(self, sign):
        aim, deceleration, moves = self.approach(sign, 0.0, 1.0)
        assert (aim, moves) == (pytest.approx(ONE.within(0.0, 9.0)), True)
        assert deceleration == pytest.approx(aim / PERIOD, rel=1e-12)
        assert self.approach(sign, 2.9, 9.0)[0] == ONE.fastest

    def test_a_tail_that_has_less_room_brakes_harder(self, sign):
        aim, deceleration, moves = self.approach(sign, 0.9, 0.0275)
        assert (aim, moves) == (pytest.approx(0.15), True)  # as slow as the period can become
        assert deceleration == pytest.approx(ONE._stopping(0.15, 0.0275 - 1.05 * PERIOD / 2), rel=1e-9)
        assert 2 * aim / PERIOD < deceleration < 15.0


def reference(start):
    names = ("a", "b")
    two = Limits(names, (-9.0, -9.0), (9.0, 9.0), (3.0, 3.0), (15.0, 15.0), (15.0, 15.0), (1.0, 1.0))
    found = Reference(two, PERIOD)
    found.begin(np.array(start), 0.0)
    return found


def test_set_points_that_move_evenly_are_followed_as_fast():
    found = reference([0.0, 0.0])
    for count in range(1, 30):
        found.follow("position", np.array([1.0, -0.5]) * count * PERIOD, count * PERIOD, braking=False)
    np.testing.assert_allclose(found.spline.sample(PERIOD)[1], [1.0, -0.5], atol=5e-3)


def test_a_set_point_that_stays_far_away_is_reached_and_not_passed():
    start, goal = np.array([0.2, 0.2]), np.array([0.7, -0.3])
    found = reference(start)
    for count in range(40):
        spline = found.follow("position", goal, count * PERIOD, braking=False)
        for share in (0.0, 0.5, 1.0, 2.0, 99.0):
            way = (spline.sample(share * PERIOD)[0] - start) / (goal - start)
            assert (way < 1 + 1e-3).all()
    np.testing.assert_allclose(spline.positions, [goal], atol=2e-9)
