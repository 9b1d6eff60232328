"""A person's commands in place of a policy's: which count, for how long, and how slowly somebody takes over."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")

from guarded_plant import GuardedPlant, still_contract
from ros_bench import Late, bench
from ros_policies import resolved_rate
from sensor_msgs.msg import JointState

from isthmus.guard import HOLD, PASS, STOP
from isthmus.robot import load_robot
from isthmus.signals import Signal
from isthmus.trace import read_trace
from isthmus_ros.common import wire
from isthmus_ros.policy.asking import AskingDrive
from isthmus_ros.policy.corrections import Corrections
from isthmus_ros.policy.hand_over import HandOver
from isthmus_sim.recordings import recorded_episodes
from isthmus_sim.tasks import get_task

TASK = get_task("reach")
CONTRACT = TASK.contract
JOINTS = CONTRACT.action.elements
LIMITS = load_robot("ur5e").limits()
PATIENCE = 0.2
PERIOD = CONTRACT.control_period
STEP = 0.25 * PERIOD * min(LIMITS.acceleration[0], LIMITS.stop_acceleration[0])


class FakeNode:
    """Its clock is the test's."""

    def __init__(self):
        self.time, self.publishers, self.errors = 50.0, 1, []

    def create_subscription(self, kind, topic, callback, quality):
        assert (kind, topic) == (JointState, "policy/correction")
        self.receive = callback

    def resolve_topic_name(self, topic):
        return f"/somewhere/{topic}"

    def count_publishers(self, topic):
        return self.publishers if topic.startswith("/somewhere/") else 0

    def get_logger(self):
        return self

    def error(self, line):
        self.errors.append(line)

    def get_clock(self):
        return self

    def now(self):
        return self

    @property
    def nanoseconds(self):
        return round(self.time * 1e9)

    def destroy_subscription(self, subscription):
        self.receive = None


class Person:
    """Corrections with a clock that the test turns, from a person who says what the test wants."""

    def __init__(self, monkeypatch):
        self.node = FakeNode()
        monkeypatch.setattr("isthmus_ros.policy.corrections.steady", lambda: self.moment)
        self.moment = 7.0
        self.hand_over = HandOver(CONTRACT, LIMITS)
        self.corrections = Corrections(self.node, CONTRACT, self.hand_over, PATIENCE)
        self.corrections.begin()

    def says(self, value=0.1, names=JOINTS, age=0.0, **fields):
        message = JointState(name=list(names), **(fields or {"velocity": [value] * len(names)}))
        message.header.stamp = wire.time_of(round((self.node.time - age) * 1e9))
        self.node.receive(message)

    def passes(self, seconds):
        self.moment += seconds
        self.node.time += seconds


def test_a_correction_counts_until_its_time_is_out(monkeypatch):
    person = Person(monkeypatch)
    assert person.corrections.newest() is None
    person.says(0.1)
    np.testing.assert_array_equal(person.corrections.newest(), np.full((1, 6), 0.1))
    assert person.corrections.active
    person.passes(0.9 * PATIENCE)
    assert person.corrections.newest() is not None
    person.passes(0.2 * PATIENCE)
    assert person.corrections.newest() is None
    assert not person.corrections.active
    person.says(0.2)
    person.corrections.begin()  # of another run
    assert person.corrections.newest() is None


def test_a_correction_ages_from_its_stamp(monkeypatch):
    person = Person(monkeypatch)
    person.passes(1.0)
    person.says(age=0.8 * PATIENCE)
    assert person.corrections.newest() is not None
    person.passes(0.3 * PATIENCE)
    assert person.corrections.newest() is None
    person.says(age=-0.04)  # a clock that is ahead wins no time
    person.passes(1.1 * PATIENCE)
    assert person.corrections.newest() is None


def test_a_correction_whose_stamp_does_not_advance_is_refused(monkeypatch):
    person = Person(monkeypatch)
    person.passes(1.0)
    person.says(0.1)
    person.says(0.2)  # the same stamp
    person.says(0.3, age=0.5 * PATIENCE)
    np.testing.assert_array_equal(person.corrections.newest(), np.full((1, 6), 0.1))
    assert person.node.errors == ["correction refused: its stamp must be newer than the one before"]
    person.passes(0.1)
    person.corrections.begin()
    person.says(0.2, age=0.05)  # said before the run, and late
    assert person.corrections.newest() is None
    person.passes(0.1)
    person.says(0.4)
    np.testing.assert_array_equal(person.corrections.newest(), np.full((1, 6), 0.4))


