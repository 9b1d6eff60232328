"""The commands of the page about the first hour, and an operator who types them where there is no `ros2`."""

import importlib
import re
import shlex
import time
from pathlib import Path

import rclpy
import yaml
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from ros_bench import fastest, in_time

from isthmus.robot import load_robot
from isthmus_bringup.plan import plan
from isthmus_cli.deploy.node_graph import NodeGraph
from isthmus_cli.main import main
from isthmus_ros.common.spin import executor, leave
from isthmus_ros.evaluation.link import Link
from isthmus_ros.evaluation.processes import RosError
from isthmus_sim.tasks import get_task

ROOT = Path(__file__).parents[2]
ROBOT = load_robot("ur5e")
REST = ROBOT.monitors.standstill  # rad/s
LIMITS = get_task("reach").contract.limits.tightest(ROBOT.limits()).velocity  # rad/s
PATIENCE = 15.0  # s
KEPT = 0.1  # s that `ros2 topic pub -1` stays after its message
ONLY_THERE = {
    "ros2 topic hz": "a simulated robot says its state at most 100 times a second, whatever the profile says",
    "ros2 control list_controllers": "a simulated robot has no controller manager",
}
"""Commands of the page that nothing here stands for, and why."""


def section():
    """The page from its first hour on."""
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    return page.partition("\n## The first hour on a robot\n")[2].partition("\n## ")[0]


def steps():
    """Title of a step → its commands, each as its words."""
    found = {}
    for part in section().split("\n### ")[1:]:
        title, _, body = part.partition("\n")
        lines = "".join(re.findall(r"^```\n(.*?)^```", body, re.MULTILINE | re.DOTALL)).splitlines()
        found[title] = [command for line in lines for command in commands_of(line)]
    return found


def commands_of(line):
    """The commands of a line of a shell, without its comment."""
    words = shlex.split(line, comments=True)
    ends = [index for index, word in enumerate(words) if word == "&&"]
    return [words[begin:end] for begin, end in zip([0, *(end + 1 for end in ends)], [*ends, len(words)], strict=True)]


def refusals():
    """What a node says when it refuses, from the table of the page → the pattern of it."""
    table = section().partition("\n### When it refuses\n")[2]
    said = re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE)
    return {sentence: ".*".join(map(re.escape, sentence.split("…"))) for sentence in said}


