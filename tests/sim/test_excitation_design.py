"""Excitation before data: limits are kept, what cannot be found is refused, and the designed motion beats a plain one, promised and achieved."""

import sys
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from arm_logs import MOTORS, NAMES, NOMINAL, SERVOS, TRUTH, model_text, unknown

from isthmus_sim.identification.course import find_course, placeholder, sines, violation
from isthmus_sim.identification.design import DesignOptions, design
from isthmus_sim.identification.fit import FitOptions
from isthmus_sim.identification.identify import identify
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import make_problem, read_parameter_file

SHORT = DesignOptions(duration=6.0, harmonics=4, population=12, rounds=4)
GAINS = "  j1.gain: [0.5, 2]\n  j2.gain: [0.5, 2]\n"


def parts(folder, text, actuators=SERVOS):
    (folder / "arm.xml").write_text(model_text(NOMINAL, actuators))
    (folder / "p.yaml").write_text(text)
    target = find_target(str(folder / "arm.xml"))
    return target, read_parameter_file(folder / "p.yaml"), find_course(target, travel=0.6, velocity=3.0, acceleration=30.0, period=0.01)


def recorded(course, wave):
    """A log of the true arm, whose commands take effect 20 ms late, with noise."""
    generator = np.random.default_rng(0)
    (log,) = placeholder(course, [wave])
    model = mujoco.MjModel.from_xml_string(model_text(TRUTH, SERVOS))
    data = mujoco.MjData(model)
    position, velocity = [], []
    for row in range(len(log.time)):
        position.append(data.qpos + generator.normal(0, 2e-4, 2))
        velocity.append(data.qvel + generator.normal(0, 0.02, 2))
        data.ctrl[:] = log.command[max(row - 2, 0)]
        mujoco.mj_step(model, data, 2)
    return replace(log, position=np.array(position), velocity=np.array(velocity), effort=None)


def test_a_designed_motion_beats_one_sine_in_what_it_promises_and_in_what_is_found(tmp_path):
    target, file, course = parts(tmp_path, unknown() + GAINS)
    found = design(target, file, course, SHORT, threads=1)
    assert np.log(found.sd / found.naive_sd).mean() < np.log(0.8)
    truth = {NAMES[key]: value for key, value in TRUTH.items()} | {"action_delay": 0.02, "j1.gain": 1.0, "j2.gain": 1.0}
    errors = []
    for wave in (found.motion, found.naive):
        fitted = identify(make_problem(target, file, [recorded(course, wave)]), FitOptions(starts=1), threads=1)
        span = fitted.problem.high - fitted.problem.low
        errors.append(np.abs(fitted.known.values - [truth[name] for name in fitted.problem.names]) / span)
    assert errors[0].mean() < 0.8 * errors[1].mean()
    assert errors[0].max() < 0.01
    assert not set(found.motion.frequency) & set(found.validation.frequency)
    assert all(violation(course, found.problem, log) == "" for log in found.problem.logs)


@pytest.mark.parametrize("mode", ["position", "velocity"])
def test_motions_use_what_the_limits_allow_and_no_more(tmp_path, mode):
    _, _, course = parts(tmp_path, unknown())
    course = replace(course, mode=mode, low=np.full(2, -3.0), high=np.full(2, 3.0))
    generator = np.random.default_rng(1)
    for _ in range(5):
        frequency = generator.uniform(0.3, 3.0, 4)
        wave = sines(course, frequency, generator.uniform(0, 1, (2, 4)), generator.uniform(0, 6, (2, 4)), 8.0)
        time = np.arange(0, 8.0, 1e-3)
        shown = wave.sample(time, np.zeros(2))
        position = shown if mode == "position" else np.cumsum(shown, axis=0) * 1e-3
        velocity = np.gradient(position, 1e-3, axis=0)
        shares = np.abs([position / 0.6, velocity / 3.0, np.gradient(velocity, 1e-3, axis=0) / 30.0]).max(axis=1)
        assert (shares < 0.95).all()
        assert (shares.max(axis=0) > 0.6).all()


def test_what_no_motion_can_tell_is_refused_by_name(tmp_path):
    target, file, course = parts(
        tmp_path, unknown("d1", "f1") + "  link1.com_z: [-0.1, 0.1]\n  link1.mass: [0.5, 2]\n  payload.x: [-1, 1]\n"
    )
    with pytest.raises(ValueError, match=r"no motion within these limits identifies payload\.x: take it out"):
        design(target, file, course, replace(SHORT, rounds=1, population=4), threads=1)


def test_limits_that_no_motion_keeps_are_named(tmp_path):
    target, file, course = parts(tmp_path, unknown("d1", "f1"))
    tight = replace(course, limits=replace(course.limits, effort=(0.5, 0.5)))
    with pytest.raises(ValueError, match="the effort limit of j1 is not kept"):
        design(target, file, tight, replace(SHORT, rounds=1, population=4), threads=1)


def test_efforts_are_no_excitation_and_unknown_limits_are_asked_for(tmp_path):
    target, file, course = parts(tmp_path, unknown("d1"), MOTORS)
    with pytest.raises(ValueError, match="no position servo"):
        design(target, file, course, SHORT, threads=1)
    with pytest.raises(ValueError, match="give --velocity and --acceleration"):
        find_course(target, travel=0.5, velocity=None, acceleration=3.0, period=None)
    with pytest.raises(ValueError, match="takes effort commands, which would drift"):
        find_course(find_target("reach-effort"), travel=0.5, velocity=None, acceleration=None, period=None)
