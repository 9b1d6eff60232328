"""How a node ends: at rest, with code 0 after a signal and 1 after an error. On commit 0188891 an exception in a callback ended it at once."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically

from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.evaluation.processes import free_domain, isolated

NODE = """
import sys
from std_srvs.srv import Trigger
from isthmus_ros.common.lifecycle import CarefulNode
from isthmus_ros.common.spin import run_node

class Moving(CarefulNode):
    "Brakes for five turns, in which its callback fails again."

    def __init__(self):
        super().__init__("moving")
        self.left, self.fault = 5, sys.argv[1]
        self.create_timer(0.05, self.tick)
        print("made", flush=True)

    def tick(self):
        if self.fault in ("callback", "rest"):
            raise KeyError("elbow")

    def rest(self):
        if self.fault == "rest":
            raise ValueError("no state")
        self.left -= 1
        print("braking", self.left, flush=True)
        return self.left == 0

    def give_up(self, cause):
        print("gave up:", cause, flush=True)

sys.exit(run_node(Moving, []))
"""


def ended(fault, signals=()):
    """Exit code and output of the node."""
    with isolated(free_domain()) as environment:
        process = subprocess.Popen(
            [sys.executable, "-c", NODE, fault], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        first = process.stdout.readline()
        for number in signals:
            process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
        return process.returncode, first + rest


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM], [signal.SIGHUP], [signal.SIGQUIT]]
    + [[number] for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGXCPU, signal.SIGRTMIN)],
)
def test_a_signal_ends_a_node_at_rest_with_code_0(signals):
    code, said = ended("", signals)
    assert (code, said.count("braking")) == (0, 5), said


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGTTOU])
def test_a_node_is_not_paused_from_its_terminal(number):
    """Ctrl-Z stopped guard and policy, and the arm went on."""
    with isolated(free_domain()) as environment:
        process = subprocess.Popen(
            [sys.executable, "-c", NODE, ""], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        process.stdout.readline()
        process.send_signal(number)
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert "a node is not paused (Ctrl-Z)" in said
    assert (process.returncode, rest.count("braking")) == (0, 5)


def test_nohup_keeps_a_node_when_its_terminal_closes():
    with isolated(free_domain()) as environment:
        command = ["nohup", sys.executable, "-c", NODE, ""]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while "made" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["guard_node", "policy_node"])
def test_a_signal_while_a_node_starts_is_a_quiet_end(name):
    """It was a traceback, and exit code -2."""
    with isolated(free_domain()) as environment:
        process = subprocess.Popen(
            [sys.executable, "-m", "isthmus_ros", name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        memory = Path(f"/proc/{process.pid}/maps")
        while "numpy" not in memory.read_text():  # it is importing
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")


def test_an_exception_in_a_callback_brakes_first_and_ends_with_code_1():
    code, said = ended("callback")
    assert (code, said.count("braking")) == (1, 5), said
    assert said.count("a callback failed, so this node brakes and ends: KeyError('elbow')") == 1


def test_a_node_that_cannot_come_to_rest_gives_up_at_once():
    code, said = ended("rest")
    assert code == 1
    assert said.count("gave up: coming to rest failed: ValueError('no state')") == 1


@pytest.mark.parametrize(
    ("node", "parameter"), [("guard_node", "rate_scale:=fast"), ("policy_node", "max_steps:=-1"), ("explore_node", "camera_timeout:=9.0")]
)
def test_a_parameter_of_another_type_or_out_of_range_is_one_line(node, parameter):
    with isolated(free_domain()) as environment:
        command = [sys.executable, "-m", "isthmus_ros", node, "--ros-args", "-p", parameter]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert parameter.partition(":")[0] in result.stderr
    assert "Traceback" not in result.stderr


def test_parameter_services_refuse_what_is_too_long_or_cannot_be_understood():
    """On 2ac73ae a request of 100,000 names held the guard up for seconds in motion, and a type that does not exist ended it."""
    with rclpy.init(domain_id=free_domain()):
        node = CarefulNode("careful")
        try:
            answers = {service.srv_name.rpartition("/")[2]: service.callback for service in node.services}
            odd = Parameter(name="use_sim_time", value=ParameterValue(type=42))
            (result,) = answers["set_parameters"](SetParameters.Request(parameters=[odd]), SetParameters.Response()).results
            assert (result.successful, "42" in result.reason) == (False, True)
            result = answers["set_parameters_atomically"](
                SetParametersAtomically.Request(parameters=[odd]), SetParametersAtomically.Response()
            ).result
            assert (result.successful, "42" in result.reason) == (False, True)
            asked = GetParameters.Request(names=["use_sim_time"] * 1001)
            assert answers["get_parameters"](asked, GetParameters.Response()).values == []
            (result,) = answers["set_parameters"](SetParameters.Request(parameters=[odd] * 1001), SetParameters.Response()).results
            assert result.reason == "a request may have 100 entries, not 1001"
            asked.names = ["use_sim_time"]
            assert answers["get_parameters"](asked, GetParameters.Response()).values[0].type == 1
        finally:
            node.destroy_node()


def test_what_cannot_be_activated_yet_is_a_warning_at_first(capfd, monkeypatch):
    """Launchers try again; red lines in every healthy start teach people to ignore them."""
    import rclpy

    from isthmus_ros.common.lifecycle import CarefulNode

    class Node(CarefulNode):
        def configure(self):
            pass

        def activate(self):
            raise ValueError("no joint state was received")

    now = 100.0
    monkeypatch.setattr("isthmus_ros.common.lifecycle.time.monotonic", lambda: now)
    with isolated(free_domain()):
        rclpy.init()
        node = Node("early")
        node.on_configure(None)
        for now in (100.1, 104.9, 105.1, 106.0):  # noqa: B007
            node.on_activate(None)
        node.destroy_node()
        rclpy.shutdown()
    said = [line for line in capfd.readouterr().err.splitlines() if "[early]: " in line]
    assert [(line.split("]")[0], line.partition("[early]: ")[2]) for line in said] == [
        ("[WARN", "cannot activate yet: no joint state was received"),
        ("[ERROR", "cannot activate: no joint state was received"),
    ]


def test_what_is_done_is_a_line_of_the_log_and_what_is_refused_again_is_none(capfd):
    """On commit 0188891 a service that did as asked left no line; on a229d9e a refusal with a number in it was a line each time."""
    import rclpy
    from std_srvs.srv import SetBool

    from isthmus_ros.common.lifecycle import CarefulNode

    class Node(CarefulNode):
        def published(self):
            pass

        def activate(self):
            raise ValueError(f"the joint state is {next(ages)} s old")

    ages = iter(["0.2", "0.7", "1.2"])
    answers = iter(["elbow moves at 0.2 rad/s", "elbow moves at 0.1 rad/s", "", "", "elbow moves at 0.3 rad/s"])
    with isolated(free_domain()):
        rclpy.init()
        node = Node("guarded")
        offered = []
        node.create_service = lambda kind, name, answer: offered.append(answer)
        node.serve(SetBool, "guard/arm", lambda request: next(answers))
        responses = [offered[0](SetBool.Request(data=True), SetBool.Response()) for _ in range(5)]
        for _ in range(3):
            node.on_activate(None)
        for state in ("pass", "hold: late", "hold: late", "pass"):
            node.say_change("rung", state, "warning" if state != "pass" else "info")
        node.destroy_node()
        rclpy.shutdown()
    assert [response.success for response in responses] == [False, False, True, True, False]
    said = [line.partition("[guarded]: ")[2] for line in capfd.readouterr().err.splitlines() if "[guarded]: " in line]
    refused = "guard/arm refused: elbow moves at {} rad/s"
    assert said == [
        refused.format(0.2),
        "guard/arm: true",
        "guard/arm: true",
        refused.format(0.3),
        "cannot activate: the joint state is 0.2 s old",
        "pass",
        "hold: late",
        "pass",
    ]


@pytest.mark.ros
def test_of_a_silent_robot_nobody_waits_for_standstill(tmp_path):
    """On commit 0188891 coming down took 30 s and 52 lines."""
    from ros_policies import resolved_rate

    from isthmus_bringup.plan import plan
    from isthmus_cli.deploy.node_graph import NodeGraph
    from isthmus_sim.tasks import get_task

    contract = get_task("reach").contract
    policy = tmp_path / "policy.isthmus"
    resolved_rate(contract).save(policy)
    with isolated(free_domain()), NodeGraph(plan("sim", {"policy": str(policy)}), "/joint_states") as graph:
        link = graph.link
        graph.up()
        link.publish_input(contract.signal("goal"), [0.3, -0.3, 0.3], "base_link")
        graph.link.insist(graph.link.arm, 10.0)
        graph.link.insist(lambda: link.trigger("policy/start"), 10.0)
        link.until(lambda: bool(link.states) and max(map(abs, link.states[max(link.states)].velocity)) > 0.2, 10.0, "no motion")
        graph.processes[0]._process.kill()
        link.spin(0.5)
    assert [failure for failure in graph.failures if "state is unknown: nothing on /joint_states for" in failure] == graph.failures[:1]
    assert len(graph.failures) == 1


def test_a_signal_that_somebody_listens_to_already_stays_his():
    heard = (
        "import os, signal\nfrom isthmus_ros.common import signals\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard'))\nsignals.listen()\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\nprint(signals.ENDED.is_set())\n"
        "os.kill(os.getpid(), signal.SIGUSR2)\nprint(signals.ENDED.is_set())"
    )
    done = subprocess.run([sys.executable, "-c", heard], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["heard", "False", "True"]


def test_signals_that_come_within_each_other_end_a_node_and_do_not_stop_it_for_ever():
    """A policy_node whose parent died as Ctrl-C came waited for a lock of its own; what heard signals was an Event."""
    listens = (
        "import time\nfrom isthmus_ros.common import signals\nsignals.listen()\nprint('listens', flush=True)\n"
        "end = time.monotonic() + 1.5\nwhile time.monotonic() < end:\n    pass\nprint(signals.ENDED.is_set())"
    )
    process = subprocess.Popen([sys.executable, "-c", listens], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    for _ in range(3000):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.0002)
    assert process.communicate(timeout=60) == ("True\n", None)
