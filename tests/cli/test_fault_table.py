"""The fault table without its processes: what is worked out from what was seen, which rows a robot has, and the page."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from isthmus.robot import load_robot
from isthmus.spline import Spline
from isthmus_cli.faults.command import row_numbers
from isthmus_cli.faults.course import NotReady, course
from isthmus_cli.faults.measure import Record, _attempt
from isthmus_cli.faults.page import page
from isthmus_cli.faults.policies import write_policy
from isthmus_cli.faults.review_rows import REVIEW_ROWS
from isthmus_cli.faults.rows import NOTES, PF, ROWS, TW, VT, Row
from isthmus_cli.faults.seen import Seen, letters, sent, stops, use_of_commands, use_of_splines
from isthmus_cli.faults.subject import Setting, Subject
from isthmus_cli.main import main
from isthmus_ros.evaluation.processes import RosError

UR5E = Subject.of(load_robot("ur5e"))
LIMITS = UR5E.limits  # π rad/s and 15 rad/s²
SIX = np.ones(6)


def test_the_outcome_is_read_from_rungs_and_events_in_order():
    assert letters(["pass", "hold", "stop"], []) == "H→S"
    assert letters(["stop", "hold"], ["stop_service"]) == "X"
    assert letters(["pass", "hold", "pass"], []) == "H"
    assert letters(["pass", "hold"], []) == "H, not over"
    assert letters(["pass", "clamp"], []) == "C"
    assert letters([], []) == "N"


def test_brake_and_standstill_count_from_the_fault():
    times = np.arange(0, 2, 0.05)
    commands = np.where(times < 1.0, 0.6, 0.0)[:, None] * SIX
    moments = np.arange(0, 2, 0.01)
    motion = np.clip(0.6 - 3 * np.maximum(moments - 1.0, 0.0), 0.0, 0.6)[:, None] * SIX
    followed = stops(0.91, (times, commands), (moments, motion), 0.02)
    assert followed.brake == pytest.approx(0.09)
    assert followed.still == pytest.approx(0.28, abs=0.011)
    np.testing.assert_allclose(followed.speed, 0.6)
    assert np.isnan(stops(0.91, (times[times < 0.9], commands[times < 0.9]), (moments, motion), 0.02).brake)
    assert np.isnan(stops(0.91, (times, commands), (moments[moments < 1.0], motion[moments < 1.0]), 0.02).still)


def test_a_spline_is_judged_between_its_points_and_until_the_next_one_comes():
    """Half a turn per second at both ends, and nearly the limit of velocity in between: the points alone show nothing of it."""
    between = Spline(np.array([0.0, 0.1]), np.stack([0 * SIX, 0.2 * SIX]), np.stack([0.5 * SIX, 0.5 * SIX]))
    velocity, acceleration = use_of_splines([(0.0, between)], LIMITS)
    assert velocity == pytest.approx((1.5 * 2.0 - 0.25 * 2 * 0.5) / np.pi, rel=1e-3)
    assert acceleration == pytest.approx((6 * 0.2 - 6 * 0.05) / 0.01 / 15, rel=1e-3)
    brief = Spline(np.array([0.0, 1.0]), np.zeros((2, 6)), np.zeros((2, 6)))
    assert use_of_splines([(0.0, between), (0.001, brief)], LIMITS)[0] == pytest.approx(0.5 / np.pi, rel=1e-3)
    assert np.isnan(use_of_splines([], LIMITS)).all()


def test_a_spline_without_a_beginning_begins_in_the_one_before():
    one = Spline(np.array([0.0, 1.0]), np.stack([0 * SIX, SIX]), np.stack([SIX, SIX]))
    even = Spline(np.array([0.5]), 1.0 * SIX[None], 1.0 * SIX[None])
    velocity, acceleration = use_of_splines([(0.0, one), (0.5, even)], LIMITS)
    assert velocity == pytest.approx(1 / np.pi)
    assert acceleration == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_commands_on_the_beat_are_not_judged_by_their_jitter(mode):
    beat = np.arange(0, 1, 0.05)
    speeds = np.minimum(15 * beat, 1.5)
    values = (speeds if mode == "velocity" else np.cumsum(speeds) * 0.05)[:, None] * SIX
    jitter = np.random.default_rng(0).uniform(-0.001, 0.001, beat.size)
    velocity, acceleration = use_of_commands(beat + jitter, values, mode, 0.05, LIMITS)
    assert velocity == pytest.approx(1.5 / np.pi)
    assert acceleration == pytest.approx(1)
    urgent = np.append(beat[:3], beat[2] + 0.01)  # brakes 1.5 rad/s at once, after a change of a whole period
    assert use_of_commands(urgent, np.append(speeds[:3], 0.0)[:, None] * SIX, "velocity", 0.05, LIMITS)[1] == pytest.approx(0.15 / 0.06)


@pytest.mark.parametrize("share", [1.0, 1.3])
def test_commands_that_follow_each_other_closely_are_judged_over_a_period(share):
    """The guard brakes every 5 ms; sent a millisecond or two later than decided, one change alone was twice the limit and more until 8ed61cf."""
    decided = np.concatenate([[0.0, 0.05], 0.05 + 0.005 * np.arange(1, 41)])
    speeds = np.concatenate([[3.0, 3.0], 3.0 - share * 15 * 0.005 * np.arange(1, 41)])
    late = decided + np.random.default_rng(0).uniform(0, 0.002, decided.size)
    assert use_of_commands(late, speeds[:, None] * SIX, "velocity", 0.05, LIMITS)[1] == pytest.approx(share, rel=0.04)


def test_rest_that_is_said_again_is_no_set_point_on_the_way():
    """An idle guard says rest once in a period, and the first command comes some milliseconds after it: on 0f41c08 that was 20 times the limit."""
    moments, step = np.array([0.0, 0.05, 0.0525, 0.1025]), 15 * 0.05
    assert use_of_commands(moments, np.array([0, 0, step, 2 * step])[:, None] * SIX, "velocity", 0.05, LIMITS)[1] == pytest.approx(1)
    place = np.array([0, 0, step, 3 * step])[:, None] * 0.05 * SIX
    assert use_of_commands(moments, place, "position", 0.05, LIMITS)[1] == pytest.approx(1)
    hasty = np.append(moments, moments[-1] + 0.0025)
    values = np.array([0, 0, step, 2 * step, 3 * step])[:, None] * SIX
    assert use_of_commands(hasty, values, "velocity", 0.05, LIMITS)[1] == pytest.approx(2 * 0.05 / 0.0525)


def test_commands_count_as_sent_when_the_guard_says_so():
    stamps = 1e9 + np.array([0.0, 0.05, 0.055, 0.1])
    arrivals = np.array([7.001, 7.051, 7.053, 7.101])
    values = np.array([0.1, 0.2, 0.2, 0.3])[:, None] * SIX
    executed = [(moment + 0.001, stamp, value) for moment, stamp, value in zip(arrivals, stamps, values, strict=True)]
    np.testing.assert_array_equal(sent(arrivals, values, executed), stamps)
    np.testing.assert_allclose(sent(arrivals, values, executed[:-1]), stamps)  # its last word is missing
    np.testing.assert_array_equal(sent(arrivals, values, []), arrivals)
    np.testing.assert_array_equal(sent(arrivals, values + 1, executed), arrivals)  # somebody else's commands


def test_the_servo_lag_is_that_of_a_velocity_servo_behind_a_ramp():
    """Simulated: the time from the end of the ramp to standstill."""
    step, time_constant, speed = 1e-5, UR5E.robot.monitors.tracking_lag, 0.6
    now = velocity = 0.0
    velocity = speed
    while velocity > UR5E.robot.monitors.standstill:
        velocity += step * (max(speed - 15 * now, 0.0) - velocity) / time_constant
        now += step
    assert now - speed / 15 <= UR5E.lag(speed) < 1.15 * now


def test_a_robot_is_asked_what_its_driver_can_do():
    base = Subject.of(load_robot("diffbot"))
    for row in (*ROWS, *REVIEW_ROWS):
        asked, same = row.asked_of(base), row.asked_of(UR5E)
        assert same == row
        assert "X" not in asked.expected
        assert asked.settings == (() if row.needs else row.settings)


def test_a_profile_of_ones_own_reaches_the_processes(tmp_path, monkeypatch):
    """On fcddd72 guard and policy were started with the installed profile, whatever --robots-dir said."""
    monkeypatch.setattr("isthmus_cli.faults.course.Course", lambda *given: SimpleNamespace(recipes=given[3], close=lambda: None))
    with course(Subject.of(load_robot("ur5e"), "", tmp_path), VT, tmp_path / "policy.isthmus", recorder="roomy") as run:
        told = {name: recipe.args[1].get("robots_dir") for name, recipe in run.recipes.items()}
    assert told == {"guard_node": str(tmp_path), "policy_node": str(tmp_path), "record_node": str(tmp_path), "sim_node": None}


def test_rows_are_named_by_numbers_and_ranges():
    known = {int(row.number) for row in (*ROWS, *REVIEW_ROWS)}
    assert row_numbers("", known) == known
    assert row_numbers("1,20-22", known) == {1, 20, 21, 22} & known
    with pytest.raises(ValueError, match="--rows must be numbers and ranges such as 1,20-30, got 'x'"):
        row_numbers("x", known)
    with pytest.raises(ValueError, match="--rows 200 names no row; there are 1 to 92"):
        row_numbers("200", known)


def test_every_line_of_the_table_has_a_name_of_its_own():
    lines = [(row.number, row.fault, setting) for row in (*ROWS, *REVIEW_ROWS) for setting in row.settings]
    names = [(number, fault, setting.name) for number, fault, setting in lines]
    assert len(set(names)) == len(names)


def test_a_robot_has_the_settings_that_its_profile_and_a_task_allow():
    assert UR5E.takes(VT)
    assert UR5E.takes(PF)
    assert not UR5E.takes(TW)
    base = Subject.of(load_robot("diffbot"))
    assert base.takes(TW)
    assert not base.takes(VT)
    assert not base.takes(Setting("twist", "cmd_vel", period=0.01))
    with pytest.raises(ValueError, match=r"no installed task simulates robot 'fr3'; docs/how-to/add-a-robot.md says how"):
        Subject.of(load_robot("fr3"))
    with pytest.raises(ValueError, match="task 'walk' simulates another robot than 'ur5e'"):
        Subject.of(load_robot("ur5e"), "walk")


@pytest.mark.parametrize("name", ["ur5e", "ur5e_gripper", "diffbot"])
def test_every_policy_of_the_table_can_be_written(tmp_path, name):
    subject = Subject.of(load_robot(name))
    settings = {setting for row in (*ROWS, *REVIEW_ROWS) for setting in row.settings if subject.takes(setting)}
    written = {write_policy(subject, setting, tmp_path) for setting in settings}
    assert all(path.is_file() for path in written)


MADE = [{"command": "isthmus faults ur5e", "commit": "0123456789ab", "date": "2026-11-29", "machine": {"python": "3.11"}}]
RUN = {"outcome": "S", "words": "a cause", "note": "", "brake": 0.09, "still": 0.3, "allowed": 0.34, "load": 1.0, "made": 0}
RUN |= {"velocity": 0.5, "acceleration": 0.9, "joints": 0.6}


def table(**changes):
    entry = {
        "number": "20",
        "fault": "/joint_states stops",
        "setting": "velocity, trajectory",
        "expected": ["S"],
        "timed": True,
        "first": 0.1,
    }
    return page(UR5E, 0.6, MADE, {"line": {**entry, "runs": [RUN, RUN | changes]}}, (*ROWS, *REVIEW_ROWS), NOTES)


@pytest.mark.parametrize(
    ("changes", "headline", "cell"),
    [
        (
            {},
            "2 of 2 runs came out as the table of faults asks; 2 of 2 timed runs kept their time bounds; 2 of 2 runs kept",
            "| S 2× | 90 | 300 |",
        ),
        ({"brake": 0.12}, "2 of 2 runs came out as the table of faults asks; 1 of 2 timed", "| S 2× | **120** | 300 |"),
        ({"still": 0.5}, "2 of 2 runs came out as the table of faults asks; 1 of 2 timed", "| S 2× | 90 | **500** |"),
        ({"brake": None}, "2 of 2 runs came out as the table of faults asks; 1 of 2 timed", "| S 2× | **never** | 300 |"),
        ({"outcome": "N"}, "1 of 2 runs came out", "| **S 1×, N 1×** |"),
        ({"acceleration": 1.06}, "1 of 2 runs kept the limits", "| **0.50, 1.06, 0.60** |"),
    ],
)
def test_the_headline_counts_what_missed_its_bounds(changes, headline, cell):
    text = table(**changes)
    assert headline in text
    assert "* `isthmus faults ur5e`, commit 0123456789ab, 2026-11-29; python 3.11" in text
    assert cell in text
    assert ("What missed its time bounds" in text) == bool({"brake", "still"} & changes.keys())
    assert ("What missed a limit" in text) == ("acceleration" in changes)


def test_the_page_is_written_again_without_processes(tmp_path, capsys):
    (tmp_path / "faults.json").write_text(json.dumps({"made": [], "lines": {}}))
    assert main(["faults", "ur5e", "--repeats", "0", "--out", str(tmp_path)]) == 0
    assert "Written by `isthmus faults ur5e`" in (tmp_path / "faults.md").read_text()
    (tmp_path / "faults.json").write_text("[]")
    assert main(["faults", "ur5e", "--repeats", "0", "--out", str(tmp_path)]) == 2
    assert "is no file of results of isthmus faults; choose another folder with --out" in capsys.readouterr().err
    assert main(["faults", "ur5e", "--mode", "torque"]) == 2
    assert "--mode must be one of position, velocity, effort, twist, got 'torque'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ([], "S"),
        ([NotReady("too slow")] * 2, "S"),
        ([NotReady("too slow")] * 3, "not tried"),
        ([RosError("the guard is gone")], "failed"),
        ([NotReady("too slow"), KeyError("elbow")], "failed"),
    ],
)
def test_only_what_ends_before_its_fault_does_not_count(tmp_path, ends, outcome):
    left = list(ends)

    def act(run):
        if left:
            raise left.pop(0)
        return Seen("S")

    row, record = Row("20", "/joint_states stops", ("S",), act, (VT,)), Record(tmp_path / "faults.json")
    seen = _attempt(None, row, up=False)
    assert seen.outcome == outcome
    record.add(row, VT, seen)
    assert [run["outcome"] for run in record.runs(row, VT)] == ([] if outcome == "not tried" else [outcome])
