"""Objects that are pushed: poses as signals and starts, and what a recording of a strike says of a puck."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mcap_ros2.writer import Writer

sys.path.insert(0, str(Path(__file__).parent))
from pushed_logs import BOUNDS, NOMINAL, PARAMETERS, STIFF, TRUTH, model_text, strikes

from isthmus import messages
from isthmus.records import Command, Measurement
from isthmus.robot import load_robot
from isthmus.trace import TraceStep, TraceWriter, read_trace
from isthmus_cli.identify.page import page
from isthmus_cli.main import main
from isthmus_sim.identification.bags import read_bag
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.held_out import split
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.linear import FreeStarts, start_basis
from isthmus_sim.identification.logs import Log
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.poses import moved, moved_pose, pose_difference, pose_noise, pose_start, resampled_poses
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs, read_parameter_file
from isthmus_sim.identification.recorded import recorded_problem
from isthmus_sim.identification.touch import clear_samples
from isthmus_sim.identification.windows import cut_windows
from isthmus_sim.tasks import get_task


def problem_of(folder, log, *keys, text=PARAMETERS, nominal=NOMINAL):
    (folder / "puck.xml").write_text(model_text(nominal))
    (folder / "p.yaml").write_text(text + "".join(BOUNDS[key] for key in keys))
    file, target = read_parameter_file(folder / "p.yaml"), find_target(str(folder / "puck.xml"))
    return make_problem(target, file, open_logs([log], file, target))


def test_a_strike_tells_friction_and_centre_of_mass(tmp_path):
    problem = problem_of(tmp_path, strikes(tmp_path / "log.csv"), "friction", "com", "mass")
    assert problem.mechanism.objects == ("puck",)
    assert problem.objects_alone
    found = identify(problem, FitOptions(starts=1), threads=1)
    values = dict(zip(problem.names, found.known.values, strict=True))
    assert values["puck.friction"] == pytest.approx(TRUTH["friction"], rel=0.1)
    assert values["puck.com_y"] == pytest.approx(TRUTH["com"], abs=0.003)
    assert values["puck.mass"] == pytest.approx(TRUTH["mass"], rel=0.2)
    assert "NOT IDENTIFIABLE" not in found.known.verdicts
    assert found.objections == ()
    assert 0.4 < found.linear.chi2 < 2
    assert found.prediction.joints == ("puck", "puck, rotation")
    assert (found.prediction.fitted[:, 0] < 0.7 * found.prediction.nominal[:, 0]).all()
    assert "puck, rotation" in page(found, written=True)


def test_mass_is_not_identified_from_a_slow_push_by_a_stiff_servo(tmp_path):
    true = {**TRUTH, **STIFF}
    log = strikes(tmp_path / "log.csv", true, count=1, seconds=4.0)
    problem = problem_of(tmp_path, log, "mass", "friction", nominal={**true, "mass": 0.4, "friction": 0.3})
    found = identify(problem, FitOptions(starts=1), threads=1)
    known, asked = found.known, np.array([TRUTH["mass"], TRUTH["friction"]])
    assert ((known.low <= asked) & (asked <= known.high)).all()
    assert known.verdicts[0] != "IDENTIFIED"
    assert any("puck.mass" in sentence for sentence in found.weak)


def test_windows_of_objects_begin_where_nothing_touches_them(tmp_path):
    problem = problem_of(tmp_path, strikes(tmp_path / "log.csv", count=1), "friction")
    (log,) = problem.logs
    clear = clear_samples(problem.mechanism, log)
    apart = log.poses["puck"][:, 0] - 0.06 - log.position[:, 0]
    assert clear[:8].all()
    assert not clear[apart < 2e-3].any()
    assert clear[apart > 0.03].all()  # however the puck has turned
    noise = {"puck": pose_noise([log], "puck")}
    windows = cut_windows([log], {"position": np.array([1e-4])}, 0.5, objects=noise, compared=(), clear=[clear])
    assert clear[windows.first].all()
    pushed = np.flatnonzero(np.isfinite(apart) & (apart < 2e-3))
    assert all(((windows.first < row) & (row < windows.last)).any() for row in pushed)
    assert (windows.weight[np.arange(windows.weight.shape[1]) >= (windows.last - windows.first)[:, None]] == 0).all()


def test_starts_as_uncertain_as_they_are_said_to_be_leave_unit_variance():
    generator = np.random.default_rng(0)
    slopes, sd = generator.normal(size=(40, 3)) * [1, 30, 1000], np.array([0.5, 0.2, np.inf])
    draws = generator.normal(size=(4000, 40)) + (generator.normal(size=(4000, 3)) * np.where(np.isinf(sd), 7.0, sd)) @ slopes.T
    free = FreeStarts([start_basis(slopes, sd)], np.zeros((1, 40)))
    left = np.array([free.of(draw[None])[0] for draw in draws])
    assert free.count == 1
    assert (left**2).sum(axis=1).mean() == pytest.approx(39, rel=0.02)
    known = slopes[:, :2]  # of what is known beforehand nothing is lost
    assert np.linalg.eigvalsh(np.cov(left @ np.linalg.qr(known)[0], rowvar=False)).max() < 1.1


def test_a_recording_without_contact_is_refused_and_nothing_is_written(tmp_path, capsys):
    log = strikes(tmp_path / "log.csv", way=0.08)
    problem = problem_of(tmp_path, log, "friction", "mass")
    with pytest.raises(ValueError, match=r"puck\.friction, puck\.mass: NOT IDENTIFIABLE, because 'puck' does not move in"):
        identify(problem, FitOptions(starts=1), threads=1)
    words = ["identify", str(tmp_path / "puck.xml"), "--log", str(log), "--parameters", str(tmp_path / "p.yaml"), "--starts", "1"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert "NOT IDENTIFIABLE" in capsys.readouterr().err
    assert not (tmp_path / "out" / "calibration.yaml").exists()


def test_motion_and_noise_are_told_from_poses(tmp_path):
    (log,) = problem_of(tmp_path, strikes(tmp_path / "log.csv"), "friction").logs
    noise = pose_noise([log], "puck")
    assert 3e-4 < noise[0] < 8e-4
    assert 6e-4 < noise[1] < 2.1e-3  # quaternions with 5e-4 are angles with 1e-3; at least 2e-3 is believed
    way = moved(log, {"puck": noise})
    assert not way[log.time < 0.3].any()
    assert way[(log.time > 0.6) & (log.time < 0.7)].all()
    assert not way[(log.time > 1.2) & (log.time < 1.7)].any()
    (fitted,), (tested,) = split([log])
    assert fitted.time[-1] == pytest.approx(tested.time[0], abs=0.03)
    assert 1.9 < tested.time[0] < tested.time[-1] < 2.8  # of the way from the first strike to the last rest


def test_starts_are_smoothed_where_the_object_moves_and_exactly_at_rest_where_it_lies():
    time = 0.02 * np.arange(50)
    pose = np.zeros((50, 7))
    pose[:, 6] = 1.0
    pose[25:, 0] = 0.4 * (time[25:] - time[25])
    pose[25:, 5], pose[25:, 6] = np.sin(0.5 * (time[25:] - time[25])), np.cos(0.5 * (time[25:] - time[25]))
    pose[40] = np.nan
    log = Log("log", time, ("j",), np.zeros((50, 1)), poses={"puck": pose})
    noise = np.array([1e-3, 2e-3])
    assert pose_start(log, "puck", 10, noise).twist.tolist() == [0.0] * 6
    found = pose_start(log, "puck", 40, noise)
    np.testing.assert_allclose(found.pose[0], 0.4 * (time[40] - time[25]), atol=1e-9)
    np.testing.assert_allclose(found.twist, [0.4, 0, 0, 0, 0, 1.0], atol=1e-6)
    assert found.smooth
    assert (found.sd[:6] < 2 * np.repeat(noise, 3)).all()
    assert not pose_start(log, "puck", 25, noise).smooth  # it is struck
    pose[:] = np.nan
    assert pose_start(log, "puck", 10, noise) is None


def test_poses_change_and_differ_by_the_same():
    generator = np.random.default_rng(0)
    pose = generator.normal(size=(20, 7))
    pose[:, 3:] /= np.linalg.norm(pose[:, 3:], axis=1, keepdims=True)
    change = generator.normal(size=(20, 6))
    change[0] = 0.0
    np.testing.assert_allclose(pose_difference(moved_pose(pose, change), pose), change, atol=1e-12)


def test_poses_of_another_clock_are_interpolated_and_gaps_are_not(tmp_path):
    with (tmp_path / "log.mcap").open("wb") as stream:
        writer = Writer(stream)
        names = ("sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseStamped")
        joint, pose = (writer.register_msgdef(name, messages.SCHEMAS[name]) for name in names)
        for index in range(100):
            stamp = 10**9 + index * 10**7
            said = messages.joint_state(messages.header(stamp), ("a",), position=np.array([[0.01 * index]]))
            writer.write_message("/joint_states", joint, said, log_time=stamp, publish_time=stamp)
        for index in [*range(20), *range(28, 33)]:
            stamp = 10**9 + index * 3 * 10**7 + 5 * 10**6
            place = np.array([0.03 * index, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0])
            said = messages.stamped(messages.header(stamp), "pose", place)
            writer.write_message("/camera/poses/puck", pose, said, log_time=stamp, publish_time=stamp)
        writer.finish()
    log = read_bag(tmp_path / "log.mcap")
    (seen,) = log.poses.values()
    assert list(log.poses) == ["puck"]
    assert np.isnan(seen[0]).all()  # before the first
    np.testing.assert_allclose(seen[1:57, 0], 0.01 * np.arange(1, 57) - 0.005, atol=1e-9)
    assert np.isnan(seen[60:84]).all()
    assert np.isfinite(seen[85:96]).all()


def test_one_pose_is_told_at_its_own_time_alone():
    found = resampled_poses(np.arange(3.0), np.array([1.0]), np.array([[1.0, 2, 3, 0, 0, 0, 1]]))
    assert np.isnan(found[[0, 2]]).all()
    assert found[1].tolist() == [1.0, 2, 3, 0, 0, 0, 1]


@pytest.mark.parametrize("body", ["head", "pucks"])
def test_a_pose_of_what_does_not_move_freely_is_refused(tmp_path, body):
    log = strikes(tmp_path / "log.csv")
    with pytest.raises(ValueError, match=rf"signals\.pose\.{body}: .* no body of that name that moves freely"):
        problem_of(tmp_path, log, "friction", text=PARAMETERS.replace("puck:", f"{body}:"))


def slide_log(**poses):
    robot = load_robot("ur5e")
    time = 0.05 * np.arange(81)
    position = np.tile(robot.home, (81, 1)) + 0.1 * np.sin(time)[:, None]
    return Log("log", time, robot.joint_names, position, mode="velocity", command_time=time, command=np.zeros((81, 6)), poses=poses)


def test_a_task_knows_what_is_unknown_of_the_objects_that_were_seen():
    pose = np.tile([-0.15, -0.6, 0.02, 0, 0, 0, 1.0], (81, 1))
    target = find_target("slide")
    problem = make_problem(target, ParameterFile(), [slide_log(puck=pose, tool0=pose)])
    assert problem.names == ("puck.friction", "puck.mass")
    assert (problem.low[0], problem.high[0]) == (0.05, 0.3)
    assert list(problem.logs[0].poses) == ["puck"]
    assert "elbow_joint.damping" in make_problem(target, ParameterFile(), [slide_log()]).names
    with pytest.raises(ValueError, match=r"'puck.mass' is NOT IDENTIFIABLE: not every log has poses of 'puck'"):
        make_problem(target, ParameterFile((Unknown("puck.mass", 0.1, 1.0),)), [slide_log()])
    with pytest.raises(ValueError, match=r"task 'slide' has no identifiable parameter 'puck.masses'.*puck\.mass"):
        recorded_problem("slide", [], ["puck.masses"])


def test_a_trace_and_its_file_are_one_log(tmp_path):
    contract = get_task("slide").contract
    joints, path = contract.action.elements, tmp_path / "trace.mcap"
    with TraceWriter(path, contract, {}) as writer:
        for index in range(60):
            values = np.full((1, 6), 0.01 * index)
            pose = np.array([[0.002 * index, -0.6, 0.02, 0, 0, np.sin(0.005 * index), np.cos(0.005 * index)]])
            measurement = Measurement(np.array([3 + 0.05 * index]), joints, values, 0.2 * values, poses={"puck": pose})
            command = Command(contract.mode, joints, 0.1 * values)
            writer.record(TraceStep(measurement, command, command))
    from_file, from_trace = (recorded_problem("slide", [made], ["puck.mass"]).logs[0] for made in (path, read_trace(path)))
    assert from_file.mode == from_trace.mode == "velocity"
    for name in ("time", "position", "velocity", "command_time", "command"):
        np.testing.assert_allclose(getattr(from_file, name), getattr(from_trace, name), atol=1e-9)
    np.testing.assert_allclose(from_file.poses["puck"], from_trace.poses["puck"], atol=1e-12)
    assert from_trace.time[0] == 0.0
