"""`isthmus identify` from files to files, and what uses a calibration."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sim"))
from arm_logs import EFFORTS, NAMES, NOMINAL, SERVOS, TRUTH, model_text, simulate, unknown, write_csv

import isthmus_sim
from isthmus.artifact import Artifact
from isthmus.kinds.excitation import MultiSine, excitation_artifact
from isthmus.signals import Signal
from isthmus_bringup.plan import plan
from isthmus_cli.deploy.command import calibrated_plan
from isthmus_cli.main import main
from isthmus_sim.identification.calibration import Calibration, Found, calibrated, load_calibration, save_calibration
from isthmus_sim.randomization import Entry, Randomization, Uniform, load_randomization
from isthmus_sim.tasks import get_task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a file of parameters, and two logs."""
    folder = tmp_path_factory.mktemp("arm")
    (folder / "arm.xml").write_text(model_text(NOMINAL))
    (folder / "p.yaml").write_text(EFFORTS + unknown())
    write_csv(folder / "log.csv", *simulate(seconds=6.0))
    return folder


@pytest.fixture(scope="module")
def out(folder):
    """What a whole run left behind."""
    words = ["identify", str(folder / "arm.xml"), "--log", str(folder / "log.csv"), "--parameters", str(folder / "p.yaml")]
    assert main([*words, "--out", str(folder / "out"), "--starts", "1"]) == 0
    return folder / "out"


def test_it_leaves_everything_that_is_promised(out):
    names = {path.name for path in out.iterdir()}
    assert names == {"calibration.yaml", "randomization.yaml", "result.json", "report.html", "arm_calibrated.xml"}
    result = json.loads((out / "result.json").read_text())
    for key, name in NAMES.items():
        assert result["estimate"][name] == pytest.approx(TRUTH[key], abs=0.05)
        low, high = result["interval"][name]
        assert low <= result["estimate"][name] <= high
        assert result["sd"][name] > 0
        assert result["verdict"][name] in ("IDENTIFIED", "WEAK")
    assert {"held_out", "chi2_dof"} <= set(result)
    assert load_randomization(out / "randomization.yaml").correlated[0].names == tuple(result["estimate"])
    calibration = load_calibration(out / "calibration.yaml")
    assert len(calibration.data["log.csv"]) == 64
    assert calibration.forced == ()


def test_the_patched_model_has_the_values(out):
    import mujoco

    model = mujoco.MjModel.from_xml_path(str(out / "arm_calibrated.xml"))
    result = json.loads((out / "result.json").read_text())
    assert model.body("link2").mass[0] == pytest.approx(result["estimate"]["link2.mass"], rel=1e-9)
    assert model.dof_damping[1] == pytest.approx(result["estimate"]["j2.damping"], rel=1e-9)
    assert model.body("link2").inertia[0] == pytest.approx(0.005 * result["estimate"]["link2.mass"] / NOMINAL["m2"], rel=1e-6)


def test_the_report_needs_no_network_and_shows_pictures_first(out):
    page = (out / "report.html").read_text()
    assert "width=device-width" in page
    assert page.index("<svg") < page.index("<table")
    links = page.replace("http://www.w3.org", "")
    assert "http://" not in links
    assert "https://" not in links


def test_logs_are_given_at_once_or_one_by_one(folder, capsys):
    words = ["identify", str(folder / "arm.xml"), "--parameters", str(folder / "p.yaml"), "--out", str(folder / "none")]
    log = str(folder / "log.csv")
    for logs in (["--log", log, "missing.csv"], ["--log", log, "--log", "missing.csv"]):
        assert main([*words, *logs]) == 2
        assert "missing.csv cannot be read" in capsys.readouterr().err
    assert main(words) == 2
    assert "--log FILE" in capsys.readouterr().err


def test_an_error_writes_nothing(folder, capsys):
    rows = (folder / "log.csv").read_text().splitlines()
    (folder / "bad.csv").write_text("\n".join([*rows[:20], "1,2", *rows[20:]]))
    words = [
        "identify",
        str(folder / "arm.xml"),
        "--log",
        str(folder / "bad.csv"),
        "--parameters",
        str(folder / "p.yaml"),
        "--out",
        str(folder / "none"),
    ]
    assert main(words) == 2
    assert "row 21 has 2 columns" in capsys.readouterr().err
    assert not (folder / "none").exists()