class Operator:
    """Does what the page says, one command after the other, and looks whether what it promises comes true.

    Attributes:
        link: what the operator sees and calls.
    """

    def __init__(self, domain):
        self._domain, self._watched = domain, []
        self._graph, self._arguments = None, {}
        self.link = Link("/joint_states", domain, self._watched)
        self.known = {
            "isthmus": self._isthmus,
            "ros2 launch isthmus_bringup": self._launch,
            "ros2 lifecycle set": self._change,
            "ros2 service call": self._call,
            "ros2 topic pub": self._publish,
            "ros2 topic info -v": self._count,
            "ros2 topic echo": self._hear,
            **{command: lambda words: None for command in ONLY_THERE},
        }

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._watched.clear()
        if self._graph is not None:
            self._graph.down()
        self.link.close()

    def action(self, words):
        """What stands for a command, and the words left for it."""
        for known, action in self.known.items():
            if words[: len(known.split())] == known.split():
                return action, words[len(known.split()) :]
        raise AssertionError(f"the page says {shlex.join(words)}, and nothing here stands for that; known: {', '.join(self.known)}")

    def do(self, *commands):
        for words in commands:
            action, rest = self.action(words)
            action(rest)

    def interrupt(self):
        """Ctrl-C in the terminal of the launch: each process ends well, and the arm rests."""
        graph, self._graph = self._graph, None
        self._watched.clear()
        for process in graph.processes:
            process.interrupt()
        self.wait(lambda: all(process.exit_code is not None for process in graph.processes), "the end of all processes")
        codes = {process.name: process.exit_code for process in graph.processes}
        graph.down()
        assert set(codes.values()) == {0}, codes
        self.rests()

    def wait(self, condition, what):
        try:
            self.link.until(condition, PATIENCE, f"timed out: {what}")
        except RosError as error:
            in_time(self.link.status.get("cause", ""))
            raise AssertionError(f"{error}; status {self.link.status}") from None

    def insist(self, call):
        """Repeat a call for as long as it is refused, and no longer than an operator would."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return call()
            except RosError:
                if time.monotonic() > end:
                    in_time(self.link.status.get("cause", ""))
                    raise
            self.link.spin(0.1)

    def refused(self, call, sentence, undo=None):
        """Whether a call is refused with this sentence, if not at once then soon: what a node has heard takes its time.

        Args:
            call: raises a RosError if it is refused.
            sentence: pattern of the refusal.
            undo: what to do if it was accepted, or refused for what came before; without it, it must never be accepted.
        """
        end = time.monotonic() + PATIENCE
        while True:
            try:
                call()
            except RosError as error:
                said = str(error)
                if re.search(sentence, said):
                    return
            else:
                said = "nothing"
                assert undo, f"accepted, and not refused with {sentence!r}"
            if undo:
                undo()
            assert time.monotonic() < end, f"it says {said!r}, the page {sentence!r}"
            self.link.spin(0.1)

    @property
    def speed(self):
        """Of the fastest joint in the newest state, rad/s."""
        states = self.link.states
        return fastest(states[max(states)]) if states else 0.0

    def moves(self):
        """The policy runs, and some joint is faster than half of what this launch allows."""
        least = 0.5 * float(self._arguments["rate_scale"]) * max(LIMITS)
        self.wait(lambda: self.link.status.get("policy") == "run" and self.speed > least, "motion")

    def rests(self):
        """The arm comes to rest and stays."""
        self.link.forget()
        self.wait(lambda: self.link.states and self.speed < REST, "rest")
        self.link.forget()
        self.link.spin(0.5)
        speeds = [fastest(state) for state in self.link.states.values()]
        assert speeds
        assert max(speeds) < 2 * REST

    def latched(self):
        """The arm rests, and neither starts nor is armed."""
        self.rests()
        self.wait(lambda: self.link.status["policy"] == "idle" and self.link.status["rung"] == "stop", "a stop that is told")
        self.refused(lambda: self.link.trigger("policy/start"), r"the guard is stopped|call guard/reset")
        self.refused(self.link.arm, r"the guard is stopped \(.+\); call guard/reset first|emergency_stop is true")

    def _isthmus(self, words):
        assert main(words) == 0, words

    def _launch(self, words):
        if self._graph is not None:
            self.interrupt()
        file, *given = words
        assert (ROOT / "launch" / file).is_file(), file
        self._arguments = dict(word.split(":=", 1) for word in given)
        self.link.close()  # as a new terminal: a client that knew the nodes before may miss the answers of the new ones
        self.link = Link("/joint_states", self._domain, self._watched)
        self._graph = NodeGraph(plan(file.removesuffix(".launch.py"), self._arguments), "/joint_states")
        self._watched[:] = self._graph.processes
        if self._graph.plan.autostart:
            self._graph.up()

    def _change(self, words):
        node, transition = words
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")

        def change():
            if not self.link.transition(node, number):
                raise RosError(f"{node} refused to {transition}")

        self.insist(change)

    def _call(self, words):
        name, kind, *content = words
        service = imported(kind)
        request = filled(service.Request(), yaml.safe_load(content[0]) if content else {})

        def call():
            response = self.link.call(service, name, request)
            if not response.success:
                raise RosError(response.message)

        self.insist(call)
        if name == "/policy/start" and not self._graph.shadow:
            self.moves()
        if name == "/policy/stop":
            self.rests()
            self.wait(lambda: self.link.status["policy"] == "idle", "a policy that is told to be idle")
        if name == "/guard/stop":
            self.latched()
        if name == "/guard/reset":
            self.refused(lambda: self.link.trigger("policy/start"), "the guard is not armed; call guard/arm first")

    def _publish(self, words):
        """As `ros2 topic pub` does: a node of its own, which waits for listeners, says it and goes."""
        options, (topic, kind, content) = words[:-3], words[-3:]
        assert options.pop(0) == "-1"
        given = dict(zip(options[::2], options[1::2], strict=True))
        assert given.keys() <= {"-w", "--qos-durability", "--node-name", "--keep-alive"}, given
        context = rclpy.Context()
        rclpy.init(args=[], context=context, domain_id=self._domain, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node(given.get("--node-name", "ros2cli"), context=context)
        spinner = executor(context)
        spinner.add_node(node)
        message = filled(imported(kind)(), yaml.safe_load(content))
        durability = DurabilityPolicy[given.get("--qos-durability", "volatile").upper()]
        publisher = node.create_publisher(type(message), topic, QoSProfile(depth=10, durability=durability))
        try:
            self.wait(lambda: publisher.get_subscription_count() >= int(given.get("-w", 1)), f"{topic} is heard")
            publisher.publish(message)
            time.sleep(float(given.get("--keep-alive", KEPT)))
        finally:
            leave(spinner, node)
        if topic == "/emergency_stop" and message.data:
            self.latched()
            self.refused(lambda: self.link.trigger("guard/reset"), "the cause is still there: emergency_stop is true, sa[iy]")

    def _count(self, words):
        (topic,) = words
        node = self.link._node
        self.wait(lambda: node.count_subscribers(topic) == 1, f"one subscription of {topic}")
        assert node.count_publishers(topic) == 0

    def _hear(self, words):
        (topic,) = words
        assert topic == "/policy/status"
        self.wait(lambda: self.link.status.get("opinion"), "an opinion of the guard")


def imported(kind):
    """The class of an interface such as std_srvs/srv/Trigger."""
    package, family, name = kind.split("/")
    return getattr(importlib.import_module(f"{package}.{family}"), name)


def filled(message, values):
    """A message with these values, as `ros2` reads them from YAML."""
    for name, value in values.items():
        if isinstance(value, dict):
            filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message
