"""A learner that trains on the robot itself: what its process and the node tell each other, and whole episodes over topics."""

import contextlib
import dataclasses
import importlib
import json
import socket
import sys
import threading
import time
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_bench import Late
from ros_policies import still
from sensor_msgs.msg import JointState

import isthmus_ros.__main__
from isthmus.guard import HOLD, PASS, STOP, Decision
from isthmus.kinematics import Kinematics
from isthmus.records import Command, Measurement
from isthmus.robot import load_robot
from isthmus.runner import Tick
from isthmus_cli.train.robot import judge
from isthmus_policies.environment import LostError
from isthmus_policies.outcome import Evaluation
from isthmus_ros.common import signals, wire
from isthmus_ros.evaluation.course import Course
from isthmus_ros.evaluation.graph import robot_nodes
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import NodeProcess, RosError, free_domain, isolated
from isthmus_ros.policy.asking import patience
from isthmus_ros.policy.policy_node import PolicyNode
from isthmus_ros.training import robot_env
from isthmus_ros.training.asked_policy import AskedPolicy
from isthmus_ros.training.exchange import Channel, arrays_of, measured, packed, unpacked
from isthmus_ros.training.robot_env import RobotEnv
from isthmus_ros.training.train_node import TrainNode
from isthmus_sim import make_vec
from isthmus_sim.task import Scorer
from isthmus_sim.tasks import get_task

TASK = get_task("reach")
CONTRACT = TASK.contract
ROBOT = load_robot("ur5e")
JOINTS = ROBOT.joint_names
OBSERVATION = {"goal": np.ones((1, 1, 3), dtype=np.float32), "picture": np.full((1, 2, 4, 4, 3), 7, dtype=np.uint8)}


def sample(number):
    return Measurement(np.array([0.05 * number]), JOINTS, np.full((1, 6), float(number)), np.zeros((1, 6)), poses={"tool": np.ones((1, 7))})


def test_what_is_told_comes_out_as_it_went_in():
    told, arrays = unpacked(packed({"kind": "asked", "run": 3}, {**arrays_of(sample(2)), **OBSERVATION}))
    assert told == {"kind": "asked", "run": 3}
    for name, values in OBSERVATION.items():
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].dtype == values.dtype
    again = measured(arrays, JOINTS)
    np.testing.assert_array_equal(again.position, sample(2).position)
    assert set(again.poses) == {"tool"}
    assert again.effort is None


@pytest.mark.parametrize(("asked", "timeout"), [(False, 0.0), (True, 0.2)])
def test_nobody_may_correct_a_training_unless_it_is_asked_for(asked, timeout, monkeypatch):
    told = {}

    class Graph:
        link = robot = None
        clock, prefix = "wall", ""

        def start(self, name, parameters):
            told.update(parameters)
            raise RosError("this is all that is looked at")

    monkeypatch.setattr(robot_env, "robot_nodes", lambda *arguments, **options: {})
    seen = []

    @contextlib.contextmanager
    def running(*arguments, **options):
        try:
            yield Graph()
        except RosError:
            seen.append("an error")
            raise

    monkeypatch.setattr(robot_env, "running", running)
    with pytest.raises(RosError, match="looked at"):
        RobotEnv(TASK, still(CONTRACT), corrections=asked)
    assert told["correction_timeout"] == timeout
    assert seen == ["an error"]  # else how the nodes end then would hide it


def test_what_kept_a_training_from_beginning_is_told_and_not_how_its_nodes_were_ended(monkeypatch):
    class Graph:
        link = robot = None
        clock, prefix = "wall", ""

        def start(self, name, parameters):
            raise RosError("train_node: cannot configure")

    @contextlib.contextmanager
    def running(*arguments, **options):
        yield Graph()
        raise RosError("train_node ended with exit code -2: KeyboardInterrupt")  # of a node that did not listen yet

    monkeypatch.setattr(robot_env, "robot_nodes", lambda *arguments, **options: {})
    monkeypatch.setattr(robot_env, "running", running)
    with pytest.raises(RosError, match=r"^train_node: cannot configure$"):
        RobotEnv(TASK, still(CONTRACT))


