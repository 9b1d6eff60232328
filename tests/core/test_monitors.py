import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.monitors import Monitors, finite, time_out
from isthmus.robot import Thresholds
from isthmus.timing import Timing

DT = 0.05
JOINTS = ("shoulder", "elbow")


def watch(samples, mode="velocity", executed=0.0, **thresholds):
    """Causes raised at each sample `(stamp, position, velocity)` of one row."""
    monitors = Monitors(Thresholds(**thresholds), mode, JOINTS, np.full(2, 3.0))
    state, causes = monitors.initial(1), []
    for stamp, position, velocity in samples:
        command = np.full((1, 2), executed)
        state, alarms = monitors.update(
            state, np.array([stamp]), command, command, np.array([position], dtype=float), np.array([velocity], dtype=float), Timing.of(DT)
        )
        causes.append([(alarm.causes[0], alarm.fatal) for alarm in alarms if alarm.rows[0]])
    return causes


def test_time_out_is_one_and_a_half_periods_and_at_least_30_ms():
    assert time_out(0.002) == pytest.approx(0.030)
    assert time_out(0.05) == pytest.approx(0.085)


def test_nothing_is_raised_by_steady_motion():
    samples = [(tick * DT, [0.1 * tick, 0.1 * tick], [2.0, 2.0]) for tick in range(1, 100)]
    assert not any(watch(samples, executed=2.0, oscillation=5.0))


def test_a_jump_is_measured_against_the_time_since_the_last_sample():
    assert watch([(0.0, [0, 0], [0, 0]), (DT, [0, 0.31], [0, 0])])[1] == [("measured position of elbow jumped", True)]
    assert watch([(0.0, [0, 0], [0, 0]), (4 * DT, [0, 0.31], [0, 0])], runaway_travel=np.inf)[1] == []


def test_a_jump_in_one_row_is_none_in_another():
    monitors = Monitors(Thresholds(), "velocity", JOINTS, np.full(2, 3.0))
    state, rest = monitors.initial(2), np.zeros((2, 2))
    for moment, elbow in ((0.0, 0.0), (DT, 0.5)):
        position = np.array([[0.0, elbow], [0.0, 0.0]])
        state, _ = monitors.update(state, np.full(2, moment), rest, rest, position, rest, Timing.of(DT))
    assert state.believed(DT).tolist() == [False, True]


def test_a_stamp_that_is_no_number_counts_as_no_sample():
    causes = watch([(0.0, [0, 0], [0, 0]), (np.nan, [0, 0], [0, 0]), (np.nan, [0, 0], [0, 0])])
    assert causes[1:] == [[], [("joint state is stale", True)]]


def test_a_joint_that_was_never_seen_hides_no_runaway_of_another():
    causes = watch([(tick * DT, [np.nan, 0.02 * tick], [0, 0]) for tick in range(20)], tracking_tolerance=np.inf, runaway_travel=0.2)
    assert causes[-1] == [("elbow runs away from its command", True)]


def test_nothing_has_jumped_before_anything_was_seen():
    monitors, rest = Monitors(Thresholds(), "velocity", JOINTS, np.full(2, 3.0)), np.zeros((1, 2))
    with np.errstate(invalid="ignore"):
        state, _ = monitors.update(monitors.initial(1), np.array([np.nan]), rest, rest, rest, rest, Timing.of(DT))
    assert not state.jumped.any()


def test_a_joint_that_reports_late_does_not_jump():
    assert not any(watch([(0.0, [np.nan, 0], [0, 0]), (DT, [2.5, 0], [0, 0]), (2 * DT, [np.nan, 0], [0, 0]), (3 * DT, [2.5, 0], [0, 0])]))


def test_creep_and_a_wrong_gain_are_forgotten_and_a_dead_motor_is_not():
    still = [(tick * DT, [0, 0], [0, 0]) for tick in range(400)]
    assert not any(watch(still, executed=0.01, tracking_tolerance=0.35, frozen_travel=np.inf))
    slow = [(tick * DT, [0.9 * DT * tick, 0.9 * DT * tick], [0.9, 0.9]) for tick in range(400)]
    assert not any(watch(slow, executed=1.0, tracking_tolerance=0.35))
    causes = watch(still[:20], executed=1.5, tracking_tolerance=0.35, frozen_travel=np.inf)
    assert next(tick for tick, found in enumerate(causes) if found) <= 6  # 0.3 s
    assert causes[-1] == [("shoulder does not follow its command", True)]


