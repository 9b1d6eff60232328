"""`isthmus inspect` and `isthmus doctor` on policy files."""

import re
import shutil
from dataclasses import replace

import pytest

from isthmus.artifact import Artifact
from isthmus.robot import load_robot
from isthmus_cli import doctor
from isthmus_cli.checks import Check


@pytest.fixture
def healthy_machine(monkeypatch):
    """The machine under test may lack a renderer; these tests are about policies."""
    for name in ("_rendering", "_ros"):
        monkeypatch.setattr(doctor, name, lambda: iter(()))


def test_inspect_shows_contract_digests_and_evidence(isthmus, read_json, policies, tmp_path):
    artifact = Artifact.load(policies / "reach.isthmus").with_evidence("bench", {"speed": {"mean": 1.25}})
    file = tmp_path / "policy.isthmus"
    artifact.save(file)
    _, out, _ = isthmus("inspect", file)
    for word in ("reach", "ur5e", "goal", "elbow_joint", "rad/s", artifact.policy_digest, artifact.contract.digest(), "speed.mean", "1.25"):
        assert word in out
    facts = read_json("inspect", file, "--json")
    assert facts["policy_digest"] == artifact.policy_digest
    assert facts["contract"]["horizon"] == 1
    assert facts["evidence"]["bench"] == {"speed": {"mean": 1.25}}


def test_what_a_file_says_does_not_steer_the_terminal(isthmus, policies, tmp_path):
    artifact = Artifact.load(policies / "reach.isthmus")
    training = {"note\x1b[2J": "\x1b]0;title\x07 \u202eabc"}
    replace(artifact, training=training, git="\x1b[31m").save(tmp_path / "policy.isthmus")
    _, out, _ = isthmus("inspect", tmp_path / "policy.isthmus")
    assert not set(out) & {"\x1b", "\x07", "\u202e"}
    for shown in (r"note\x1b[2J", r"\x1b]0;title\x07 \u202eabc", r"\x1b[31m"):
        assert shown in out


def point(length, success=None):
    return {"length": length, "decision_period": 0.05 * length, "return": {"mean": -9.5, "low": -12.25, "high": -7.0}, "success": success}


@pytest.mark.parametrize("success", [None, {"rate": 0.75, "low": 0.3, "high": 0.95}])
def test_inspect_shows_a_curve_over_decision_frequencies_as_a_table(isthmus, read_json, policies, tmp_path, success):
    stored = {"score": 0.625, "range": {"low": -20.0, "high": 0.0, "source": "given"}, "curve": [point(1, success), point(30, success)]}
    file = tmp_path / "policy.isthmus"
    Artifact.load(policies / "pendulum.isthmus").with_evidence("fas-mujoco", stored).save(file)
    _, out, _ = isthmus("inspect", file)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    rate = " 0.75 (0.30 … 0.95) │" if success else ""
    for row in ("score │ 0.625", "range.low │ -20.0", "range.source │ given"):
        assert f"│ {row} │" in lines
    assert "curve of fas-mujoco" in lines
    assert f"│ 1 │ 0.05 │ -9.50 │ -12.25 … -7.00 │{rate}" in lines
    assert f"│ 30 │ 1.5 │ -9.50 │ -12.25 … -7.00 │{rate}" in lines
    assert '"return"' not in out
    assert read_json("inspect", file, "--json")["evidence"]["fas-mujoco"] == stored


@pytest.mark.parametrize("curve", [[], [1, 2], "flat", [{"length": 1}], [{**point(1), "return": {"mean": "high"}}]])
def test_inspect_shows_evidence_of_any_form(isthmus, policies, tmp_path, curve):
    file = tmp_path / "policy.isthmus"
    Artifact.load(policies / "pendulum.isthmus").with_evidence("mine", {"curve": curve}).save(file)
    code, out, _ = isthmus("inspect", file)
    assert code == 0
    assert "│ curve" in out


def test_doctor_is_content_with_a_policy_that_fits(isthmus, read_json, policies, healthy_machine):
    code, out, _ = isthmus("doctor", policies / "reach.isthmus")
    assert code == 0
    assert "all is well" in out
    checks = {check["name"]: check for check in read_json("doctor", policies / "reach.isthmus", "--json")}
    assert checks["fit"]["status"] == "ok"
    assert "control period of 50 ms" in checks["inference"]["found"]
    assert checks["mujoco"]["found"]


def test_doctor_says_that_nothing_was_run_on_hardware(isthmus, read_json, policies, healthy_machine):
    (check,) = [check for check in read_json("doctor", "--robot", "fr3", "--json") if check["name"] == "hardware"]
    assert check["status"] == "not run"
    assert "'fr3'" in check["found"]
    assert isthmus("doctor", "--robot", "fr3")[0] == 0
    checks = {check["name"]: check for check in read_json("doctor", policies / "reach.isthmus", "--json")}
    assert checks["hardware"]["status"] == "not run"