def test_a_worse_prediction_writes_no_calibration_unless_forced(folder, tmp_path, capsys):
    (tmp_path / "arm.xml").write_text(model_text({**TRUTH, "d1": 0.15}))
    write_csv(tmp_path / "other.csv", *simulate({**TRUTH, "m2": 0.45, "d1": 0.1}, seconds=4.0, seed=1))
    (tmp_path / "p.yaml").write_text(EFFORTS + unknown("d1", delay=False))
    words = [
        "identify",
        str(tmp_path / "arm.xml"),
        "--log",
        str(folder / "log.csv"),
        "--holdout",
        str(tmp_path / "other.csv"),
        "--starts",
        "1",
    ]
    words += ["--parameters", str(tmp_path / "p.yaml"), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "no calibration was written" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result.json", "report.html"}
    assert main([*words, "--force"]) == 0
    assert load_calibration(tmp_path / "out" / "calibration.yaml").forced


def calibration_of(tmp_path, **values):
    found = {
        name.replace("__", "."): Found(value, 0.01, (value - 0.02, value + 0.02), "IDENTIFIED", unit, 0.0)
        for name, (value, unit) in values.items()
    }
    covariance = tuple(tuple(row) for row in (1e-4 * np.eye(len(found))).tolist())
    calibration = Calibration("reach", found, covariance, 1.0, {}, {"log.mcap": "0" * 64}, "the last fifth of each log", "MuJoCo", 0.005)
    save_calibration(calibration, tmp_path / "calibration.yaml")
    return tmp_path / "calibration.yaml"


def test_environments_have_the_values(tmp_path):
    path = calibration_of(tmp_path, payload=(1.0, "kg"), elbow_joint__damping=(2.0, "N*m*s/rad"))
    ends = []
    for given in (None, path):
        env = isthmus_sim.make_vec("reach", 1, calibration=given, render_mode=None)
        env.reset(seed=0)
        for _ in range(10):
            env.step(env.action_space.high * 0.2)
        ends.append(env.plant.truth().position.copy())
        env.close()
    assert not np.allclose(*ends)
    drawn = calibrated(None, path)
    assert {entry.pattern: entry.distribution.value for entry in drawn.entries} == {"payload": 1.0, "elbow_joint.damping": 2.0}
    both = calibrated(Randomization((Entry("*.damping", Uniform(0.0, 1.0)),)), path)
    assert [entry.pattern for entry in both.entries] == ["*.damping", "payload"]


def test_an_engine_refuses_what_it_cannot_express(tmp_path):
    path = calibration_of(tmp_path, elbow_joint__armature=(0.1, "kg*m^2"))
    with pytest.raises(ValueError, match=r"cannot express parameter 'elbow_joint\.armature'"):
        isthmus_sim.make("reach", plant="pybullet", calibration=path, render_mode=None)
    with pytest.raises(ValueError, match=r"unknown parameter 'elbow\.damping'"):
        isthmus_sim.make("reach", calibration=calibration_of(tmp_path, elbow__damping=(1.0, "N*m*s/rad")), render_mode=None)


def test_a_simulated_robot_over_ros_has_the_values(tmp_path):
    path = calibration_of(tmp_path, payload=(1.0, "kg"))
    reach = get_task("reach").contract
    clock = Signal("time", "time", ("t",), "s", (0.0,), (float("inf"),))
    waves = {"amplitude": ((0.1,),) * 6, "frequency": (0.2,), "phase": ((0.0,),) * 6}
    excitation_artifact(dataclasses.replace(reach, observation=(clock,)), MultiSine(base=(0.0,) * 6, fade=1.0, duration=5.0, **waves)).save(
        tmp_path / "wave.isthmus"
    )
    planned = plan("sim", {"policy": str(tmp_path / "wave.isthmus")})
    (robot,) = [process for process in calibrated_plan(planned, path, True).processes if process.executable == "sim_node"]
    assert robot.parameters["parameters"] == ["payload:=1"]
    with pytest.raises(ValueError, match="goes with --sim"):
        calibrated_plan(planned, path, False)


def test_a_designed_excitation_is_a_policy_file(folder, capsys):
    (folder / "servos.xml").write_text(model_text(NOMINAL, SERVOS))
    (folder / "few.yaml").write_text(unknown("d1", "f1"))
    words = ["identify", "design", str(folder / "servos.xml"), "--parameters", str(folder / "few.yaml"), "--duration", "4", "--rounds", "1"]
    assert main([*words, "--out", str(folder / "motion")]) == 2
    assert "give --velocity and --acceleration" in capsys.readouterr().err
    assert not (folder / "motion").exists()
    assert main([*words, "--velocity", "2", "--acceleration", "20", "--out", str(folder / "motion")]) == 0
    assert "IDENTIFIED" in capsys.readouterr().out
    policy = Artifact.load(folder / "motion" / "excitation.isthmus").policy()
    assert policy.contract.action.elements == ("j1", "j2")
    assert policy.excitation.duration == 4
    expected = json.loads((folder / "motion" / "design.json").read_text())
    assert 0 < expected["expected_sd"]["j1.damping"] < 0.04
    table = np.loadtxt(folder / "motion" / "validation.csv", delimiter=",", skiprows=1)
    assert table.shape == (800, 3)
    assert np.abs(table[:, 1:]).max() > 0.2