def test_effort_mode_has_no_tracking_monitor():
    assert not any(watch([(tick * DT, [0, 0], [0, 0]) for tick in range(20)], "effort", executed=2.0, tracking_tolerance=0.1))


def test_no_robot_is_without_monitors_by_default():
    still = [(tick * DT, [0, 0], [0, 0]) for tick in range(20)]
    assert watch(still, executed=1.0)[-1] != []
    runaway = [(tick * DT, [0, 0.1 * tick], [0, 2]) for tick in range(20)]
    assert watch(runaway)[-1] == [("elbow does not follow its command", True), ("elbow runs away from its command", True)]


def test_reversals_count_only_above_the_speed_that_matters():
    def swings(speed):
        return [(tick * DT, [0, 0], [speed * (-1) ** tick, 0]) for tick in range(100)]

    assert watch(swings(0.5), oscillation=10.0)[-1] == [("shoulder oscillates", True)]
    assert not any(watch(swings(0.2), oscillation=10.0))


def test_frozen_is_a_joint_that_was_commanded_further_than_the_threshold_not_just_as_far():
    still = [(tick * DT, [0, 0], [0, 0]) for tick in range(6)]
    causes = watch(still, executed=2.5, frozen_travel=0.25, tracking_tolerance=np.inf)  # 1/8 rad per period
    assert causes[:4] == [[]] * 4
    assert causes[4] == [("shoulder does not follow its command: its measured position is frozen", True)]


def test_a_swing_must_be_faster_and_swings_more_often_than_the_threshold():
    def swings(speed, count):
        return [(tick * DT, [0, 0], [speed * (-1) ** min(tick, count), 0]) for tick in range(count + 3)]

    assert not any(watch(swings(0.3, 20), oscillation=0.5, oscillation_speed=0.3))
    assert not any(watch(swings(0.5, 1), oscillation=1.0))
    assert any(watch(swings(0.5, 2), oscillation=1.0))
    assert not any(watch([(stamp, [0, 0], [speed, speed]) for stamp, _, (speed, _) in swings(0.5, 1)], oscillation=1.0))  # both joints once


def test_finite_looks_at_every_number():
    assert finite(np.array([[1e200, -1e200]]))
    assert not finite(np.array([[1.0, np.nan]]))
    assert not finite(np.array([[1.0, -np.inf]]))


