"""A running robot is watched: every sample once, verdicts like the offline evaluator's, and what a violation leads to."""

import contextlib
import dataclasses
import json
import math
import random
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from ros_bench import bench
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState

from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_controllers import stl
from isthmus_controllers.scripted import scripted_artifact
from isthmus_ros.evaluation.coordinator import RosEpisode, evaluate_over_ros
from isthmus_ros.evaluation.processes import NodeProcess, free_domain, isolated
from isthmus_ros.monitoring.watch import RunWatch
from isthmus_sim.tasks import get_task

pytestmark = pytest.mark.ros
ROBOT = load_robot("ur5e")
CONTRACT = get_task("reach").contract
PERIOD = round(CONTRACT.control_period * 1e9)
PAN = f"joint_position.{ROBOT.joint_names[0]}"
STEPS = Specification("always[0,0.2] (pan >= 0) and eventually[0,0.3] (pan >= 5)", {"pan": PAN})
GOAL = [0.3, -0.3, 0.3]


def state(stamp, pan):
    message = JointState(name=list(ROBOT.joint_names), position=[pan, *[0.0] * 5], velocity=[0.0] * 6)
    message.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
    return message


def feed(watch, event):
    """Tell a watch what came in, and let it look."""
    match event:
        case ("state", tick, pan):
            watch.history.add(state(tick * PERIOD, pan))
        case ("executed", sequence, tick):
            watch.execute(sequence, tick * PERIOD)
        case ("status", motion, first, last):
            watch.follow(motion, first, last)
    watch.advance()


def fed(events, specification=STEPS):
    watch = RunWatch(specification, CONTRACT, ROBOT, dict)
    for event in events:
        feed(watch, event)
    return watch


def run_of(pans, first=7, motion=1):
    """A run whose command `first + k` is sent at tick k, on a state that is `pans[k]`."""
    events = [("status", motion, first, -1)]
    for tick, pan in enumerate(pans):
        events += [("state", tick, pan), ("executed", first + tick, tick)]
    return events


def offline(pans):
    formula = stl.BoundSpecification(STEPS, CONTRACT).formula
    return float(stl.robustness(formula, {"pan": np.array([pans], dtype=float)}, end="strict")[0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1, 6), min_size=8, max_size=12), st.integers(0, 10**6))
def test_however_late_one_topic_is_the_samples_are_the_same(pans, seed):
    topics = [[event for event in run_of(pans) if event[0] == kind] for kind in ("state", "executed", "status")]
    choose, events = random.Random(seed), []
    while any(topics):
        events.append(choose.choice([topic for topic in topics if topic]).pop(0))
    watch = fed(events)
    assert (watch.verdict.low, watch.verdict.high) == (offline(pans[1:8]),) * 2
    assert watch.missed == 0


def test_a_command_that_was_not_heard_costs_no_sample():
    pans = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    events = [event for event in run_of(pans) if event != ("executed", 10, 3)]
    watch = fed(events)
    assert watch.missed == 1
    assert watch.verdict.low == watch.verdict.high == offline(pans[1:8])


def test_a_sample_belongs_to_the_answer_to_a_command_and_not_to_the_braking_under_its_number():
    pans = [0, 1, -3, 3, 4, 5, 6, 7, 8]
    events = run_of(pans)
    late = events.index(("executed", 9, 2)) + 1
    events[late:late] = [("executed", 9, 3)]  # the guard brakes, and only then is it known which run this is
    watch = fed([*events[1:], events[0]])
    assert watch.missed == 0
    assert watch.verdict.low == watch.verdict.high == offline(pans[1:8])


def test_a_run_whose_beginning_was_not_heard_is_a_problem():
    pans = [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert fed([event for event in run_of(pans) if event != ("executed", 7, 0)]).verdict.low == offline(pans[1:8])
    watch = RunWatch(STEPS, CONTRACT, ROBOT, dict)
    status, *events = (event for event in run_of(pans) if event not in {("executed", 7, 0), ("executed", 8, 1)})
    for event in events:
        feed(watch, event)
    watch.follow(*status[1:])
    assert not watch.advance()  # these commands may be those of a process before
    over = fed(("executed", sequence, 0) for sequence in (11, 11))
    over.follow(1, 7, 11)
    over.execute(12, PERIOD)
    assert not over.advance()  # what is over need not be watched
    watch.execute(16, 9 * PERIOD)
    assert watch.advance()
    assert watch.problem == "its first two commands were not heard"
    assert not watch.advance()  # it is told once
    watch.follow(2, 50, -1)
    assert not watch.problem


def test_numbers_that_begin_anew_belong_to_another_run():
    before = [*run_of([1] * 12), ("status", 1, 7, 18)]
    for early in ([("executed", 3, 100), ("status", 2, 3, -1)], [("status", 2, 3, -1), ("executed", 3, 100)]):
        watch = fed([*before, *early])
        assert not watch.problem
    for tick, pan in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 8]):
        feed(watch, ("state", 100 + tick, pan))
        feed(watch, ("executed", 3 + tick, 100 + tick))
    assert watch.verdict.low == watch.verdict.high == offline(range(1, 8))