@pytest.mark.parametrize("simulated", [True, False])
def test_a_reward_that_needs_what_no_topic_tells_is_known_in_a_simulation_and_else_refused_before_anything_moves(simulated):
    peg, env = get_task("peg"), object.__new__(RobotEnv)
    env._task, env._scorer = peg, Scorer(peg, 1)
    env._course = Course(None, peg, ROBOT, simulated=simulated)
    pose = Kinematics(ROBOT.urdf_path).poses(ROBOT.joint_names, ROBOT.home[None], ["tool0"])["tool0"].vector()
    env._course.newest = lambda: env._course.complete(dataclasses.replace(sample(0), poses={"tool0": pose}))
    if simulated:
        env._check_rewarded()
        return
    with pytest.raises(RosError, match=r"^task 'peg' cannot be rewarded on this robot: no topic tells 'hole'$"):
        env._check_rewarded()


def test_before_the_first_episode_has_ended_a_policy_is_judged_by_what_the_present_one_has_earned():
    env = object.__new__(RobotEnv)
    env.episodes, env._returns = deque(), SimpleNamespace(total=np.array([1.5]))
    assert judge(env)(None) == Evaluation(1.5, 0.0, None, 0.0)
    env.episodes.extend([(2.0, True, False), (4.0, False, True)])
    assert judge(env)(None) == Evaluation(3.0, 0.5, None, 0.5)


class Step:
    """The part of a control step that is looked at."""

    def __init__(self):
        self.measurement, self.begun = sample(0), 0
        self.plant = self

    def begin(self):
        self.begun += 1

    def sense(self):
        pass

    def read(self):
        return self.measurement

    def set_point(self):
        return None


class Moved:
    """A motion that can be stopped, and a learner at the other end of a pipe."""

    def __init__(self, *, steps=3, realtime=True):
        ours, self.learner = map(Channel, socket.socketpair())
        self.step, self.stopped, self.took_over = Step(), 0, 0
        self.policy = AskedPolicy(CONTRACT, ours, steps, realtime=realtime, take_over=self.take_over)
        self.policy.motion = self
        self.policy.begin()

    def stop(self, failure=""):
        self.stopped, self.failure = self.stopped + 1, failure

    def take_over(self):
        self.took_over += 1

    def decides(self):
        return self.policy.act(OBSERVATION).actions[0, 0]

    def told(self):
        return unpacked(self.learner.receive(1.0))

    def answers(self, number, value=0.5, run=1):
        self.learner.send(packed({"run": run, "number": number}, {} if value is None else {"action": np.full((1, 6), value)}), 1.0)


def tick(rung=PASS, cause="", corrected=None):
    command = Command(CONTRACT.mode, JOINTS, np.zeros((1, 6)) if corrected is None else corrected)
    decision = Decision(command, np.array([rung]), np.array([True]), (cause,))
    rows = np.zeros(1, dtype=np.int64)
    return Tick(0, sample(0), {}, rows, None, None, command.values, decision, np.zeros(1, dtype=bool), corrected is not None)


def test_the_robot_stands_still_until_the_learner_decides_and_then_begins_slowly():
    moved = Moved()
    for _ in range(5):
        assert (moved.decides() == 0).all()
    told, arrays = moved.told()
    assert (told["kind"], told["run"], told["decided"]) == ("asked", 1, 0)
    np.testing.assert_array_equal(arrays["observation/picture"], OBSERVATION["picture"])
    assert moved.learner.receive(0.0) is None  # it was asked once
    assert (moved.stopped, moved.took_over, moved.step.begun) == (0, 0, 0)
    moved.answers(0)
    assert (moved.decides() == 0.5).all()
    assert (moved.took_over, moved.step.begun) == (1, 1)