class Written:
    """The monitors as their documentation describes them, for one row and in plain numbers."""

    def __init__(self, thresholds, mode, fastest):
        self.thresholds, self.mode, self.fastest = thresholds, mode, fastest
        self.stamp, self.age = -math.inf, 0.0
        count = len(fastest)
        self.position, self.lead, self.travel = [math.nan] * count, [0.0] * count, [0.0] * count
        self.away, self.unseen, self.ordered, self.waited = [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count
        self.swing, self.reversals, self.jumped = [0.0] * count, [0.0] * count, [False] * count

    def update(self, stamp, executed, rate, position, velocity, dt):
        """Alarms as (sentence, fatal); the first joint of each kind is named."""
        found, seen = [], {}
        new, again = stamp > self.stamp, self.age > 0
        self.age = 0.0 if new else self.age + dt
        if stamp < self.stamp:
            found.append(("stamps of the joint state go backwards", False))
        if self.age > max(1.5 * dt + 0.01, 0.03):
            found.append(("joint state is stale", True))
        stamp = self.stamp if math.isnan(stamp) else stamp
        elapsed = max(stamp - self.stamp, dt)
        for j, name in enumerate(JOINTS):
            known = math.isfinite(position[j])
            place = position[j] if known else self.position[j]
            self.unseen[j] = 0.0 if known and new else self.unseen[j] + dt
            moved, commanded = place - self.position[j], rate[j] * dt
            jumped, along = abs(moved) > 2 * self.fastest[j] * elapsed, not abs(moved) > 1.1 * self.fastest[j] * elapsed
            self.jumped[j] = jumped or (self.jumped[j] and not new)
            if jumped:
                seen.setdefault("jump", f"measured position of {name} jumped")
            if self.mode != "effort":
                self.waited[j] = self.waited[j] + dt if moved == 0 and abs(self.travel[j]) > self.thresholds.frozen_travel else 0.0
                if self.waited[j] > 0 and new and known:
                    seen.setdefault("frozen", f"{name} does not follow its command: its measured position is frozen")
                self.ordered[j] = commanded + (self.ordered[j] if again else 0.0)
                along = along and not moved * self.ordered[j] <= 0
                self.travel[j] = self.travel[j] + commanded if moved == 0 else 0.0
                if self.mode == "position":
                    self.lead[j] = executed[j] - place
                else:
                    step = commanded if math.isnan(moved) else moved
                    self.lead[j] = (self.lead[j] + commanded - step) / (1 + abs(commanded) / 2.0 + dt / 20.0)
                if abs(self.lead[j]) > self.thresholds.tracking_tolerance:
                    seen.setdefault("lead", f"{name} does not follow its command")
            excess = moved - math.copysign(min(abs(moved), self.fastest[j] * elapsed), moved)
            if self.mode == "effort" or moved * self.ordered[j] > 0:
                gone = excess + (self.away[j] if self.away[j] * moved > 0 else 0.0)
            else:
                gone = moved + self.away[j]
            self.away[j] = 0.0 if along or jumped or math.isnan(moved) else gone
            if abs(self.away[j]) > self.thresholds.runaway_travel:
                seen.setdefault("away", f"{name} runs away from its command")
            before = self.swing[j]
            if abs(velocity[j]) > self.thresholds.oscillation_speed:
                self.swing[j] = velocity[j]
            self.reversals[j] = self.reversals[j] * math.exp(-dt / 1.0) + (self.swing[j] * before < 0)
            if self.reversals[j] > self.thresholds.oscillation:
                seen.setdefault("swing", f"{name} oscillates")
            self.position[j] = place
        self.stamp = stamp
        return found + [(seen[kind], True) for kind in ("jump", "frozen", "lead", "away", "swing") if kind in seen]


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(["velocity", "position", "effort"]),
    dt=st.sampled_from([0.01, 0.05]),
    oscillation=st.sampled_from([2.0, math.inf]),
    frozen=st.sampled_from([0.03, 0.2]),
    trouble=st.sampled_from([0.0, 0.2]),
    runaway=st.sampled_from([0.05, 0.3]),
)
def test_every_row_is_judged_as_the_documentation_says(seed, mode, dt, oscillation, frozen, trouble, runaway):
    generator, rows, fastest = np.random.default_rng(seed), 3, np.array([1.0, 3.0])
    thresholds = Thresholds(
        tracking_tolerance=0.25, frozen_travel=frozen, oscillation=oscillation, oscillation_speed=0.3, runaway_travel=runaway
    )
    monitors = Monitors(thresholds, mode, JOINTS, fastest)
    state, written = monitors.initial(rows), [Written(thresholds, mode, fastest) for _ in range(rows)]
    position, rate, stamp = generator.uniform(-1, 1, (rows, 2)), np.zeros((rows, 2)), np.zeros(rows)
    executed = position.copy() if mode == "position" else rate
    for _ in range(30):
        odd = generator.random((rows, 2)) < trouble * 0.3
        new = generator.random(rows) >= trouble
        stamp = np.where(new, stamp + dt * generator.choice([1.0, 1.0, 3.0], rows), stamp)
        stamp = np.where(generator.random(rows) < trouble * 0.1, stamp - 10.0, stamp)
        told = np.where(generator.random(rows) < trouble * 0.2, np.nan, stamp)
        follows = (generator.random((rows, 2)) < 0.9) * (generator.random((rows, 2)) < (0.5 if seed % 2 else 1.0))
        position = position + rate * dt * follows + np.where(odd, generator.choice([0.1, 3.5 * dt, 8.0 * dt, 20 * dt], (rows, 2)), 0)
        blind = generator.random((rows, 2)) < trouble * 0.3
        measured = np.where(blind, generator.choice([np.nan, np.inf], (rows, 2)), position)
        velocity = np.where(generator.random((rows, 2)) < 0.2, -rate, rate) + generator.normal(0, 0.1, (rows, 2))
        state, alarms = monitors.update(state, told, executed, rate, measured, velocity, Timing.of(dt))
        for row in range(rows):
            wanted = written[row].update(told[row], executed[row], rate[row], measured[row], velocity[row], dt)
            assert [(alarm.causes[row], alarm.fatal) for alarm in alarms if alarm.rows[row]] == wanted
            for alarm in alarms:
                assert alarm.runaway == alarm.causes[row].endswith("runs away from its command")
            for name in (
                "stamp",
                "age",
                "position",
                "unseen",
                "ordered",
                "away",
                "lead",
                "travel",
                "waited",
                "swing",
                "reversals",
                "jumped",
            ):
                np.testing.assert_allclose(getattr(state, name)[row], getattr(written[row], name), atol=1e-9, err_msg=name)
        rate = np.clip(rate + generator.uniform(-0.5, 0.5, (rows, 2)), -fastest, fastest) * (generator.random((rows, 2)) < 0.95)
        executed = executed + rate * dt if mode == "position" else rate


