"""The ladder of evidence: what a file shows, what a robot demands, what `deploy` says, and the card."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from mcap_ros2.writer import Writer

from isthmus import messages
from isthmus.artifact import Artifact
from isthmus.ladder import CERTIFICATE, LADDER, PARITY, climbed, missing, run_evidence, rung_of
from isthmus.robot import load_robot
from isthmus_bringup.plan import plan
from isthmus_evidence.runs import read_run

ENGINES = {"engines": ["mujoco", "pybullet"]}


def certificate():
    """The parts of one, as short as can be shown."""
    share, mean = {"rate": 1.0, "low": 0.5, "high": 1.0}, {"mean": 1.0, "low": 0.5, "high": 1.5}
    motion = {"clamped": 0.0, "reversals_per_second": 0.1, "intervals": {"clamped": {"low": 0.0, "high": 0.1}}}
    cell = {"condition": "nominal", "engine": "mujoco", "episodes": 4, "success": share, "return": mean, "motion": motion, "jerk": mean}
    made = {"command": "isthmus certify policy.isthmus", "commit": "0", "date": "2026-11-30"}
    whole = {"task": "reach", "episodes": 4, "seed": 0, "cells": [cell, {**cell, "engine": "pybullet"}], "pairs": [], "margins": []}
    return {**whole, **ENGINES, "made": made}


@pytest.fixture
def artifact(policies):
    return Artifact.load(policies / "reach.isthmus")


@pytest.fixture
def demanding(tmp_path):
    """A folder with a UR5e whose profile demands evidence, and what writes the rungs into it."""
    source = Path(load_robot("ur5e").folder)
    (folder := tmp_path / "robots" / "ur5e").mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    plain = (folder / "robot.yaml").read_text()

    def demand(*rungs):
        (folder / "robot.yaml").write_text(f"{plain}\nevidence: [{', '.join(rungs)}]\n")
        return tmp_path / "robots"

    return demand


def recording(
    path,
    digest,
    *,
    shadow=False,
    scale="1",
    simulated="false",
    stopped="-1",
    runs=3,
    robot="ur5e",
    other=None,
    restarted=False,
    corrected=0,
):
    """What record_node writes, as far as a rung is told from it."""
    with path.open("wb") as stream:
        writer = Writer(stream)
        known = {"robot": "ur5e", "simulated": simulated, "missing_evidence": "shadow"}
        writer._writer.add_metadata("isthmus.recording", known)
        kind = writer.register_msgdef("diagnostic_msgs/msg/DiagnosticArray", messages.SCHEMAS["diagnostic_msgs/msg/DiagnosticArray"])
        head = {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""}

        def say(topic, time, values):
            message = messages.diagnostics(head, 0, "", "", values)
            message["status"][0]["hardware_id"] = robot
            writer.write_message(topic, kind, message, log_time=time, publish_time=time)

        say("/guard/status", 10**9, {"rung": "pass", "rate_scale": scale} if scale else {"rung": "pass"})
        for number in range(1, runs + 1):
            end = stopped if number == 1 else "-1"
            who = {} if digest is None else {"policy_digest": digest if other is None or number == 1 else other}
            motion = {"motion": "1", "epoch": f"{number:08d}"} if restarted else {"motion": str(number), "epoch": "00000001"}
            say("/policy/status", (2 * number) * 10**9, {"policy": "run", "stop_sequence": "-1", "corrected": "false", **motion, **who})
            if number <= corrected:
                say("/policy/status", (2 * number) * 10**9, {"policy": "run", "stop_sequence": "-1", "corrected": "true", **motion, **who})
            say("/policy/status", (2 * number + 1) * 10**9, {"policy": "idle", "stop_sequence": end, **motion})
        if shadow:
            say("/policy/shadow", 10**10, {})
        writer.finish()
    return path


def test_rungs_are_told_from_evidence(artifact):
    bare = replace(artifact, evidence={})
    assert climbed(bare.evidence, bare.members) == {}
    assert climbed(artifact.evidence, artifact.members) == {"export-parity": PARITY}  # written at export
    assert climbed({}, ["scripted.json"]) == {"export-parity": "no network was exported"}
    assert climbed({"eval-mujoco": {}}, ["policy.onnx"]) == {"simulation": "eval-mujoco"}
    assert climbed({"eval-ros": {}}, ["policy.onnx"]) == {}
    assert climbed({CERTIFICATE: {"engines": ["mujoco"]}}, ["policy.onnx"]) == {"simulation": CERTIFICATE}
    assert set(climbed({CERTIFICATE: ENGINES}, ["policy.onnx"])) == {"simulation", "second-engine"}
    assert climbed({CERTIFICATE: 3}, ["policy.onnx"]) == {}
    assert list(climbed({run_evidence(rung): {} for rung in LADDER[3:]}, ["policy.onnx"])) == list(LADDER[3:])
    runs = {run_evidence("shadow"): {"robot": "panda"}, run_evidence("full"): {"robot": "ur5e"}, run_evidence("reduced-rate"): 3}
    assert list(climbed(runs, ["policy.onnx"], "ur5e")) == ["full"]


def test_only_what_comes_before_a_run_is_demanded_of_it():
    assert rung_of(shadow=True, rate_scale=1.0) == "shadow"
    assert [rung_of(shadow=False, rate_scale=scale) for scale in (0.5, 0.6, 1.0)] == ["reduced-rate", "full", "full"]
    assert missing(LADDER, (), "shadow") == ["simulation", "second-engine", "export-parity"]
    assert missing(["shadow", "second-engine"], ("simulation",), rung_of(shadow=False, rate_scale=1.0)) == ["second-engine", "shadow"]
    assert missing((), (), "full") == []


def test_the_exported_graph_says_how_near_it_is(artifact):
    parity = artifact.evidence[PARITY]
    assert 0 <= parity["difference"] <= parity["allowed"]
    assert parity["samples"] == 2


def test_deploy_names_what_is_missing_and_runs_with_it(artifact, demanding, tmp_path):
    folder = demanding("simulation", "second-engine")
    artifact.save(file := tmp_path / "policy.isthmus")
    given = {"policy": str(file), "robots_dir": str(folder)}
    with pytest.raises(
        ValueError, match=r"robot 'ur5e' demands evidence that the policy does not have: 'simulation' .*; 'second-engine' \("
    ):
        plan("deploy", given)
    artifact.with_evidence("eval-mujoco", {}).save(file)
    with pytest.raises(
        ValueError, match=re.escape("does not have: 'second-engine' (isthmus certify POLICY); allow_missing_evidence:=true")
    ):
        plan("deploy", given)
    artifact.with_evidence(CERTIFICATE, certificate()).save(file)
    assert [process.name for process in plan("deploy", given).processes] == ["guard_node", "policy_node"]


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("/**: {ros__parameters: {robots_dir: FOLDER}}", ["simulation", "shadow", "reduced-rate"]),
        ("policy_node: {ros__parameters: {robots_dir: FOLDER}}", ["simulation", "shadow", "reduced-rate"]),
        ("/**: {ros__parameters: {robots_dir: FOLDER, rate_scale: 0.25}}", ["simulation", "shadow"]),
        ("/**: {ros__parameters: {robots_dir: FOLDER, shadow: true}}", ["simulation"]),
    ],
)
def test_a_parameter_file_is_asked_what_will_run(text, lacking, artifact, demanding, tmp_path):
    """On 75a79e1 the arguments alone were: a profile in the file demanded nothing, and a reduced rate in it did not count."""
    folder = demanding("simulation", "shadow", "reduced-rate")
    artifact.save(file := tmp_path / "policy.isthmus")
    (own := tmp_path / "own.yaml").write_text(text.replace("FOLDER", str(folder)))
    given = {"policy": str(file), "params_file": str(own)}
    with pytest.raises(ValueError, match="robot 'ur5e' demands evidence"):
        plan("deploy", given)
    planned = plan("deploy", {**given, "allow_missing_evidence": "true"}).processes
    assert planned[0].parameters["missing_evidence"] == ", ".join(lacking)


def test_a_robot_whose_profile_only_a_parameter_file_tells_is_known(artifact, demanding, tmp_path, monkeypatch):
    """On 8ed61cf it was refused as unknown."""
    folder = demanding()
    (folder / "ur5e").rename(folder / "mine")
    profile = (folder / "mine" / "robot.yaml").read_text()
    assert "\nname: ur5e\n" in f"\n{profile}"
    (folder / "mine" / "robot.yaml").write_text(f"\n{profile}".replace("\nname: ur5e\n", "\nname: mine\n"))
    replace(artifact, contract=replace(artifact.contract, robot="mine")).save(file := tmp_path / "policy.isthmus")
    (own := tmp_path / "own.yaml").write_text("/**: {ros__parameters: {robots_dir: robots}}")
    monkeypatch.chdir(tmp_path)
    planned = plan("deploy", {"policy": str(file), "params_file": str(own)})
    assert planned.robot.name == "mine"
    assert {process.parameters["robots_dir"] for process in planned.processes} == {str(folder)}
    simulated = {process.name: process.parameters for process in plan("sim", {"policy": str(file), "params_file": str(own)}).processes}
    assert simulated["sim_node"]["transport"] == simulated["guard_node"]["transport"] == load_robot("mine", [folder]).ros.transport
    with pytest.raises(ValueError, match="unknown robot 'mine'"):
        plan("deploy", {"policy": str(file)})
    own.write_text("/**: {ros__parameters: {robots_dir: nowhere}}")
    with pytest.raises(ValueError, match=re.escape("own.yaml: robots_dir: there is no folder nowhere")):
        plan("deploy", {"policy": str(file), "params_file": str(own)})


def test_what_was_typed_wins_over_the_file_for_the_gate_too(artifact, demanding, tmp_path):
    artifact.with_evidence(run_evidence("shadow"), {"robot": "ur5e"}).save(file := tmp_path / "policy.isthmus")
    (own := tmp_path / "own.yaml").write_text("/**: {ros__parameters: {rate_scale: 1.0}}")
    given = {"policy": str(file), "params_file": str(own), "robots_dir": str(demanding("shadow", "reduced-rate"))}
    assert plan("deploy", {**given, "rate_scale": "0.25"})
    with pytest.raises(ValueError, match="does not have: 'reduced-rate'"):
        plan("deploy", given)


def test_runs_on_another_robot_do_not_count(artifact, demanding, tmp_path):
    artifact.with_evidence(run_evidence("shadow"), {"robot": "panda"}).save(file := tmp_path / "policy.isthmus")
    given = {"policy": str(file), "robots_dir": str(demanding("shadow"))}
    with pytest.raises(ValueError, match="does not have: 'shadow'"):
        plan("deploy", given)
    artifact.with_evidence(run_evidence("shadow"), {"robot": "ur5e"}).save(file)
    assert plan("deploy", given)


def test_who_allows_what_is_missing_is_recorded_or_does_not_begin(artifact, demanding, tmp_path):
    artifact.save(file := tmp_path / "policy.isthmus")
    (own := tmp_path / "own.yaml").write_text("record_node: {ros__parameters: {autostart: true, missing_evidence: nothing}}")
    given = {"policy": str(file), "robots_dir": str(demanding("shadow")), "params_file": str(own), "allow_missing_evidence": "true"}
    planned = plan("deploy", given)
    recorder = planned.processes[0]
    assert (recorder.name, recorder.lifecycle, recorder.required, planned.autostart) == ("record_node", True, True, True)
    assert (recorder.parameters["autostart"], recorder.parameters["missing_evidence"]) == (False, "shadow")
    with pytest.raises(ValueError, match="autostart:=false has no use with allow_missing_evidence:=true"):
        plan("deploy", {**given, "autostart": "false"})


def test_what_is_allowed_all_the_same_is_recorded(artifact, demanding, tmp_path):
    artifact.save(file := tmp_path / "policy.isthmus")
    given = {"policy": str(file), "robots_dir": str(demanding("second-engine", "shadow")), "allow_missing_evidence": "true"}
    recorder, *_ = plan("deploy", given).processes
    assert (recorder.name, recorder.parameters["missing_evidence"]) == ("record_node", "second-engine, shadow")
    recorder, *_ = plan("deploy", {**given, "shadow": "true"}).processes
    assert recorder.parameters["missing_evidence"] == "second-engine"  # a shadow is no rung of its own condition
    assert "missing_evidence" not in plan("deploy", {"policy": str(file), "record": "true"}).processes[0].parameters
    del given["allow_missing_evidence"]
    recorder, *_ = plan("sim", {**given, "record": "true"}).processes
    assert recorder.parameters["simulated"] is True  # nothing is demanded in simulation


def test_the_command_says_it_in_one_sentence(refuse, artifact, demanding, tmp_path):
    artifact.save(file := tmp_path / "policy.isthmus")
    said = refuse("deploy", file, "--robots-dir", demanding("second-engine"))
    assert "demands evidence that the policy does not have: 'second-engine' (isthmus certify POLICY)" in said


def test_an_unknown_rung_in_a_profile_is_refused(demanding):
    with pytest.raises(ValueError, match="robot 'ur5e': evidence: unknown rung 'second_engine'; did you mean 'second-engine'"):
        load_robot("ur5e", [demanding("second_engine")])


@pytest.mark.parametrize(
    ("rung", "options"), [("shadow", {"shadow": True}), ("reduced-rate", {"scale": "0.25"}), ("full", {"stopped": "17"})]
)
def test_a_recording_of_the_robot_is_a_rung(isthmus, artifact, rung, options, tmp_path):
    artifact.save(file := tmp_path / "policy.isthmus")
    bag = recording(tmp_path / "bag.mcap", artifact.policy_digest, **options)
    code, out, error = isthmus("climb", file, bag)
    assert code == 0, error
    assert f"{rung}: 3 runs on ur5e" in out
    stored = Artifact.load(file).evidence[run_evidence(rung)]
    assert (stored["runs"], stored["robot"], stored["missing"], stored["recording"]) == (3, "ur5e", "shadow", "bag.mcap")
    assert stored["stopped"]["rate"] == pytest.approx(1 / 3 if "stopped" in options else 0)
    assert stored["stopped"]["low"] <= stored["stopped"]["rate"] <= stored["stopped"]["high"]
    assert len(stored["sha256"]) == 64


def test_runs_in_which_a_person_took_over_show_nothing_of_the_policy(tmp_path):
    _, run = read_run(recording(tmp_path / "bag.mcap", "0000", stopped="7", corrected=1))
    assert (run["runs"], run["corrected"], run["stopped"]["rate"]) == (2, 1, 0.0)
    with pytest.raises(ValueError, match=r"in every run of .* a person took over"):
        read_run(recording(tmp_path / "all.mcap", "0000", corrected=3))


def test_runs_of_a_policy_that_was_started_anew_count_each(tmp_path):
    _, run = read_run(recording(tmp_path / "bag.mcap", "0000", stopped="7", restarted=True))
    assert (run["runs"], run["stopped"]["rate"]) == (3, pytest.approx(1 / 3))


def test_recordings_that_show_nothing_are_refused(refuse, artifact, tmp_path):
    artifact.save(file := tmp_path / "policy.isthmus")
    bag = tmp_path / "bag.mcap"
    digest = artifact.policy_digest
    assert "is of the policy with digest 0000" in refuse("climb", file, recording(bag, "0000"))
    assert "was simulated; the rungs above simulation need the robot" in refuse("climb", file, recording(bag, digest, simulated="true"))
    assert "nothing ran in" in refuse("climb", file, recording(bag, digest, runs=0))
    for silent in (recording(bag, None), recording(tmp_path / "nobody.mcap", digest, robot="")):
        assert "does not say which policy ran on which robot" in refuse("climb", file, silent)
    assert "does not say at which rate the robot moved" in refuse("climb", file, recording(bag, digest, scale=""))
    assert "has runs of more than one policy or robot" in refuse("climb", file, recording(bag, digest, other="0000"))
    with pytest.raises(ValueError, match=r"must hold one \.mcap file, it holds 0"):
        read_run(tmp_path / "robots" if (tmp_path / "robots").mkdir() is None else tmp_path)


def test_the_card_says_what_the_file_holds_and_nothing_else(isthmus, artifact, tmp_path):
    file, bag = tmp_path / "policy.isthmus", tmp_path / "bag.mcap"
    artifact.save(file)
    isthmus("card", file)
    bare = (tmp_path / "card.md").read_text()
    assert "| second-engine | missing | isthmus certify POLICY |" in bare
    assert "## evaluations" not in bare
    artifact.with_evidence(CERTIFICATE, certificate()).with_evidence("mine", {"note": "<b>*"}).save(file)
    assert isthmus("eval", file, "--episodes", 2, "--evidence")[0] == 0
    isthmus("climb", file, recording(bag, artifact.policy_digest, shadow=True))
    code, *_ = isthmus("card", file, "--out", tmp_path / "card")
    assert code == 0
    card, page = ((tmp_path / "card" / name).read_text() for name in ("card.md", "card.html"))
    for rung in LADDER:
        assert f"| {rung} |" in card
        assert rung in page
    assert "| second-engine | certificate |" in card
    assert "| shadow | run-shadow |" in card
    assert re.search(r"\| eval-mujoco \| 2 \| 0 \| 0\.00 \(0\.00 … 0\.66\)", card)
    assert re.search(r"eval-mujoco: .* \(commit ", card)
    assert "isthmus certify policy.isthmus (commit 0, 2026-11-30)" in card
    assert "mine; see isthmus inspect" in card
    ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))


def test_inspect_shows_the_ladder(isthmus, read_json, artifact, tmp_path):
    artifact.with_evidence(CERTIFICATE, certificate()).save(file := tmp_path / "policy.isthmus")
    _, out, _ = isthmus("inspect", file)
    assert "ladder of evidence" in out
    assert "isthmus deploy POLICY --shadow, then isthmus climb POLICY RECORDING" in out
    assert "reach in mujoco and pybullet, 4 episodes of each cell" in out
    assert read_json("inspect", file, "--json")["ladder"] == {
        "simulation": CERTIFICATE,
        "second-engine": CERTIFICATE,
        "export-parity": PARITY,
    }