def test_doctor_names_each_limit_that_is_tighter_than_in_training(isthmus, read_json, policies, healthy_machine, tmp_path):
    """As the guard does when it is configured."""
    assert "tighter than in training" not in isthmus("doctor", policies / "reach.isthmus")[1]
    shutil.copytree(load_robot("ur5e").folder, tmp_path / "ur5e")
    profile = tmp_path / "ur5e" / "robot.yaml"
    profile.write_text(re.sub(r"( velocity:) [\d.]+", r"\1 0.5", profile.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    checks = read_json("doctor", policies / "reach.isthmus", "--robots", tmp_path, "--json")
    (found,) = [check for check in checks if check["name"] == "limits"]
    assert found["status"] == "ok"
    assert re.fullmatch(r"tighter than in training: velocity of shoulder_pan_joint is [\d.]+, allowed is 0.5", found["found"])


@pytest.mark.parametrize("name", ["ur5e", "fr3", "quadruped"])
@pytest.mark.parametrize("gains", ["position_gain", "velocity_gain", "both"])
def test_doctor_names_servos_that_are_unstable(isthmus, read_json, healthy_machine, tmp_path, name, gains):
    servos = [check for check in read_json("doctor", "--robot", name, "--json") if check["name"] == "servos"]
    assert [check["status"] for check in servos] == ["ok"]
    shutil.copytree(load_robot(name).folder, tmp_path / name)
    profile = tmp_path / name / "robot.yaml"
    text = profile.read_text(encoding="utf-8")
    for gain in ("position_gain", "velocity_gain") if gains == "both" else (gains,):
        text, count = re.subn(rf"({gain}:) [\d.]+", r"\1 1.0e+9", text, count=1)
        assert count
    profile.write_text(text, encoding="utf-8")
    code, out, _ = isthmus("doctor", "--robot", name, "--robots", tmp_path)
    assert code == 1
    assert f"its servos are unstable, that of {load_robot(name, [tmp_path]).joint_names[0]} most" in out
    assert f"choose smaller gains in {profile}" in out


def test_doctor_says_why_a_policy_does_not_fit_and_what_to_do(isthmus, policies, healthy_machine):
    code, out, _ = isthmus("doctor", policies / "pendulum.isthmus", "--robot", "ur5e")
    assert code == 1
    lines = [line for line in out.splitlines() if line.startswith("fit: ")]
    assert any("policy was made for robot 'pendulum', this is 'ur5e'" in line for line in lines)
    assert all("choose the right one with --robot" in line for line in lines)
    assert f"{len(lines)} problem(s)" in out


def test_doctor_reports_a_file_that_does_not_load(isthmus, tmp_path, healthy_machine):
    (tmp_path / "broken.isthmus").write_bytes(b"PK")
    code, out, _ = isthmus("doctor", tmp_path / "broken.isthmus")
    assert code == 1
    assert "is not a zip archive" in out


def test_what_is_no_policy_file_is_said_in_one_sentence_with_what_it_is(refuse, policies, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(policies / "reach.isthmus", run / "policy.isthmus")
    for command in ("inspect", "eval", "doctor", "deploy", "view"):
        assert f"{run} is the folder of a training; its policy file is {run / 'policy.isthmus'}" in refuse(command, run), command
    assert "a folder, no policy file" in refuse("inspect", run / "checkpoints")
    for name, content, what in (
        ("step.safetensors", b"....", "a checkpoint of a training"),
        ("robot.urdf", b"<robot/>", "a description of a robot"),
        ("bag.mcap", b"\x89MCAP", "a recording"),
        ("empty.isthmus", b"", "it is empty"),
        ("odd.isthmus", b"\xff\xfe", "not a zip archive"),
    ):
        (tmp_path / name).write_bytes(content)
        assert what in refuse("inspect", tmp_path / name)
    assert f"did you mean {run / 'policy.isthmus'}?" in refuse("inspect", run / "polcy.isthmus")


def test_view_shows_a_policy_file_on_its_own_task(refuse, policies):
    assert "there is no screen here" in refuse("view", policies / "pendulum.isthmus")
    assert "give a task and one policy file" in refuse("view", policies / "pendulum.isthmus", policies / "reach.isthmus")


def test_doctor_reports_a_broken_renderer(isthmus, monkeypatch):
    monkeypatch.setattr(doctor, "_ros", lambda: iter(()))
    monkeypatch.setattr(doctor, "_RENDER", "raise RuntimeError('no display')")
    code, out, _ = isthmus("doctor")
    assert code == 1
    assert "rendering: RuntimeError: no display; for pictures without a screen run: apt-get install" in out


def test_old_mujoco_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "installed_version", lambda name: "3.3.1")
    found = {check.name: check for check in doctor._packages()}
    assert found["mujoco"] == Check("mujoco", "wrong", "3.3.1", "batches need MuJoCo 3.17 or newer; run: pip install 'isthmus[sim]'")