def test_an_episode_is_over_after_its_steps_and_the_last_decision_is_answered_for():
    moved = Moved(steps=2, realtime=False)
    for number in range(2):
        moved.answers(number, 0.1 * number)
        assert (moved.decides() == 0.1 * number).all()
        moved.policy.watch(tick(HOLD, "late"))
    assert (moved.decides() == 0).all()
    kinds = [moved.told()[0] for _ in range(3)]
    assert [(told["kind"], told["decided"]) for told in kinds] == [("asked", 0), ("asked", 1), ("over", 2)]
    assert (kinds[2]["rung"], kinds[2]["cause"]) == (HOLD, "late")
    assert moved.stopped == 1
    moved.policy.end()
    assert moved.learner.receive(0.0) is None


def test_a_learner_that_is_late_ends_the_episode():
    moved = Moved()
    moved.answers(0)
    moved.decides()
    moved.answers(0, 0.7)  # of another decision
    moved.answers(1, 0.7, run=0)  # of another run
    assert (moved.decides() == 0).all()
    assert moved.stopped == 1
    moved.policy.end()
    assert [moved.told()[0]["kind"] for _ in range(3)] == ["asked", "asked", "ended"]
    moved.policy.begin()
    moved.answers(1, 0.7)  # too late
    assert (moved.decides() == 0).all()
    assert moved.stopped == 1


@pytest.mark.parametrize("gone", [False, True])
def test_a_learner_that_wants_no_more_or_is_gone_ends_the_episode(gone):
    moved = Moved()
    if gone:
        moved.learner.close()
    else:
        moved.answers(None, None)
    assert (moved.decides() == 0).all()
    assert moved.stopped == 1


@pytest.mark.parametrize("answered", [True, False])
def test_a_robot_that_has_stood_for_too_long_does_not_move_for_a_late_answer(answered, monkeypatch):
    now = 20.0
    monkeypatch.setattr("isthmus_ros.training.asked_policy.steady", lambda: now)
    moved = Moved()
    now += 0.9 * patience(CONTRACT.control_period)
    assert (moved.decides() == 0).all()
    assert (moved.stopped, moved.policy.standing) == (0, True)
    now += 0.2 * patience(CONTRACT.control_period)
    if answered:
        moved.answers(0)
    assert (moved.decides() == 0).all()
    assert (moved.stopped, moved.took_over) == (1, 0)
    assert moved.failure == "the learner decided nothing within 0.150 s of policy/start"
    moved.policy.end()
    assert [moved.told()[0]["kind"] for _ in range(2)] == ["asked", "ended"]
    moved.policy.begin()  # a new start
    moved.answers(0, run=2)
    assert (moved.decides() == 0.5).all()
    assert not moved.policy.standing


def test_nobody_corrects_a_robot_that_stands_and_waits_for_the_learner():
    moved, node = Moved(), object.__new__(TrainNode)
    node._asked, node.bound = moved.policy, SimpleNamespace(corrections=SimpleNamespace(newest=lambda: "a correction"))
    assert node.correction() is None
    moved.answers(0)
    moved.decides()
    assert node.correction() == "a correction"
    stepped = Moved(realtime=False)
    node._asked = stepped.policy
    assert node.correction() == "a correction"  # no time passes there


