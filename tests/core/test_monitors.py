import numpy as np
import pytest

from isthmus.monitors import Monitors, finite, time_out
from isthmus.robot import Thresholds

DT = 0.05
JOINTS = ("shoulder", "elbow")


def watch(samples, mode="velocity", executed=0.0, **thresholds):
    """Causes raised at each sample `(stamp, position, velocity)` of one row."""
    monitors = Monitors(Thresholds(**thresholds), mode, JOINTS, np.full(2, 3.0))
    state, causes = monitors.initial(1), []
    for stamp, position, velocity in samples:
        command = np.full((1, 2), executed)
        state, alarms = monitors.update(
            state, np.array([stamp]), command, command, np.array([position], dtype=float), np.array([velocity], dtype=float), DT
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
    assert watch([(0.0, [0, 0], [0, 0]), (4 * DT, [0, 0.31], [0, 0])])[1] == []


def test_a_stamp_that_is_no_number_counts_as_no_sample():
    causes = watch([(0.0, [0, 0], [0, 0]), (np.nan, [0, 0], [0, 0]), (np.nan, [0, 0], [0, 0])])
    assert causes[1:] == [[], [("joint state is stale", True)]]


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
    assert watch(runaway)[-1] == [("elbow does not follow its command", True)]


def test_reversals_count_only_above_the_speed_that_matters():
    def swings(speed):
        return [(tick * DT, [0, 0], [speed * (-1) ** tick, 0]) for tick in range(100)]

    assert watch(swings(0.5), oscillation=10.0)[-1] == [("shoulder oscillates", True)]
    assert not any(watch(swings(0.2), oscillation=10.0))


def test_finite_looks_at_every_number():
    assert finite(np.array([[1e200, -1e200]]))
    assert not finite(np.array([[1.0, np.nan]]))
    assert not finite(np.array([[1.0, -np.inf]]))