@pytest.mark.parametrize("status_first", [True, False])
def test_a_process_that_begins_anew_may_use_the_same_numbers(status_first):
    watch = fed([*run_of([1] * 12), ("status", 1, 7, 18)])
    begin = [("status", 1, 7, -1), ("executed", 7, 100)]
    for event in begin if status_first else reversed(begin):
        feed(watch, event)
    for tick, pan in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 8]):
        feed(watch, ("state", 100 + tick, pan))
        feed(watch, ("executed", 7 + tick, 100 + tick))
        feed(watch, ("status", 1, 7, -1))
    assert watch.verdict.low == watch.verdict.high == offline(range(1, 8))


def test_a_command_that_was_not_heard_was_sent_between_its_neighbours():
    watch = fed([("status", 1, 7, -1), ("state", 0, 0.0), ("executed", 7, 0)])
    watch.execute(7, 3 * PERIOD // 4)  # braking, because nothing came
    watch.execute(9, 3 * PERIOD)
    for tick in (1, 2, 3):
        watch.history.add(state(tick * PERIOD, tick))
    watch.history.add(state(PERIOD + PERIOD // 2, 1.5))
    watch.advance()
    assert (watch.verdict.sample, watch.missed) == (1, 1)
    assert watch._executed[8] == 3 * PERIOD // 2


def test_what_happens_after_the_run_does_not_count():
    early = run_of([1, 1, 1, 1])
    after = [("status", 1, 7, 9), *[("executed", 7 + tick, tick) for tick in range(4, 12)], *[("state", tick, -3) for tick in range(4, 12)]]
    watch = fed([*early, *after])
    assert watch.verdict.sample == 2
    assert watch.verdict.verdict == "unknown"
    assert fed([*early, *after[1:]]).verdict.verdict == "violated"


def test_every_run_begins_anew():
    first = [*run_of([1, -1, 1]), ("status", 1, 7, 9)]
    assert fed(first).verdict.verdict == "violated"
    events = [("status", 2, 20, -1)] + [
        event for tick in range(10) for event in (("state", 50 + tick, 5.0), ("executed", 20 + tick, 50 + tick))
    ]
    watch = fed([*first, *events])
    assert (watch.motion, watch.verdict.verdict, watch.finished) == (2, "satisfied", True)


def test_what_is_no_number_is_a_problem_of_this_run_alone():
    watch = fed(run_of([0, 1, 2, float("nan"), 4, 5, 6, 7, 8]))
    assert watch.problem == "signal 'pan' is NaN at sample 2"
    assert (watch.verdict.sample, watch.finished) == (1, False)
    watch.follow(2, 50, -1)
    assert not watch.problem


def test_a_robot_that_says_nothing_while_commands_go_on_is_a_problem():
    events = run_of([0] * 30)
    silent = [event for event in events if event[0] != "state" or event[1] < 3]
    watch = fed(silent)
    assert watch.problem == "the robot's state has been missing for 1 s of the run"
    assert not fed(silent[:25]).problem  # a second has not passed


def test_an_input_may_come_late_but_not_for_ever():
    asked, inputs = Specification("always[0,0.2] (goal.x >= 0)"), {}
    watch = RunWatch(asked, CONTRACT, ROBOT, lambda: inputs)
    for event in run_of([0] * 10):
        feed(watch, event)
    assert (watch.verdict.sample, watch.problem) == (-1, "")
    watch.execute(7 + 40, 40 * PERIOD)
    assert watch.advance()
    assert watch.problem == "input 'goal' has been missing for 1 s of the run"
    watch.problem = ""
    inputs["goal"] = np.array([[0.5, 0.0, 0.0]])
    assert watch.advance()
    assert (watch.verdict.verdict, watch.finished) == ("satisfied", True)


def test_memory_is_bounded():
    watch = fed(run_of([1] * 5000), Specification("always[0,200] (pan >= 0)", {"pan": PAN}))
    assert len(watch._executed) <= 1000
    assert len(next(iter(watch.history._states.values())).stamps) <= 10 / CONTRACT.control_period + 2


@pytest.fixture(scope="module")
def reacher(tmp_path_factory):
    """Moves the arm, and asks for what it cannot keep: the tool must not come near its goal."""
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    asked = Specification("always[0,2] (away >= 0.15)", {"away": "hypot(tool0.x - goal.x, tool0.y - goal.y, tool0.z - goal.z)"})
    dataclasses.replace(resolved_rate(CONTRACT), specification=asked).save(path)
    return path


@contextlib.contextmanager
def moving(policy, **monitoring):
    with bench(policy, clock="wall", simulator={"plant": "mujoco"}, monitoring=monitoring) as found:
        assert found.configure()
        found.activate()
        found.reach_for(CONTRACT, GOAL)
        found.arm()
        found.start()
        yield found


def test_a_violation_is_told_and_the_robot_goes_on(reacher):
    with moving(reacher) as found:
        found.wait(lambda: found.link.status.get("verdict") == "violated", "violation")
        assert float(found.link.status["robustness.high"]) < 0
        assert "always[0,40] (away >= 0.15)" in found.link.status["specification"]
        assert json.loads(found.link.status["monitored_input.goal"]) == list(GOAL)
        found.link.spin(0.5)
        found.punctual()
        assert found.link.status["rung"] in ("pass", "clamp")


@pytest.mark.parametrize(("action", "rungs"), [("hold", ("hold", "pass", "clamp")), ("stop", ("stop",))])
def test_a_violation_makes_the_guard_act(reacher, action, rungs):
    with moving(reacher, on_violation=action, margin=0.05) as found:
        found.wait(
            lambda: f"guard/{action} was called" in found.nodes["guard_node"].log + json.dumps(found.link.status), "the guard's answer"
        )
        found.wait(lambda: found.link.status.get("verdict") == "violated", "violation")
        found.wait(lambda: found.link.status["rung"] in rungs, "the guard's word")
        assert float(found.link.status["robustness.high"]) < 0.05


def test_monitor_and_evaluation_agree_over_topics(tmp_path):
    task = get_task("navigate")
    scripted_artifact(task.contract).save(tmp_path / "policy.isthmus")
    result = evaluate_over_ros(task, tmp_path / "policy.isthmus", range(2), monitor=True)
    for episode in result.episodes:
        assert episode.success
        assert episode.agrees
        assert episode.judgement is not None
        assert episode.judgement.verdict == "satisfied"
        assert episode.monitored == (episode.judgement.robustness,) * 2


@pytest.mark.parametrize(
    ("monitoring", "sentence"),
    [
        ({"specification": ""}, "has no specification; give one: -p specification:=FILE.yaml"),
        ({"specification": "missing.yaml"}, "missing.yaml"),
        ({"on_violation": "explode"}, "parameter on_violation must be one of report, hold, stop, got 'explode'"),
        ({"text": "formula: always[0,1] (speed <= 1)\n"}, "the formula names 'speed', which is neither defined nor measured"),
        ({"text": "formula: always[0,1] (goal.x <= 1\n"}, "expected `)` to close a parenthesis"),
        ({"text": "formula: 'true'\nsignal: {}\n"}, "unknown key 'signal'"),
    ],
)
def test_what_cannot_be_watched_is_said_in_one_line(monitoring, sentence, tmp_path):
    path = tmp_path / "policy.isthmus"
    resolved_rate(CONTRACT).save(path)
    if "text" in monitoring:
        (tmp_path / "asked.yaml").write_text(monitoring["text"])
        monitoring = {"specification": str(tmp_path / "asked.yaml")}
    with isolated(free_domain()) as environment:
        node = NodeProcess("monitor_node", {"policy": str(path), **monitoring}, environment)
        patience = time.monotonic() + 20
        while "cannot configure" not in node.log and time.monotonic() < patience:
            time.sleep(0.05)
        assert sentence in node.complaint
        assert node.end() == 0
        node.clean_up()


def test_a_task_without_a_specification_cannot_be_monitored(tmp_path):
    with pytest.raises(ValueError, match="task 'reach' has no specification, so there is nothing to monitor"):
        evaluate_over_ros(get_task("reach"), tmp_path / "policy.isthmus", [0], monitor=True)


@pytest.mark.parametrize(
    ("robustness", "monitored", "stopped", "agrees"),
    [
        (0.2, (0.2, 0.2), "", True),
        (0.2, (0.1, 0.3), "", True),  # it knows enough
        (-0.2, (-0.3, -0.1), "", True),
        (-0.2, (-0.2, 0.1), "", False),  # it should have known
        (-0.2, (-0.2, 0.1), "late", True),
        (-0.2, (0.1, 0.1), "late", False),
        (-0.2, (0.0, 0.1), "", False),
        (None, (0.0, 0.1), "", False),
        (0.2, None, "", False),
    ],
)
def test_what_agreement_means(robustness, monitored, stopped, agrees):
    judged = None if robustness is None else stl.Judgement(robustness, -math.inf, math.inf, bool(stopped))
    assert RosEpisode(0, 0.0, True, 10, stopped, judged, monitored).agrees == agrees