class Node:
    """What `RobotEnv` sees of the graph and of its node: services that a person may refuse, and messages that the node has sent."""

    def __init__(self, monkeypatch, refusals=0, simulated=False):
        self.env, self.refusals, self.called, self.status, self.said, self.moment = object.__new__(RobotEnv), refusals, [], {}, [], 0.0
        ours, self.node = map(Channel, socket.socketpair())
        monkeypatch.setattr(RobotEnv, "_measurement", lambda env, arrays: sample(0))
        env = self.env
        env._link, env._node, env._course, env._simulated, env._realtime = self, ours, self, simulated, True
        env._task, env._say, env._told, env._scorer = TASK, self.said.append, "", SimpleNamespace(reset=lambda rows: None)
        env._generator, env._running, env._run, env._last, env._motion = np.random.default_rng(0), False, 0, {"goal": 0}, -1
        env._attached, env._stack, env.busy = True, contextlib.ExitStack(), False

    insist = Link.insist

    def tells(self, kind, run, rung=PASS, cause="", **arrays):
        told = {"kind": kind, "run": run, "decided": 0, "rung": rung, "cause": cause}
        self.node.send(packed(told, {**arrays_of(sample(0)), "observation/goal": np.full(1, float(run))}), 1.0)

    def prepare(self, seed):
        return {}

    def number(self, key):
        return int(self.status.get(key, "0"))

    def check(self):
        """Nobody dies."""

    def spin(self, seconds):
        """Time does not matter."""

    def until(self, condition, seconds, otherwise):
        if not condition():
            raise RosError(otherwise)

    def trigger(self, name):
        self.called.append(name)
        if name == "policy/stop":
            self.status["policy"] = "idle"
        elif len(self.called) <= self.refusals:
            raise RosError("the guard is not armed")
        else:
            self.begins()

    def begins(self):
        self.status = {"motion": str(self.number("motion") + 1), "policy": "run"}
        self.tells("asked", self.number("motion"))

    def arm(self, armed):
        self.called.append(f"arm {armed}".lower())


def test_an_episode_begins_when_the_learner_is_ready(monkeypatch):
    node = Node(monkeypatch)
    assert node.env.reset(seed=1) == ({"goal": 0}, {})
    assert node.called == []
    for _ in range(2):
        assert node.env.begin()["goal"] == 1
    assert node.called == ["policy/start"]


def test_after_ctrl_c_nothing_begins_though_a_person_arms_the_guard(monkeypatch):
    """On 8ed61cf the training went on asking for `policy/start`, and the robot moved once somebody had armed it."""
    node = Node(monkeypatch, refusals=1)
    assert node.env.begin(lambda: bool(node.called)) is None
    assert node.called == ["policy/start"]
    assert node.said == []


def test_ctrl_c_on_the_way_to_the_start_pose_ends_it(monkeypatch):
    node, ended = Node(monkeypatch), []
    node.begins = lambda: (node.status.update(motion="1", policy="ramp"), ended.append(True))
    assert node.env.begin(lambda: bool(ended)) is None
    assert node.called == ["policy/start", "policy/stop"]


def test_what_a_run_told_that_somebody_else_started_is_not_taken_for_the_next_one(monkeypatch):
    """On 8ed61cf every episode after it was begun with the observation of the one before, and ended by it."""
    node = Node(monkeypatch)
    node.tells("asked", 1)
    node.tells("ended", 1)
    node.status["motion"] = "1"
    assert node.env.begin()["goal"] == 2
    assert node.env._run == 2
    node.tells("ended", 1)
    node.tells("asked", 2)
    told, _ = node.env._hear(1.0)
    assert (told["kind"], told["run"]) == ("asked", 2)


def test_the_node_listens_to_signals_before_it_imports_anything_heavy(monkeypatch):
    """On 8ed61cf a Ctrl-C while it started ended it with a traceback."""
    done = []
    monkeypatch.setattr(sys, "argv", ["isthmus_ros", "train_node"])
    monkeypatch.setattr(signals, "listen", lambda: done.append("listens"))
    imported = SimpleNamespace(main=lambda: 0)
    monkeypatch.setattr(importlib, "import_module", lambda name: done.append(name) or imported)
    assert isthmus_ros.__main__.main() == 0
    assert done == ["listens", "isthmus_ros.training.train_node"]


def test_a_guard_that_goes_on_is_disarmed_at_the_end(monkeypatch):
    node = Node(monkeypatch)
    node.env.close()
    assert node.called == ["arm false"]