def test_values_go_by_name_and_stay_within_the_bounds_of_the_action(monkeypatch):
    person = Person(monkeypatch)
    wanted = dict(zip(JOINTS, [0.0, 0.1, -0.2, 0.3, 99.0, -99.0], strict=True))
    names = list(reversed(JOINTS))
    person.says(names=names, velocity=[wanted[name] for name in names])
    high = CONTRACT.action.high[0]
    np.testing.assert_allclose(person.corrections.newest(), [[0.0, 0.1, -0.2, 0.3, high, -high]])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"names": JOINTS[:5]}, "it must name shoulder_pan_joint"),
        ({"names": (*JOINTS[:5], "elbow")}, "it must name shoulder_pan_joint"),
        ({"names": (*JOINTS[:5], JOINTS[0])}, "it must name shoulder_pan_joint"),
        ({"position": [0.0] * 6}, "it must have 6 values of velocity and nothing else"),
        ({"velocity": [0.0] * 6, "effort": [0.0] * 6}, "it must have 6 values of velocity and nothing else"),
        ({"value": np.nan}, "its values must be finite"),
        ({"age": 1.1 * PATIENCE}, "its stamp must be at most 0.2 s old and 0.05 s ahead, it is 0.220 s old"),
        ({"age": -0.1}, "it is -0.100 s old"),
    ],
)
def test_a_wrong_correction_is_refused_once_and_changes_nothing(said, sentence, monkeypatch):
    person = Person(monkeypatch)
    for _ in range(3):
        person.says(**said)
    assert person.corrections.newest() is None
    (line,) = person.node.errors
    assert sentence in line


def test_what_comes_in_while_a_run_begins_is_of_before_it(monkeypatch):
    """The thread of the motion begins the run while another receives: on 8ed61cf such a correction counted."""
    person = Person(monkeypatch)

    def begin_meanwhile(topic):
        person.passes(0.01)
        person.corrections.begin()
        return 1

    person.node.count_publishers = begin_meanwhile
    person.says(0.1)
    assert person.corrections._newest is not None
    assert person.corrections.newest() is None


def test_of_two_people_none_is_heard(monkeypatch):
    person = Person(monkeypatch)
    person.node.publishers = 2
    person.says()
    assert person.corrections.newest() is None
    assert person.node.errors == ["correction refused: one node may publish /somewhere/policy/correction, not 2"]


def test_who_takes_over_begins_slowly_and_may_always_brake(monkeypatch):
    person = Person(monkeypatch)
    fast, executed = np.full((1, 6), 0.8), np.full(6, 0.3)
    assert (person.hand_over.soften(fast, executed) == fast).all()  # nobody has taken over
    person.says()
    person.corrections.newest()
    np.testing.assert_allclose(person.hand_over.soften(fast, executed), 0.3 + STEP)
    np.testing.assert_array_equal(person.hand_over.soften(0 * fast, executed), 0.0)
    np.testing.assert_allclose(person.hand_over.soften(-fast, executed), -STEP)
    for _ in range(7):
        person.hand_over.soften(fast, executed)
    assert (person.hand_over.soften(fast, executed) == fast).all()  # half a second later
    person.passes(2 * PATIENCE)
    person.corrections.newest()  # the policy has it back
    np.testing.assert_allclose(person.hand_over.soften(fast, executed), 0.3 + STEP)


def test_positions_and_efforts_change_slowly_too():
    def commanding(source, unit, bound):
        action = Signal("action", source, JOINTS, unit, (-bound,) * 6, (bound,) * 6)
        return dataclasses.replace(CONTRACT, observation=CONTRACT.observation[:1], action=action)

    position, effort = commanding("joint_position", "rad", 6.0), commanding("joint_effort", "N*m", 28.0)
    place = np.full(6, 1.0)
    hand_over = HandOver(position, LIMITS)
    hand_over.begin()
    np.testing.assert_allclose(hand_over.soften(place[None] + 1, place), place[None] + 0.25 * PERIOD * np.array(LIMITS.velocity))
    hand_over = HandOver(effort, LIMITS)
    hand_over.begin()
    np.testing.assert_allclose(hand_over.soften(np.full((1, 6), 20.0), np.zeros(6)), [0.5 * PERIOD * np.array(LIMITS.effort)])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mode", ["velocity", "position"])
