"""Whole identifications of small arms with known truths."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from arm_logs import EFFORTS, NAMES, NOMINAL, SERVOS, SIGNALS, TARGETS, TRUTH, model_text, simulate, unknown, write_csv

from isthmus_sim.identification.calibration import calibration_randomization, load_calibration, save_calibration
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.held_out import split
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.inverse import effort_left
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import make_problem, open_logs, read_parameter_file
from isthmus_sim.identification.trees import groups

ALONE = FitOptions(starts=1)


def problem_of(folder, text, logs, *, actuators=None, nominal=NOMINAL):
    model = folder / "arm.xml"
    model.write_text(model_text(nominal, actuators) if actuators else model_text(nominal))
    (folder / "p.yaml").write_text(text)
    file, target = read_parameter_file(folder / "p.yaml"), find_target(str(model))
    return make_problem(target, file, open_logs(logs, file, target))


def truth(problem):
    values = {NAMES[key]: value for key, value in TRUTH.items()} | {"action_delay": 0.02}
    return np.array([values[name] for name in problem.names])


@pytest.fixture(scope="module")
def efforts(tmp_path_factory):
    """Effort-command log of the true arm, and what was found."""
    folder = tmp_path_factory.mktemp("efforts")
    log = write_csv(folder / "log.csv", *simulate(seconds=8.0))
    problem = problem_of(folder, EFFORTS + unknown(), [log])
    return folder, problem, identify(problem, FitOptions(starts=2), threads=1)


def test_efforts_find_all_parameters(efforts):
    _, problem, found = efforts
    share = np.abs(found.known.values - truth(problem)) / (problem.high - problem.low)
    assert share.mean() < 0.01
    assert share.max() < 0.04
    assert found.objections == ()
    assert 0.5 < found.linear.chi2 < 2
    assert ((found.known.low <= truth(problem)) & (truth(problem) <= found.known.high)).mean() > 0.7
    made = found.prediction
    assert (made.fitted < 0.2 * made.nominal).all()
    assert (made.tool_fitted < made.tool_nominal).all()


def test_results_are_reproducible_and_calibrations_are_files(efforts, tmp_path):
    _, problem, found = efforts
    again = identify(problem, FitOptions(starts=2), threads=1)
    np.testing.assert_array_equal(again.known.values, found.known.values)
    calibration = found.calibration()
    save_calibration(calibration, tmp_path / "calibration.yaml")
    assert load_calibration(tmp_path / "calibration.yaml") == calibration
    (block,) = calibration_randomization(calibration, 2.0).correlated
    assert block.names == problem.names
    bound = block.within(problem.mechanism.table)
    drawn = np.array([bound.draw(np.random.default_rng(seed)) for seed in range(200)])
    spread = np.abs(drawn.mean(0) - found.known.values) / np.maximum(found.known.sd, 1e-9)
    assert (spread < 0.5).all()


def test_positions_without_any_torque_find_friction_and_delay(tmp_path):
    log = write_csv(tmp_path / "log.csv", *simulate(actuators=SERVOS, seconds=8.0))
    problem = problem_of(
        tmp_path, TARGETS + unknown("d1", "d2", "f1", "f2", "a1", "a2"), [log], actuators=SERVOS, nominal={**NOMINAL, "m2": TRUTH["m2"]}
    )
    found = identify(problem, ALONE, threads=1)
    share = np.abs(found.known.values - truth(problem)) / (problem.high - problem.low)
    assert share.max() < 0.04
    assert found.objections == ()


def test_currents_tell_what_an_ampere_is_worth(tmp_path):
    time, position, command = simulate(seconds=6.0, delay=0)
    log = write_csv(tmp_path / "log.csv", time + 0.005, position, command / np.array([25.0, 8.0]))  # in the middle of its period
    text = SIGNALS.replace("signals:", "signals:\n  current: {j1: u1, j2: u2}") + unknown("d1", "f1", "d2", "f2", delay=False)
    text += "  j1.drive_gain: [10, 60]\n  j2.drive_gain: [2, 30]\n"
    problem = problem_of(tmp_path, text, [log], nominal={**TRUTH, "d1": 0.4, "f2": 0.1})
    assert problem.nominal[-2:].tolist() == [35.0, 16.0]
    assert problem.units[-1] == "N*m/A"
    found = identify(problem, ALONE, threads=1)
    np.testing.assert_allclose(found.known.values[-2:], [25.0, 8.0], rtol=0.02)


def test_efforts_of_an_unseen_part_are_predicted_in_closed_form(efforts):
    _, problem, found = efforts
    last = replace(problem, logs=tuple(split(problem.logs)[1]))
    left, whole = effort_left(last, found.inverse)
    nominal = replace(found.inverse, values=problem.nominal, offsets=np.zeros(2))
    assert (left < 0.1 * whole).all()
    assert (left < 0.5 * effort_left(last, nominal)[0]).all()
    assert (np.abs(found.inverse.offsets) < 4 * found.inverse.offset_sd + 0.05).all()


def test_a_joint_that_stands_still_is_not_identifiable(tmp_path):
    stiff = SERVOS.replace('kp="20" kv="1"', 'kp="20000" kv="300"')
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=6.0, still=True, actuators=stiff, delay=0))
    text = TARGETS + unknown("d1", "d2", "a1", "a2", delay=False)
    problem = problem_of(tmp_path, text, [log], actuators=stiff, nominal={**NOMINAL, "m2": TRUTH["m2"]})
    found = identify(problem, ALONE, threads=1)
    words = dict(zip(problem.names, found.known.verdicts, strict=True))
    assert words["j1.damping"] == "IDENTIFIED"
    assert words["j2.damping"] == "NOT IDENTIFIABLE"
    assert any("j2.damping" in sentence for sentence in found.weak)


def test_zero_is_an_answer_where_nothing_less_is_possible_and_a_chosen_bound_is_none(tmp_path):
    time, position, command = simulate(actuators=SERVOS, seconds=6.0, delay=0)
    log = write_csv(tmp_path / "log.csv", time[:-1], position[1:], command[:-1])  # the robot moves before it is told to
    text = TARGETS + "unknown: {j1.damping: [0, 0.2], j1.frictionloss: [0, 2], action_delay: [0, 0.05]}\n"
    found = identify(problem_of(tmp_path, text, [log], actuators=SERVOS, nominal={**TRUTH, "d1": 0.1, "f1": 0.1}), ALONE, threads=1)
    assert found.known.at_zero.tolist() == [False, False, True]
    assert found.known.at_bound.tolist() == [True, False, False]
    assert found.known.verdicts[::2] == ("NOT IDENTIFIABLE", "WEAK")
    assert any("action_delay ended at 0" in sentence for sentence in found.weak)
    assert [sentence.split()[0] for sentence in found.objections if "sits on a bound" in sentence] == ["j1.damping"]


def test_a_log_of_another_robot_is_not_calibrated(tmp_path):
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=6.0))
    other = write_csv(tmp_path / "other.csv", *simulate({**TRUTH, "m2": 0.45, "d1": 0.1, "f1": 0.0}, seconds=6.0, seed=1))
    problem = problem_of(tmp_path, EFFORTS + unknown("d1", "f1"), [log], nominal={**TRUTH, "d1": 0.15, "f1": 0.05})
    target = problem.mechanism.target
    found = identify(problem, ALONE, holdout=open_logs([other], read_parameter_file(tmp_path / "p.yaml"), target), threads=1)
    assert any("held-out error" in sentence for sentence in found.objections)


def test_nothing_to_improve_is_said(tmp_path):
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=6.0, delay=0))
    problem = problem_of(tmp_path, EFFORTS + unknown("d1", "f1", delay=False), [log], nominal=TRUTH)
    found = identify(problem, ALONE, threads=1)
    assert any("the nominal model predicts as well" in sentence or "times that of the nominal" in sentence for sentence in found.objections)


def stribeck(position, velocity):
    return np.array([0.0, -0.25 * np.sign(velocity[1]) * np.exp(-np.abs(velocity[1]) / 0.2)])


@pytest.mark.parametrize(
    ("more", "text", "wanted"),
    [
        ({}, unknown(delay=False), "delay"),
        ({"scale": np.array([1.0, 0.93]), "delay": 0}, unknown("d1", "d2", "f1", "f2", delay=False), "weak motor of j2"),
        ({"delay": 0, "friction": stribeck}, unknown(delay=False), "friction law of j2"),
        ({"delay": 0, "friction": lambda q, v: np.array([0.15 * np.sin(24 * q[0]), 0.0])}, unknown(delay=False), "cogging of j1"),
        ({"delay": 0, "stand": lambda t: 0.4 * np.sin(5.0 * t)}, unknown(delay=False), "moving stand"),
    ],
)  # fmt: skip
def test_what_the_model_misses_is_named_first(tmp_path, more, text, wanted):
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=8.0, **more))
    nominal = {**TRUTH} if "weak" in wanted else NOMINAL
    if "weak" in wanted:
        nominal = {**TRUTH, "d1": 0.5}
    found = identify(problem_of(tmp_path, EFFORTS + text, [log], nominal=nominal), ALONE, threads=1)
    assert found.linear.chi2 > 2
    assert found.suspects[0].effect == wanted


def test_a_parameter_that_changes_nothing_is_an_error(tmp_path):
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=4.0))
    problem = problem_of(tmp_path, EFFORTS + unknown("d1") + "  payload.x: [-0.1, 0.1]\n", [log])
    with pytest.raises(ValueError, match=r"parameter 'payload\.x' is NOT IDENTIFIABLE: it changes nothing"):
        identify(problem, ALONE, threads=1)


def test_a_delay_longer_than_a_window_is_refused(tmp_path):
    log = write_csv(tmp_path / "log.csv", *simulate(seconds=4.0))
    problem = problem_of(tmp_path, EFFORTS + unknown("d1") + "", [log])
    with pytest.raises(ValueError, match="longer than a window"):
        identify(problem, ALONE, window=0.04, threads=1)


def test_a_payload_from_a_pair_of_runs(tmp_path):
    free = write_csv(tmp_path / "free.csv", *simulate(seconds=6.0))
    loaded = tmp_path / "loaded.csv"
    import arm_logs

    whole = arm_logs.MODEL
    try:
        arm_logs.MODEL = whole.replace(
            "</body></body></worldbody>",
            '<body><inertial pos="0 0 0" mass="0.5" diaginertia="1e-9 1e-9 1e-9"/></body></body></body></worldbody>',
        )
        write_csv(loaded, *simulate(seconds=6.0, seed=3))
    finally:
        arm_logs.MODEL = whole
    text = EFFORTS + unknown() + "  payload: {bounds: [0, 2], logs: [loaded.csv]}\n"
    problem = problem_of(tmp_path, text, [free, loaded])
    found = identify(problem, ALONE, threads=1)
    index = problem.names.index("payload")
    assert found.known.values[index] == pytest.approx(0.5, rel=0.03)
    assert found.known.verdicts[index] == "IDENTIFIED"


def test_parts_that_do_not_feel_each_other_are_changed_at_once():
    assert groups([0, 0, 1, 1, -1]) == [[4], [0, 2], [1, 3]]
    assert groups([0, 0]) == [[0], [1]]


def test_priors_count(efforts, tmp_path):
    folder, problem, found = efforts
    told = replace(problem, prior={"j1.damping": read_prior(tmp_path)})
    strict = identify(told, ALONE, threads=1)
    index = problem.names.index("j1.damping")
    assert abs(strict.known.values[index] - 0.9) < abs(found.known.values[index] - 0.9)
    assert folder.is_dir()


def read_prior(folder):
    (folder / "prior.yaml").write_text("unknown: {j1.damping: [0, 2]}\nprior: {j1.damping: {mean: 0.9, sd: 0.00001}}\n")
    return read_parameter_file(folder / "prior.yaml").prior["j1.damping"]


def test_a_robot_that_rests_in_the_end_is_held_out_in_motion(efforts):
    _, problem, _ = efforts
    (log,) = problem.logs
    end, count = log.time[-1], 400
    time = np.concatenate([log.time, end + log.period * np.arange(1, count + 1)])
    resting = replace(log, time=time, position=np.concatenate([log.position, np.tile(log.position[-1], (count, 1))]))
    (fitted,), (tested,) = split([resting])
    assert fitted.time[-1] == pytest.approx(0.8 * (end + 0.5), abs=0.02)
    assert tested.time[-1] == pytest.approx(end + 0.5, abs=0.05)
    assert [part.time[-1] for part in split([log])[0]] == [pytest.approx(0.8 * end, abs=0.02)]