@pytest.mark.parametrize("wrong", ["observation", "reward", ""])
def test_what_is_not_finite_is_no_experience(wrong, monkeypatch):
    node = Node(monkeypatch)
    env, reward = node.env, np.array([np.nan if wrong == "reward" else 1.0])
    monkeypatch.setattr(robot_env, "scored", lambda scorer, task, transition: SimpleNamespace(reward=reward, success=np.array([True])))
    env.begin()
    env._returns, env.episodes = SimpleNamespace(add=lambda outcome: None, total=np.zeros(1)), []
    node.status |= {"motion": "2", "policy": "idle"}
    told = {"kind": "over" if not wrong else "asked", "run": 1, "decided": 1, "rung": PASS, "cause": ""}
    goal = np.full((1, 1, 3), np.nan if wrong == "observation" else 0.0)
    node.node.send(packed(told, {**arrays_of(sample(1)), "observation/goal": goal}), 1.0)
    node.tells("ended", 1)
    _, reward, _, truncated, info = env.step(np.zeros((1, 6)))
    assert truncated[0]
    assert (bool(info["invalid"][0]), reward[0], len(env.episodes)) == (bool(wrong), 0.0 if wrong else 1.0, 0 if wrong else 1)
    sentence = "an episode ended, and nothing is learned from its last period: what was measured, or its reward, is not finite"
    assert node.said == [sentence] * bool(wrong)


@pytest.mark.parametrize("realtime", [True, False])
def test_a_learner_that_reads_nothing_blocks_nobody_and_counts_as_gone(realtime):
    """A message larger than the socket's buffer, then a second thread that has something to say, as the executor of the node."""
    moved = Moved(realtime=realtime)
    large = {"picture": np.zeros((1, 8, 512, 512, 3), dtype=np.uint8)}
    threads = [
        threading.Thread(target=moved.policy.act, args=(large,), daemon=True),
        threading.Thread(target=moved.policy.end, daemon=True),
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join(2.0)
        assert not thread.is_alive()
    assert moved.stopped == 1
    moved.policy.begin()  # of another run: it does not come back
    began = time.monotonic()
    assert (moved.decides() == 0).all()
    assert moved.stopped == 2
    assert time.monotonic() - began < 1.0


def test_a_learner_that_reads_a_trickle_counts_as_gone_in_time():
    """On 8ed61cf each byte that it read gave it another tenth of a second."""
    ours, theirs = socket.socketpair()
    over, sender = threading.Event(), Channel(ours)

    def drip():
        while not over.wait(0.01):
            with contextlib.suppress(OSError):
                theirs.recv(20_000, socket.MSG_DONTWAIT)

    reader = threading.Thread(target=drip, daemon=True)
    reader.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="the other end takes too long"):
        sender.send(bytes(20_000_000), 0.1)
    assert time.monotonic() - began < 2.0  # not the 10 s that all of it takes
    with pytest.raises(BrokenPipeError):
        sender.send(b"another", 0.1)
    over.set()
    reader.join()


def test_a_message_comes_whole_or_not_at_all():
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    assert channel.receive(0.0) is None
    whole = len(b"word").to_bytes(4, "big") + b"word"
    ours.sendall(whole[:2])
    assert channel.receive(0.0) is None
    ours.sendall(whole[2:6])
    assert channel.receive(0.0) is None
    ours.sendall(whole[6:] + whole)
    assert [channel.receive(0.0), channel.receive(0.0), channel.receive(0.0)] == [b"word", b"word", None]
    ours.close()
    with pytest.raises(OSError, match="the other end is gone"):
        channel.receive(0.0)


def test_what_was_asked_of_the_guard_is_told_also_if_a_blind_period_follows():
    """On 8ed61cf the learner's own action was taken for what a person's correction had led to, and a softened one for what it was before."""
    moved = Moved()
    moved.answers(0)
    moved.decides()
    moved.policy.watch(tick(corrected=np.full((1, 6), 0.3)))
    moved.policy.watch(tick(HOLD, "a camera shows nothing"))
    moved.answers(1)
    moved.decides()
    softened = tick()
    moved.policy.watch(dataclasses.replace(softened, asked=np.full((1, 6), 0.7)))
    moved.answers(2)
    moved.decides()
    moved.policy.watch(tick())
    moved.policy.end()
    _, (told, corrected), (_, quarter), (_, plain) = (moved.told() for _ in range(4))
    assert (told["rung"], told["cause"]) == (HOLD, "a camera shows nothing")
    np.testing.assert_array_equal(corrected["executed"], np.full((1, 6), 0.3))
    np.testing.assert_array_equal(quarter["executed"], np.zeros((1, 6)))
    assert "executed" not in plain