def test_what_is_not_finite_reaches_the_guard_as_it_is(mode, value):
    hand_over = HandOver(CONTRACT if mode == "velocity" else still_contract(), LIMITS)
    hand_over.begin()
    asked = np.array([[0.1, value, 0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(hand_over.soften(asked, np.zeros(6)), asked)


class Driven:
    """A drive whose next commands are those of somebody who has taken over, on a guard that says what the test has it say."""

    def __init__(self, mode="velocity"):
        contract = CONTRACT if mode == "velocity" else still_contract()
        self.plant = GuardedPlant(mode, realtime=False)
        self.drive, self.hand_over = AskingDrive(self.plant, contract), HandOver(contract, LIMITS)
        self.drive.soften = self.hand_over.soften
        self.asks(0.0)
        self.hand_over.begin()

    def asks(self, value):
        self.drive.decide(np.full((1, 6), value))
        return self.plant.asked[-1].values[0, 0]


@pytest.mark.parametrize("why", ["withheld", "held", "stopped"])
def test_half_a_second_in_which_nothing_moves_does_not_count(why):
    driven = Driven()
    guard = driven.plant.guard
    rest = guard.executed
    for _ in range(20):
        if why == "withheld":
            driven.drive.hold("stale")
        else:
            guard.rung = {"held": HOLD, "stopped": STOP}[why]
        driven.asks(0.8)
        guard.executed = rest
    guard.rung = PASS
    assert driven.asks(0.8) == pytest.approx(STEP)  # not all of it
    assert driven.asks(0.8) == pytest.approx(2 * STEP)


def test_a_guard_whose_answers_are_late_does_not_make_positions_swing():
    driven = Driven("position")
    asked, step = [], 0.25 * PERIOD * LIMITS.velocity[0]
    late = driven.plant.guard.executed
    for _ in range(10):
        driven.drive.set_point = lambda known=late: known.values[0]
        late = driven.plant.guard.executed
        asked.append(driven.asks(3.0))
    np.testing.assert_allclose(np.diff(asked), step)


@pytest.mark.ros
def test_a_person_takes_over_through_the_guard_and_what_was_executed_is_experience(tmp_path):
    policy, prefix = tmp_path / "policy.isthmus", tmp_path / "trace"
    resolved_rate(CONTRACT).save(policy)
    with bench(policy, clock="wall", simulator={}, record=str(prefix), correction_timeout=0.2) as nodes:
        publisher = nodes.link._node.create_publisher(JointState, "policy/correction", wire.COMMAND)
        said = [0.0, 0.0, 0.0, 0.0, 0.0, 0.4]

        def speak():
            message = JointState(name=list(JOINTS), velocity=said)
            message.header.stamp = nodes.link._node.get_clock().now().to_msg()
            publisher.publish(message)

        assert nodes.configure()
        nodes.activate()
        nodes.reach_for(CONTRACT, [0.3, -0.3, 0.3])
        nodes.arm()
        nodes.link.insist(lambda: nodes.link.trigger("policy/start"), 10.0)
        nodes.in_motion(0.1)
        timer = nodes.link._node.create_timer(0.04, speak)
        nodes.wait(lambda: nodes.link.status.get("corrected") == "true", "a correction")
        nodes.link.spin(1.0)
        nodes.link._node.destroy_timer(timer)
        nodes.wait(lambda: nodes.link.status.get("corrected") == "false", "the policy again")
        nodes.link.spin(0.5)
        nodes.punctual()
        if nodes.link.status["rung"] not in ("pass", "clamp"):
            raise Late
        assert nodes.link.status["policy"] == "run"
        epochs = {wire.epoch_of(message) for message in nodes.link.answers.values()}
        assert len(epochs - {wire.NOBODY}) == 1  # the guard has heard one sender
        nodes.link.trigger("policy/stop")
        nodes.wait(lambda: nodes.link.status["policy"] == "idle", "standstill")
    trace = read_trace(prefix.with_name("trace-000.mcap"))
    first, last = np.flatnonzero(trace.corrected)[[0, -1]]
    if not trace.corrected[first : last + 1].all() or not np.isfinite(trace.executed[first : last + 4]).all():
        raise Late
    assert last - first >= 15
    np.testing.assert_array_equal(trace.command[first : last + 1], [said] * (last - first + 1))
    turning = trace.executed[first - 1 : last + 1, -1]
    assert np.diff(turning[:8]).max() <= STEP + 1e-9  # slowly
    assert turning[-1] == pytest.approx(0.4)
    after = np.abs(trace.executed[last : last + 4])
    assert np.diff(after[:, :5], axis=0).max() <= STEP + 1e-9
    experience = np.concatenate([episode.action for episode in recorded_episodes(trace, TASK, CONTRACT)])
    assert any((action == row).all() for action in experience for row in trace.executed[first + 1 : first + 3])