@pytest.mark.parametrize("size", [10, 4096, 4097, 20_000])
def test_finite_is_right_for_any_size(size):
    values = np.ones((size, 1))
    assert finite(values)
    values[-1] = 1e200  # whose square is not finite
    assert finite(values)
    values[-1] = np.inf
    assert not finite(values)


def test_a_threshold_must_be_passed_not_met():
    exactly = [(0.0, [0, 0], [0, 0]), (DT, [6 * DT, 0], [0, 0])]  # at twice 3 rad/s
    assert not any(watch(exactly, tracking_tolerance=np.inf, runaway_travel=6 * DT))
    assert any(watch(exactly, tracking_tolerance=np.inf, runaway_travel=6 * DT - 1e-9))
    led = [(0.0, [0, 0], [0, 0]), (DT, [0, 0], [0, 0])]
    assert not any(watch(led, "position", executed=0.25, tracking_tolerance=0.25))
    assert watch(led, "position", executed=0.250001, tracking_tolerance=0.25)[-1] == [("shoulder does not follow its command", True)]


@pytest.mark.parametrize(
    ("mode", "since", "ordered"),
    [("velocity", 0.07, 0.03), ("velocity", 0.04, 0.03), ("position", 0.04, 0.03), ("position", 0.07, 0.01), ("position", 0.09, 0.0)],
)
def test_a_velocity_goes_on_and_a_set_point_rests_once_its_period_is_over(mode, since, ordered):
    monitors, at_home, one = Monitors(Thresholds(), mode, JOINTS, np.full(2, 3.0)), np.zeros((1, 2)), np.ones((1, 2))
    state, _ = monitors.update(monitors.initial(1), np.zeros(1), at_home, at_home, at_home, at_home, Timing.of(0.05))
    state, _ = monitors.update(state, np.full(1, 0.03), at_home, one, at_home, at_home, Timing(0.05, since, 0.03))
    np.testing.assert_allclose(state.ordered, np.full((1, 2), ordered), atol=1e-12)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_where_the_robot_was_told_to_be_says_what_was_ordered_since_the_last_look(mode):
    monitors, zeros, one = Monitors(Thresholds(), mode, JOINTS, np.full(2, 3.0)), np.zeros((1, 2)), np.ones((1, 2))
    state = monitors.initial(1)
    for stamp, told, measured, ordered in [(0.0, 0.1, 0.0, 0.0), (0.05, 0.13, 0.02, 0.03), (0.1, 0.11, 0.02, -0.02)]:
        state, _ = monitors.update(state, np.full(1, stamp), zeros, one, measured * one, zeros, Timing.of(0.05), told=told * one)
        np.testing.assert_allclose([state.ordered, state.lead], [ordered * one, (told - measured) * one], atol=1e-12)