def test_a_training_does_not_run_under_the_name_of_the_policy_that_it_began_from():
    """On 8ed61cf a recording of it was evidence for that policy."""
    assert TrainNode.deciding(object.__new__(TrainNode), still(CONTRACT)) == ""
    assert PolicyNode.deciding(object.__new__(PolicyNode), still(CONTRACT)) == still(CONTRACT).policy_digest


def test_a_stop_of_the_guard_and_a_correction_are_told():
    moved = Moved(realtime=False)
    moved.answers(0)
    moved.decides()
    moved.policy.watch(tick(corrected=np.full((1, 6), 0.3)))
    moved.answers(1)
    moved.decides()
    moved.policy.watch(tick(STOP, "emergency stop"))
    moved.step.measurement = sample(2)
    moved.policy.end()
    moved.policy.end()
    _, (_, corrected), (told, arrays) = (moved.told() for _ in range(3))
    np.testing.assert_array_equal(corrected["executed"], np.full((1, 6), 0.3))
    assert (told["kind"], told["rung"], told["cause"], told["decided"]) == ("ended", STOP, "emergency stop", 2)
    assert "executed" not in arrays
    assert measured(arrays, JOINTS).position[0, 0] == 2
    assert moved.learner.receive(0.0) is None


@pytest.mark.ros
def test_in_stepped_time_the_episodes_are_those_in_process():
    task = get_task("pendulum")
    env = RobotEnv(task, still(task.contract), clock="stepped")
    try:
        env.reset(seed=5)
        there = env.begin()
        inside = make_vec("pendulum", 1, plant="mujoco")
        here, _ = inside.reset(seed=int(np.random.default_rng(5).integers(2**31)))
        generator = np.random.default_rng(0)
        for step in range(task.episode_steps):
            for name, values in here.items():
                np.testing.assert_allclose(there[name], values, atol=1e-4, err_msg=f"{name} of period {step}")
            action = generator.uniform(-2, 2, (1, 1))
            there, reward, terminated, truncated, info = env.step(action)
            here, wanted, *_ = inside.step(action)
            np.testing.assert_allclose(reward, wanted, atol=1e-3)
            assert not terminated[0]
            assert truncated[0] == (step == task.episode_steps - 1)
        assert "final_obs" in info
        assert len(env.episodes) == 1
        assert not env.busy
        assert env._link.status["policy_digest"] == ""
        inside.close()
        env.reset(seed=6)
        env.begin()
        env._link.trigger("guard/stop")
        for _ in range(3):
            *_, truncated, info = env.step(np.zeros((1, 1)))
            if truncated[0]:
                break
        assert info["rung"][0] == STOP
        assert info["cause"]
        env.begin()
        env.step(np.zeros((1, 1)))  # reset and armed again
    finally:
        env.close()


