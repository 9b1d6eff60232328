"""Logs of other people's robots: read by name, measured, and refused in one sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from arm_logs import EFFORTS, NOMINAL, model_text, simulate, write_csv

from isthmus_sim.identification.commands import Commands
from isthmus_sim.identification.logs import Log, check_log, quality
from isthmus_sim.identification.mechanism import find_target
from isthmus_sim.identification.problem import ParameterFile, Unknown, make_problem, open_logs
from isthmus_sim.identification.signals import bind_columns, guess_signals, read_signals
from isthmus_sim.identification.tables import read_columns
from isthmus_sim.plants.command_path import CommandPath


def log_of(path, signals):
    return bind_columns(read_columns(path), read_signals(signals, "signals"), path.read_bytes())


PLAIN = {"time": "t", "position": {"j1": "q1", "j2": "q2"}, "effort_command": {"j1": "u1", "j2": "u2"}}


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_any_separator_and_unit(tmp_path, separator):
    time, position, command = simulate(seconds=2.0)
    rows = np.column_stack([time * 1e9 + 1.7e18, np.degrees(position), command])
    path = tmp_path / "log.txt"
    np.savetxt(path, rows, delimiter=separator, fmt="%.12g" if separator != " " else "%.19g")
    signals = {
        "time": {"column": "0", "unit": "ns"},
        "position": {"j1": {"column": 1, "unit": "deg"}, "j2": {"column": 2, "unit": "deg", "sign": -1}},
        "effort_command": {"j1": 3, "j2": 4},
    }
    if separator != " ":
        signals["time"] = {"column": 0, "unit": "ns"}
        rows[:, 0] -= 1.7e18
        np.savetxt(path, rows, delimiter=separator, fmt="%.12g")
    log = log_of(path, signals)
    np.testing.assert_allclose(log.position[:, 0], position[:, 0], atol=1e-9)
    np.testing.assert_allclose(log.position[:, 1], -position[:, 1], atol=1e-9)
    np.testing.assert_allclose(log.time, time, atol=2e-6)
    assert log.mode == "effort"


@pytest.mark.parametrize("header", ["t;q1, deg;q2;u1;u2\n", ""])
def test_decimal_commas_and_quotes(tmp_path, header):
    time, position, command = simulate(seconds=2.0)
    plain = "\n".join(";".join(f'"{value:.9f}"' for value in row) for row in np.column_stack([time, position, command]))
    (tmp_path / "log.csv").write_text(header + plain.replace(".", ","))
    columns = ["t", "q1, deg", "q2", "u1", "u2"] if header else list(range(5))
    signals = {
        "time": columns[0],
        "position": {"j1": {"column": columns[1], "unit": "deg"}, "j2": columns[2]},
        "effort_command": {"j1": columns[3], "j2": columns[4]},
    }
    log = log_of(tmp_path / "log.csv", signals)
    np.testing.assert_allclose(log.position, position * [np.pi / 180, 1], atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"), [("t,q1,q2,u1,u2\n", "has no row of numbers"), ("t,q1,q2,u1,u2\n0,1,2,3,4\n", "has 1 samples; at least")]
)
def test_a_log_of_nothing_is_refused(tmp_path, text, message):
    (tmp_path / "log.csv").write_text(text)
    (tmp_path / "arm.xml").write_text(model_text(NOMINAL))
    with pytest.raises(ValueError, match=message):
        open_logs([tmp_path / "log.csv"], ParameterFile(signals=read_signals(PLAIN, "signals")), find_target(str(tmp_path / "arm.xml")))


def test_many_turns_are_told(tmp_path):
    (tmp_path / "arm.xml").write_text(model_text(NOMINAL))
    time, position, command = simulate(seconds=2.0)
    file = ParameterFile((Unknown("j1.damping", 0.0, 2.0),), signals=read_signals(PLAIN, "signals"))
    target = find_target(str(tmp_path / "arm.xml"))
    path = write_csv(tmp_path / "log.csv", time, np.degrees(position), command)
    (log,) = make_problem(target, file, open_logs([path], file, target)).logs
    assert "j1 goes through" in log.remarks[0]
    assert "if its unit is not rad" in log.remarks[0]


def test_npz_and_names_that_bind_by_themselves(tmp_path):
    time, position, command = simulate(seconds=2.0)
    np.savez(tmp_path / "log.npz", t=time, q_elbow=position[:, 0], target_elbow=command[:, 0], q=position)
    table = read_columns(tmp_path / "log.npz")
    assert "q[1]" in table.columns
    log = bind_columns(table, guess_signals(table, ["elbow_joint"]), b"")
    assert (log.joints, log.mode) == (("elbow_joint",), "position")
    with pytest.raises(ValueError, match="no column is known to be the positions"):
        guess_signals(table, ["wrist"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows[:50], rows[50].rpartition(",")[0], *rows[51:]], "row 51 has 4 columns, the others have 5"),
        (lambda rows: [*rows[:50], f"x{rows[50]}", *rows[51:]], "row 51, column 't' must be a number, got 'x"),
        (lambda rows: [*rows[:50], "0.49,0_1,0,0,0", *rows[51:]], "row 51, column '.*' must be a number, got '0_1'"),
        (lambda rows: [*rows[:50], "0.49,,0,0,0", *rows[51:]], "row 51 has no number for position of j1"),
        (lambda rows: [rows[0].replace("q2", "q1"), *rows[1:]], "column 'q1' appears twice"),
        (lambda rows: [rows[0].replace("q2", "q3"), *rows[1:]], "has no column 'q2'"),
        (lambda rows: [rows[0], *rows[100:], *rows[1:100]], "stamps do not increase"),
    ],
)
def test_a_broken_table_is_refused_with_file_and_row(tmp_path, change, message):
    path = write_csv(tmp_path / "log.csv", *simulate(seconds=2.0))
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(ValueError, match=message) as error:
        log_of(path, PLAIN)
    assert "log.csv" in str(error.value)


def test_few_repeated_stamps_are_left_out_and_told(tmp_path):
    path = write_csv(tmp_path / "log.csv", *simulate(seconds=2.0))
    rows = path.read_text().splitlines()
    path.write_text("\n".join([*rows[:50], rows[49], *rows[50:]]))
    log = log_of(path, PLAIN)
    assert len(log.time) == 200
    assert "1 rows were left out" in log.remarks[0]


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ({"position": {"j1": "q1"}}, "key 'time' is missing"),
        ({**PLAIN, "torque": {}}, "unknown key 'torque'"),
        ({**PLAIN, "position": {"j1": {"column": "q1", "unit": "grad"}}}, "unknown unit 'grad'"),
        ({**PLAIN, "position_command": {"j1": "u1"}}, "cannot both be what was commanded"),
        ({**PLAIN, "effort": {"j1": "u1"}, "current": {"j1": "u2"}}, "two names for one quantity"),
        ({**PLAIN, "velocity": {"j3": "u1"}}, "joint 'j3' has no position"),
        ({**PLAIN, "pose": {"rod": ["x", "y"]}}, "must be 7 columns"),
    ],
)
def test_a_wrong_mapping_is_refused(signals, message):
    with pytest.raises(ValueError, match=message):
        read_signals(signals, "signals")


def made(time, position, **more):
    return Log("log.csv", time, ("j1", "j2"), position, **more)


def test_what_cannot_be_fitted_is_refused():
    time, position, _ = simulate(seconds=4.0)
    velocity = np.gradient(position, time, axis=0)
    assert check_log(made(time, position, velocity=velocity)) == []
    with pytest.raises(ValueError, match="columns of j1 and j2 are swapped"):
        check_log(made(time, position, velocity=velocity[:, ::-1]))
    with pytest.raises(ValueError, match="a unit or a sign"):
        check_log(made(time, position, velocity=np.degrees(velocity)))
    with pytest.raises(ValueError, match="constant"):
        check_log(made(time, 0 * position))
    with pytest.raises(ValueError, match="effort of j2 is saturated"):
        check_log(made(time, position, effort=np.clip(position * [0.1, 100], -1, 1)))
    with pytest.raises(ValueError, match="samples; at least 100"):
        check_log(made(time[:50], position[:50]))
    with pytest.raises(ValueError, match="unit of time"):
        check_log(made(time * 1000, position))
    with pytest.raises(ValueError, match="swapped: the position of each follows the commanded position"):
        check_log(made(time, position, mode="position", command_time=time, command=position[:, ::-1]))
    assert check_log(made(time, position * [1, 0])) == ["log.csv: j2 does not move"]


def test_noise_quantisation_jitter_and_gaps_are_measured():
    generator = np.random.default_rng(0)
    time = np.arange(2000) * 0.005 + generator.normal(0, 2e-4, 2000)
    smooth = np.stack([np.sin(3 * time), np.cos(2 * time)], axis=1)
    log = made(np.delete(time, slice(500, 530)), np.delete(np.round(smooth / 1e-3) * 1e-3, slice(500, 530), axis=0),
               velocity=np.delete(smooth, slice(500, 530), axis=0) + generator.normal(0, 0.02, (1970, 2)))  # fmt: skip
    found = quality(log)
    assert found.quantum["position"]["j1"] == pytest.approx(1e-3, rel=0.01)
    assert found.noise["velocity"]["j2"] == pytest.approx(0.02, rel=0.1)
    assert found.gaps == 1
    assert found.jitter == pytest.approx(2e-4 * np.sqrt(2), rel=0.1)
    assert len(log.pieces()) == 2


def test_delayed_commands_are_those_of_the_plants():
    values = np.random.default_rng(0).normal(size=(40, 1))
    path = CommandPath(1, 1, 0.02, 4)
    path.reset(np.array([0]), 0.0137, 0.0, values[:1])
    theirs = np.concatenate([path.push(value[None])[0] for value in values])
    edges = np.arange(161) * 0.005
    ours = Commands(np.arange(40) * 0.02, values).averaged(edges[None], 0.0137, 0.0)[0]
    np.testing.assert_allclose(ours[8:], theirs[8:], atol=1e-9)


def test_a_lag_is_that_of_its_differential_equation():
    time = np.arange(50) * 0.02
    values = np.sin(5 * time)[:, None]
    edges = np.linspace(0, 0.9, 9001)
    found = Commands(time, values).averaged(edges[None], 0.0, 0.05)[0, :, 0]
    state, expected = values[0, 0], []
    for begin in edges[:-1]:
        expected.append(state)
        state += 1e-4 / 0.05 * (values[min(int((begin + 1e-9) / 0.02), 49), 0] - state)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_mapping_of_the_documentation_is_read(tmp_path):
    import yaml

    assert read_signals(yaml.safe_load(EFFORTS)["signals"], "signals").joints["effort_command"]["j2"].column == "u2"
