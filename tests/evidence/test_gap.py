"""Whether the gap between two sets of recordings is found, and its cause; recordings are of a scripted policy in MuJoCo."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isthmus.kinematics import Kinematics
from isthmus.robot import load_robot
from isthmus_cli.console import write_json
from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import gap
from isthmus_evidence.gap import comparison
from isthmus_evidence.gap.calibrate import unknown_parameters
from isthmus_evidence.gap.causes import find_causes
from isthmus_evidence.gap.corrections import smoothed
from isthmus_evidence.gap.decisions import decision_causes, recorded_decisions
from isthmus_evidence.gap.hypotheses import hypotheses
from isthmus_evidence.gap.hypothesis import Hypothesis
from isthmus_evidence.gap.measured import measured
from isthmus_evidence.gap.metrics import mean_maximum_rank_violation, outcome_gap, rank_agreement, tracking_delay
from isthmus_evidence.gap.observations import compare_observations, observation_causes
from isthmus_evidence.gap.planted import FAULTS, Fault, record_episodes
from isthmus_evidence.gap.recordings import check_comparable, read_recordings, resampled
from isthmus_evidence.gap.response import Loads, relations
from isthmus_evidence.gap.score import Reference
from isthmus_evidence.gap.table import make_table
from isthmus_evidence.replay import action_tolerance
from isthmus_evidence.reports.gap_page import gap_page
from isthmus_evidence.reports.gap_report import gap_report, plain_gap
from isthmus_sim.tasks import get_task

TASK = replace(get_task("reach"), episode_steps=50)
SEEDS = range(4)


@pytest.fixture(scope="module")
def artifact():
    return scripted_artifact(TASK.contract)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, artifact):
    """Records episodes behind a fault, once each."""
    root = tmp_path_factory.mktemp("recorded")

    def record(fault="", seeds=SEEDS, **options):
        folder = root / f"{fault.replace(' ', '-')}-{seeds[0]}-{len(options)}"
        if not folder.exists():
            record_episodes(TASK, artifact.policy(), "mujoco", seeds, folder, fault, **options)
        return folder

    return record


@pytest.fixture(scope="module")
def payload(recorded):
    """What is found of a payload."""
    return gap.compare(recorded(), recorded("payload"))


def test_sets_of_one_robot_name_no_cause(recorded):
    found = gap.compare(recorded(), recorded(seeds=range(50, 54)))
    assert found.named == []
    assert found.excess == 0
    assert any("no cause is named" in str(part) for part in gap_report(found))


def test_two_joints_that_are_exchanged_are_named_first(recorded):
    found = gap.compare(recorded(), recorded("joint swap"))
    assert found.causes[0].cause == FAULTS["joint swap"].cause
    assert found.causes[0].named
    assert "shoulder_lift_joint and elbow_joint" in found.causes[0].claim
    assert found.causes[0].explained > 0.5


@pytest.mark.parametrize(("name", "engine", "fault"), [("reach-position", "mujoco", "delay"), ("reach", "pybullet", "offset")])
def test_causes_are_named_of_commanded_positions_and_in_the_other_engine(tmp_path, name, engine, fault):
    task = replace(get_task(name), episode_steps=50)
    policy = scripted_artifact(task.contract).policy()
    record_episodes(task, policy, engine, SEEDS, tmp_path / "first")
    record_episodes(task, policy, engine, SEEDS, tmp_path / "second", fault)
    found = gap.compare(tmp_path / "first", tmp_path / "second")
    assert [cause.cause for cause in found.named] == [FAULTS[fault].cause]


def test_from_a_few_samples_no_cause_is_named(tmp_path):
    """The guard ends each episode after two control periods, in which a scale explained one relation as well as the exchange did."""
    task = replace(get_task("reach-position"), episode_steps=50)
    policy = scripted_artifact(task.contract).policy()
    record_episodes(task, policy, "mujoco", SEEDS, tmp_path / "first")
    record_episodes(task, policy, "mujoco", SEEDS, tmp_path / "second", "joint swap")
    found = gap.compare(tmp_path / "first", tmp_path / "second")
    assert found.named == []
    assert found.excess > 10
    assert any("the second set has 8 samples, and from fewer than 40 no cause is named that" in remark for remark in found.remarks)


def test_a_payload_is_weighed_and_becomes_a_line_that_calibrates(payload, tmp_path):
    cause = payload.causes[0]
    assert (cause.cause, cause.named) == ("payload", True)
    assert cause.value == pytest.approx(1.0, abs=0.1)
    assert cause.spread < 0.05
    assert all(np.isfinite([before, after]).all() and after < before for _, before, after in cause.evidence)
    (name, (low, high)) = next(iter(unknown_parameters(payload.named).items()))
    assert (name, low) == ("payload", 0.0)
    assert high == pytest.approx(2.0, abs=0.3)
    page = gap_page(payload, {"command": "isthmus gap", "commit": "", "date": "today"}, "isthmus identify")
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.index("<svg") < page.index("Outcome")
    write_json(plain_gap(payload), tmp_path / "gap.json")


@pytest.mark.parametrize(
    ("fault", "claim", "value"),
    [("filter", "commands pass a filter with a time constant of", 0.1), ("noise", "positions carry white noise of 0.01 rad or m", None),
     ("damping", "viscous friction of all joints is", 2.0)],
)  # fmt: skip
def test_what_others_would_explain_in_part_is_named_alone(recorded, fault, claim, value):
    """A filter is no delay, noise no weak servo; and damping, which a velocity servo hides, is seen in the efforts."""
    (cause,) = gap.compare(recorded(), recorded(fault)).named
    assert cause.cause == FAULTS[fault].cause
    assert cause.claim.startswith(claim)
    assert cause.value == (None if value is None else pytest.approx(value, rel=0.1))
    assert cause.explained > 0.8


def test_two_causes_are_named_and_no_third(recorded, monkeypatch):
    monkeypatch.setitem(FAULTS, "payload and damping", Fault("", {"payload": 1.0, "joint_damping": 2.0}))
    named = gap.compare(recorded(), recorded("payload and damping")).named
    assert {cause.cause: cause.value for cause in named} == pytest.approx({"payload": 1.0, "friction": 2.0}, rel=0.1)
    assert all(cause.explained >= 0.15 for cause in named)


@pytest.mark.parametrize("fault", ["stale history", "wrong normalisation", "wrong frame"])
def test_what_was_done_to_recorded_observations_is_told_without_the_policy(recorded, fault):
    traces = [recording.trace for recording in read_recordings([recorded(fault)])]
    compared = compare_observations(traces, _robot())
    causes, size = observation_causes(compared)
    assert causes[0].cause == FAULTS[fault].cause
    assert causes[0].explained > 0.9
    assert size > 1
    assert any(signal.first_difference() is not None for signal in compared)


@pytest.mark.parametrize("fault", ["stale history", "wrong frame"])
def test_what_a_policy_saw_is_told_by_its_actions_where_it_was_not_recorded(recorded, artifact, fault):
    traces = [recording.trace for recording in read_recordings([recorded(fault, hidden=True)])]
    assert all(signal.equal for signal in compare_observations(traces, _robot()))
    policy = artifact.policy()
    causes, _ = decision_causes(recorded_decisions(traces, policy), policy)
    assert causes[0].cause == FAULTS[fault].cause
    assert causes[0].explained > 0.9


def test_clean_recordings_have_no_cause_on_the_side_of_the_policy(recorded, artifact):
    traces = [recording.trace for recording in read_recordings([recorded()])]
    assert observation_causes(compare_observations(traces, _robot())) == ([], 0.0)
    policy = artifact.policy()
    assert decision_causes(recorded_decisions(traces, policy), policy) == ([], 0.0)


def test_a_solver_has_the_tolerance_that_it_has_in_a_replay(recorded, artifact):
    trace = read_recordings([recorded()])[0].trace
    span = np.array(trace.contract.action.high) - np.array(trace.contract.action.low)
    policy = artifact.policy()
    decisions = recorded_decisions([replace(trace, actions=trace.actions + 5e-3 * span)], policy)
    assert decision_causes(decisions, policy)[1] > 0
    assert decision_causes(decisions, policy, action_tolerance("npc")) == ([], 0.0)
    assert action_tolerance("onnx") == 0


def test_recordings_of_another_contract_are_refused_with_the_difference(recorded, tmp_path):
    other = get_task("reach-position")
    record_episodes(replace(other, episode_steps=10), scripted_artifact(other.contract).policy(), "mujoco", range(1), tmp_path / "other")
    with pytest.raises(ValueError, match=r"have other contracts: task is 'reach' here, 'reach-position' there"):
        gap.compare(recorded(), tmp_path / "other")


def test_bags_of_other_rates_are_refused_or_resampled(recorded):
    one = [replace(recording, trace=None) for recording in read_recordings([recorded()])]
    slow = resampled(one, 0.1)
    with pytest.raises(ValueError, match=r"every 0\.05 s, .* every 0\.1 s; --resample"):
        check_comparable(one, slow)
    check_comparable(resampled(one, 0.1), slow)
    assert tracking_delay(one[0]) > 0


def test_resampling_changes_what_differs_in_rate_and_nothing_else(recorded, artifact):
    one = read_recordings([recorded()])
    assert resampled(one, one[0].period) == one
    with pytest.raises(ValueError, match=r"have other contracts: horizon is 1 here, 2 there"):
        check_comparable(one, [_contracted(recording, horizon=2, control_period=0.1) for recording in one], rates=False)
    slow = [_contracted(recording, control_period=0.1) for recording in one]
    check_comparable(one, slow, rates=False)
    same = gap.compare(recorded(), recorded("stale history"), policy=artifact.policy(), resample=True)
    assert same.named[0].cause == "stale history"
    assert not any("do not name their robot" in remark for remark in same.remarks)


def test_what_is_lost_by_resampling_is_said(recorded, artifact, monkeypatch):
    one = read_recordings([recorded()])[:2]
    bags = [replace(recording, trace=None) for recording in one]
    slow = [
        _contracted(replace(half, trace=recording.trace), control_period=0.1)
        for half, recording in zip(resampled(bags, 0.1), one, strict=True)
    ]
    sets = iter([slow, one])
    monkeypatch.setattr(comparison, "read_recordings", lambda *_: next(sets))
    found = gap.compare(Path("a"), Path("b"), policy=artifact.policy(), resample=True)
    said = " ".join(found.remarks)
    assert "2 of 2 recordings of the second set were brought to a period of 0.1 s: their observations, decisions" in said
    assert "the policy was not asked" in said
    assert "do not name their robot" not in said


def test_a_joint_that_is_no_number_is_a_difference(recorded, monkeypatch):
    one = [replace(recording, trace=None) for recording in read_recordings([recorded()])]
    sets = iter([one, [_masked(recording, slice(None)) for recording in one]])
    monkeypatch.setattr(comparison, "read_recordings", lambda *_: next(sets))
    found = gap.compare(Path("a"), Path("b"), robot=_robot())
    assert [cause.claim for cause in found.named] == ["elbow_joint is not measured in the second set"]
    assert found.excess > 0
    sets = iter([one, [_masked(recording, slice(10, 12)) for recording in one]])
    found = gap.compare(Path("a"), Path("b"), robot=_robot())
    assert any("of the samples of elbow_joint in the second set are no numbers" in remark for remark in found.remarks)
    with pytest.raises(ValueError, match="no joint is measured in both sets"):
        measured(one, [replace(recording, log=replace(recording.log, position=recording.log.position * np.nan)) for recording in one], [])


def test_efforts_and_commands_that_are_no_numbers_are_told(recorded, monkeypatch):
    one = read_recordings([recorded()])
    effort, command = one[0].log.effort.copy(), one[0].log.command.copy()
    effort[:, 3], command[5] = np.nan, np.nan
    for changes, told in (
        ({"effort": effort}, "the efforts of wrist_1_joint in the second set are no numbers, so that no efforts were looked at"),
        ({"command": command}, "1 commands of the second set are no numbers and were left out"),
    ):
        remarks = []
        _, theirs, stages = measured(one[:1], [replace(one[0], log=replace(one[0].log, **changes))], remarks)
        assert (remarks, stages) == ([told], [])
        assert np.isfinite(theirs[0].log.command).all()
        assert len(theirs[0].log.command) == len(theirs[0].log.command_time)
        assert theirs[0].log.effort is None or np.isfinite(theirs[0].log.effort).all()


def test_observations_that_are_no_numbers_are_a_difference(recorded):
    (trace, *_) = (recording.trace for recording in read_recordings([recorded()]))
    values = {name: value.copy() for name, value in trace.observations.items()}
    values["joint_position"][..., 2] = np.nan
    _, size = observation_causes(compare_observations([replace(trace, observations=values)], _robot()))
    assert size > 1


def test_an_encoder_that_stands_still_is_a_frozen_joint_and_no_unit(recorded, monkeypatch):
    one = [replace(recording, trace=None) for recording in read_recordings([recorded()])]
    sets = iter([one, [replace(recording, log=_still(recording.log, 3)) for recording in one]])
    monkeypatch.setattr(comparison, "read_recordings", lambda *_: next(sets))
    found = gap.compare(Path("a"), Path("b"), robot=_robot())
    assert found.named[0].claim == "wrist_1_joint does not move, or its measurement stands still"
    assert sum(cause.explained for cause in found.named) <= 1 + 1e-9


def test_a_servo_gain_that_the_motion_contradicts_explains_less(recorded):
    """Of a calibrated robot that moved as it should, but by motors of another kind, a servo of 0.06 times the gain was named."""
    one, two = (make_table(read_recordings([recorded(seeds=seeds)])) for seeds in (SEEDS, range(50, 54)))
    robot = load_robot("ur5e")
    reference = Reference(one, Loads(Kinematics(robot.urdf_path), robot.tool_frame))
    two = replace(two, dead_time=reference.table.dead_time, calm=reference.table.calm)
    rows, effort = np.flatnonzero(two.inner), two.effort.copy()
    for relation in relations(two, reference.loads, rows, {("servo", joint) for joint in range(6)}):
        weights = reference.fits["servo", relation.joint].weights
        effort[rows, relation.joint] -= 0.97 * (relation.regressors[:, :-2] @ weights[:-2])
    causes, channels = find_causes(reference, replace(two, effort=effort))
    assert channels["servo elbow_joint"].mean > 10 > 1 > channels["motion elbow_joint"].mean
    found = [cause for cause in causes if cause.cause == "servo gain"]
    assert found[0].explained < 0.4


def test_units_are_those_of_the_kind_of_joint(recorded):
    table = make_table(read_recordings([recorded()]))
    kinds = dict.fromkeys(table.joints, "revolute") | {"elbow_joint": "prismatic"}
    told = [one.claim for one in hypotheses(table, Loads(None, kinds=kinds), range(6), ()) if one.cause == "unit"]
    assert "commands of elbow_joint are in millimetres" in told
    assert "commands of wrist_1_joint are in degrees" in told
    assert not any("wrist_1_joint are in millimetres" in claim or "elbow_joint are in degrees" in claim for claim in told)
    everywhere = [one.claim for one in hypotheses(table, Loads(None), range(6), ()) if one.cause == "unit"]
    assert "commands of all joints are in degrees" in everywhere
    assert "commands of elbow_joint are in degrees" in everywhere


def test_late_measurements_of_others_are_no_delay_of_commands_alone(recorded):
    recordings = read_recordings([recorded()])
    for kept, known in ((recordings, ("action_delay",)), ([replace(one, trace=None) for one in recordings], ())):
        delays = [one for one in hypotheses(make_table(kept), Loads(None), (), ()) if one.cause == "delay"]
        assert all("later, or measurements come so much later" in one.claim and one.calibrate == known for one in delays)
        assert len(delays) == 2


def test_noise_is_taken_off_within_a_recording_and_what_was_repeated_stays_so(recorded):
    table = make_table(read_recordings([recorded()]))
    noise = np.random.default_rng(0).normal(0, 0.01, table.position.shape)
    noisy = smoothed(replace(table, position=table.position + noise), "position")
    assert np.std(noisy.position - table.position) < 0.004
    rough = smoothed(replace(table, velocity=table.velocity + 10 * noise), "velocity")
    assert np.std((rough.velocity - table.velocity)[table.inner]) < 0.04
    # A recording that lies elsewhere altogether changes nothing of its neighbours.
    far = replace(table, position=table.position + 10.0 * (table.recording == 1)[:, None])
    kept = table.recording != 1
    np.testing.assert_allclose(smoothed(far, "position").position[kept], smoothed(table, "position").position[kept], atol=1e-12)
    position, velocity = table.position.copy(), table.velocity.copy()
    position[10], velocity[10] = position[9], velocity[9]
    assert smoothed(replace(table, position=position, velocity=velocity), "position").repeated[10]


def test_numbers_that_are_next_to_nothing_are_no_cause():
    offset = Hypothesis("offset", "{value}", lambda table, _: table, (-0.03, 0.03), "rad")
    assert (offset.counts(-0.000256), offset.counts(0.02)) == (False, True)
    gain = Hypothesis("servo gain", "{value}", lambda table, _: table, (0.85, 1.2), "1")
    assert (gain.counts(1.01), gain.counts(0.9)) == (False, True)
    assert Hypothesis("sign", "", lambda table, _: table).counts(0.0)


def test_another_robot_is_refused_with_the_missing_joints(recorded):
    with pytest.raises(
        ValueError, match=r"robot 'pendulum' has no joint shoulder_pan_joint, .*wrist_3_joint, of which there are recordings"
    ):
        gap.compare(recorded(), recorded(), robot=load_robot("pendulum"))


def test_a_place_without_recordings_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no recording \(\*\.mcap\) in"):
        read_recordings([tmp_path])
    with pytest.raises(FileNotFoundError, match="there is no recording"):
        read_recordings([tmp_path / "nowhere"])


def test_ranks_of_policies():
    assert mean_maximum_rank_violation([0.1, 0.5, 0.9], [0.2, 0.4, 0.8]) == 0
    # The first two are exchanged: each of them is violated by 0.3, the third by nothing.
    assert mean_maximum_rank_violation([0.5, 0.1, 0.9], [0.1, 0.4, 0.8]) == pytest.approx(0.2)
    found = rank_agreement({"a": (0.1, 0.2), "b": (0.4, 0.3), "c": (0.6, 0.7), "d": (0.9, 0.8)})
    assert found["pearson"]["low"] < found["pearson"]["value"] < found["pearson"]["high"]
    assert rank_agreement({"a": (0.1, 0.2), "b": (0.4, 0.3)})["pearson"] is None
    with pytest.raises(ValueError, match="at least two policies, got 1"):
        rank_agreement({"a": (0.1, 0.2)})


def test_policies_with_the_same_seeds_are_paired_each_with_itself(recorded):
    one = read_recordings([recorded()])[:2]
    returns = {"good": "50", "bad": "-50"}
    both = [
        replace(recording, group=name, trace=replace(recording.trace, metadata={**recording.trace.metadata, "return": returns[name]}))
        for name in returns
        for recording in one
    ]
    found = outcome_gap(both, both[::-1])["difference"]
    assert (found["mean"], found["n"]) == (0.0, 4)
    assert "difference" not in outcome_gap(both, [replace(recording, group="third") for recording in both[:2]])
    # A folder around all recordings of one set is no policy among several.
    assert outcome_gap(both[:2], one)["difference"]["n"] == 2


def test_unknown_faults_are_refused(tmp_path, artifact):
    with pytest.raises(ValueError, match=r"unknown fault 'sing'; did you mean 'sign'"):
        record_episodes(TASK, artifact.policy(), "mujoco", range(1), Path(tmp_path), "sing")


def _contracted(recording, **changes):
    return replace(recording, trace=replace(recording.trace, contract=replace(recording.trace.contract, **changes)))


def _masked(recording, rows):
    """A recording whose third joint is no number in some samples."""
    position, velocity = recording.log.position.copy(), recording.log.velocity.copy()
    position[rows, 2] = velocity[rows, 2] = np.nan
    return replace(recording, log=replace(recording.log, position=position, velocity=velocity))


def _still(log, joint):
    """A log in which one joint is measured where it began."""
    position, velocity = log.position.copy(), log.velocity.copy()
    position[:, joint], velocity[:, joint] = position[0, joint], 0.0
    return replace(log, position=position, velocity=velocity)


def _robot():
    return load_robot(TASK.contract.robot)