@pytest.mark.ros
def test_in_passing_time_an_episode_begins_slowly_a_person_corrects_and_a_stop_is_survived():
    task = get_task("navigate")
    elements, action = task.contract.action.elements, 0.5 * np.array([task.contract.action.high])
    try:
        env = RobotEnv(task, still(task.contract), corrections=True)
        try:
            env.reset(seed=1)
            publisher = env._link._node.create_publisher(JointState, "policy/correction", wire.COMMAND)
            assert not env.busy
            env._link.spin(1.0)  # as long as an update may take
            assert env._link.status["policy"] == "idle"
            env.begin()
            shown, executed, rungs = [], [], []
            for step in range(20):
                if step >= 12:
                    message = JointState(name=list(elements), velocity=[0.05] * len(elements))
                    message.header.stamp = env._link._node.get_clock().now().to_msg()
                    publisher.publish(message)
                observation, _, _, truncated, info = env.step(action)
                if truncated[0]:
                    raise Late
                assert env.busy
                shown.append(np.abs(observation["previous_action"][0, -1] / action[0]).max())
                executed.append(info.get("executed"))
                rungs.append(info["rung"][0])
            if max(rungs) >= HOLD:
                raise Late
            assert max(np.diff([0.0, *shown[:3]])) < 0.3  # the guard alone would let it begin with three quarters of it
            assert max(shown) == pytest.approx(1.0)
            assert np.abs(executed[0] / action[0]).max() < 0.3  # what was asked of the guard is what is learned from
            assert executed[10:12] == [None] * 2
            np.testing.assert_allclose(executed[-1], [[0.05] * len(elements)])
            env._link.trigger("guard/stop")
            for _ in range(3):
                *_, truncated, info = env.step(action)
                if truncated[0]:
                    break
            if info["rung"][0] < STOP:  # the call took longer than a control period, so the learner was late
                raise Late
            assert info["cause"] == ("guard/stop was called",)
            assert not env.busy
            assert [stopped for _, _, stopped in env.episodes] == [True]
            env.begin()
            *_, info = env.step(action)  # of another episode: the robot was reset and armed
            assert info["rung"][0] == PASS
        finally:
            env.close()
    except (LostError, RosError) as error:
        if any(words in str(error) for words in ("stale", "did not run", "s old")):
            raise Late from None
        raise


@pytest.mark.ros
def test_where_no_simulator_resets_the_robot_a_person_arms_it_also_after_a_stop(tmp_path, monkeypatch):
    """Nodes that already run; the person is what the training says it waits for."""
    task, policy, domain, said = get_task("pendulum"), tmp_path / "policy.isthmus", free_domain(), []
    still(task.contract).save(policy)
    monkeypatch.setattr(Link, "offers", lambda link, service: False)

    def person(line):
        said.append(line)
        link = env._link
        for call in (lambda: link.trigger("guard/reset"), link.arm):
            link.insist(call, 20.0)

    with isolated(domain) as environment:
        running = [NodeProcess(*node, environment) for node in robot_nodes(task, policy, clock="stepped", plant="mujoco").items()]
        env = RobotEnv(task, still(task.contract), attach=True, domain_id=domain, say=person)
        try:
            env.reset(seed=1)
            assert not said
            env.begin()
            assert len(said) == 1
            assert said[0].startswith("the training waits: policy/start refused: the guard is not armed")
            *_, info = env.step(np.zeros((1, 1)))
            assert info["rung"][0] == PASS
            env._link.trigger("guard/stop")
            for _ in range(3):
                *_, truncated, info = env.step(np.zeros((1, 1)))
                if truncated[0]:
                    break
            assert info["rung"][0] == STOP
            env.begin()
            assert len(said) == 2
            assert "the guard is stopped (guard/stop was called)" in said[1]
            *_, info = env.step(np.zeros((1, 1)))
            assert info["rung"][0] == PASS
        finally:
            env.close()
            assert "guard/arm: false" in running[1].log
            assert [node.end() for node in running] == [0, 0]
            for node in running:
                node.clean_up()


@pytest.mark.ros
def test_the_command_trains_on_the_robot_and_goes_on(isthmus, tmp_path):
    words = ("train", "sac", "pendulum", "--plant", "ros", "--clock", "stepped", "--learning-starts", 40, "--evaluate-every", 200)
    code, out, error = isthmus(*words, "--steps", 210, "--out", tmp_path / "run", "--traces", tmp_path / "trace")
    assert code == 0, out + error
    assert len(list(tmp_path.glob("trace-*.mcap"))) >= 1
    (evaluation, *_), wanted = (
        [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()],
        {"return", "success"},
    )
    assert wanted <= set(evaluation)
    code, out, error = isthmus(*words, "--steps", 230, "--out", tmp_path / "run", "--resume")
    assert code == 0, out + error
    assert "goes on at 210 of 230" in out
