"""The plan: as data, as files, and as processes that really start with its arguments; test_ros_launch.py has ROS's own launch."""

import ast
import dataclasses
import importlib
import importlib.util
import math
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.srv import GetParameters, ListParameters
from ros_policies import resolved_rate

from isthmus.artifact import Artifact
from isthmus.robot import load_robot
from isthmus.specification import Specification
from isthmus_bringup.arguments import ARGUMENTS, USES, read_arguments
from isthmus_bringup.parameters import KINDS, PARAMETERS, read_parameters
from isthmus_bringup.plan import CONFIG, plan
from isthmus_cli.deploy import node_graph
from isthmus_cli.deploy.command import _Ended, _watch
from isthmus_cli.deploy.node_graph import NodeGraph
from isthmus_cli.main import main
from isthmus_ros.__main__ import NODES
from isthmus_ros.evaluation.coordinator import evaluate_over_ros
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_sim.tasks import get_task

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
BRINGUP = ROOT / "ros_ws/src/isthmus_bringup"


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(get_task("reach").contract).save(path)
    return str(path)


def processes_of(use, **arguments):
    return {process.name: process for process in plan(use, arguments).processes}


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda argument: argument.name)
def test_every_argument_is_described_and_its_defaults_are_valid(argument):
    assert len(argument.description) > 10
    assert not argument.description.endswith(".")
    for use in argument.uses:
        assert argument.read(argument.default_for(use)) == argument.default_for(use)


@given(value=st.floats(allow_nan=True))
def test_numbers_out_of_range_are_refused(value):
    if 0.01 <= value <= 1:
        assert read_arguments("deploy", {"rate_scale": str(value)})["rate_scale"] == value
    else:
        with pytest.raises(ValueError, match=r"rate_scale must be a number in 0.01 … 1"):
            read_arguments("deploy", {"rate_scale": str(value)})


@pytest.mark.parametrize(
    ("use", "arguments", "sentence"),
    [
        ("fly", {}, "unknown use 'fly'"),
        ("deploy", {"polizy": "x"}, "did you mean 'policy'"),
        ("deploy", {"task": "reach", "policy": "x"}, "deploy has no argument 'task'"),
        ("deploy", {"guard": "inline"}, "deploy has no argument 'guard'"),
        ("deploy", {"plant": "mujoco"}, "deploy has no argument 'plant'"),
        ("sim", {"plant": "bullet"}, "plant must be one of 'mujoco', 'pybullet', got 'bullet'"),
        ("deploy", {"autostart": "yes"}, "autostart must be true or false, got 'yes'"),
        ("deploy", {}, "deploy needs a policy file"),
        ("sim", {}, "needs a task"),
        ("record", {}, "record needs a policy file"),
        ("identify", {"sim": "true"}, "identify needs a policy file"),
        ("identify", {"policy": "x", "task": "reach"}, "task:=reach has no use without sim:=true"),
        ("identify", {"policy": "x", "clock": "stepped"}, "clock:=stepped has no use without sim:=true"),
        ("sim", {"task": "reach", "record": "true"}, "record:=true needs a policy"),
        ("sim", {"task": "reach", "shadow": "true"}, "shadow:=true needs a policy"),
        ("sim", {"task": "reach", "monitor": "hold"}, "monitor:=hold needs a policy"),
        ("deploy", {"policy": "x", "monitor": "true"}, "monitor must be one of 'off', 'report', 'hold', 'stop', got 'true'"),
        ("deploy", {"policy": "x", "shadow": "true", "transport": "trajectory"}, "has no use with shadow:=true"),
        ("sim", {"policy": "x", "shadow": "true", "clock": "stepped"}, "shadow:=true needs clock:=wall"),
        ("sim", {"task": "reach", "params_file": "nowhere.yaml"}, "there is no parameter file"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(use, arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as refusal:
        plan(use, arguments)
    assert "\n" not in str(refusal.value)


def test_the_task_of_a_simulated_robot_is_the_policys(policy):
    assert processes_of("sim", policy=policy)["sim_node"].parameters["task"] == "reach"


def test_a_simulated_robot_can_be_alone():
    assert list(processes_of("sim", task="pendulum")) == ["sim_node"]


def test_the_guard_is_a_process_of_its_own_between_robot_and_policy(policy):
    assert list(processes_of("sim", policy=policy)) == ["sim_node", "guard_node", "policy_node"]
    assert list(processes_of("deploy", policy=policy)) == ["guard_node", "policy_node"]


def test_a_shadow_runs_without_a_guard_and_is_recorded(policy):
    planned = processes_of("deploy", policy=policy, shadow="true")
    assert list(planned) == ["record_node", "policy_node"]
    assert planned["policy_node"].parameters["shadow"] is True
    assert "shadow" not in processes_of("deploy", policy=policy)["policy_node"].parameters


def test_an_exploration_is_recorded_and_may_be_rehearsed(policy):
    assert list(processes_of("identify", policy=policy)) == ["record_node", "guard_node", "explore_node"]
    assert not plan("identify", {"policy": policy}).autostart
    stepped = processes_of("identify", policy=policy, sim="true", clock="stepped")
    assert [stepped[name].parameters["clock"] for name in ("sim_node", "guard_node", "explore_node")] == ["stepped"] * 3
    rehearsed = processes_of("identify", policy=policy, sim="true", record="false")
    assert list(rehearsed) == ["sim_node", "guard_node", "explore_node"]
    assert rehearsed["sim_node"].parameters["transport"] == rehearsed["guard_node"].parameters["transport"] == "trajectory"
    accepted = [processes_of("identify", policy=policy, sim=sim)["guard_node"].parameters.get("accept_no_deadman") for sim in (False, True)]
    assert accepted == [None, True]


@pytest.mark.parametrize(
    "name", ["policy", "robot", "transport", "shadow", "rate_scale", "use_sim_time", "robot_namespace", "joint_prefix", "log_dir"]
)
def test_every_launch_file_that_commands_a_robot_has_the_common_arguments(name):
    uses = next(argument.uses for argument in ARGUMENTS if argument.name == name)
    assert set(uses) >= {"sim", "deploy", "identify"}
    assert "evaluate" in uses or name == "shadow"  # episodes of a shadow cannot be scored


def test_nothing_of_the_control_path_waits_for_a_recorder_or_ends_with_it(policy, tmp_path):
    assert list(processes_of("record", policy=policy)) == ["record_node"]
    planned = processes_of("deploy", policy=policy, record="true", log_dir=str(tmp_path))
    assert list(planned) == ["record_node", "guard_node", "policy_node"]
    assert [(process.lifecycle, process.required) for process in planned.values()] == [(False, False), (True, True), (True, True)]
    assert planned["record_node"].parameters["folder"] == str(tmp_path)


def test_nothing_waits_for_a_monitor_which_needs_something_to_watch(policy, tmp_path):
    with pytest.raises(ValueError, match=r"monitor:=stop has nothing to watch: .* has no specification"):
        plan("deploy", {"policy": policy, "monitor": "stop"})
    artifact = dataclasses.replace(Artifact.load(policy), specification=Specification("always[0,1] (goal.x <= 1)"))
    artifact.save(tmp_path / "asked.isthmus")
    planned = processes_of("deploy", policy=str(tmp_path / "asked.isthmus"), monitor="hold")
    assert list(planned) == ["monitor_node", "guard_node", "policy_node"]
    assert (planned["monitor_node"].lifecycle, planned["monitor_node"].parameters["on_violation"]) == (False, "hold")
    assert "monitor_node" not in processes_of("deploy", policy=str(tmp_path / "asked.isthmus"))
    file = tmp_path / "watch.yaml"
    file.write_text("monitor_node: {ros__parameters: {specification: own.yaml}}")
    assert "monitor_node" in processes_of("deploy", policy=policy, monitor="hold", params_file=str(file))
    file.write_text("/**: {ros__parameters: {margin: 0.1}}")
    with pytest.raises(ValueError, match="has nothing to watch"):
        plan("deploy", {"policy": policy, "monitor": "stop", "params_file": str(file)})


@pytest.mark.parametrize(("reaction", "ends_all"), [("report", False), ("hold", True), ("stop", True)])
def test_a_motion_does_not_outlive_the_monitor_that_may_end_it(reaction, ends_all, policy, tmp_path):
    artifact = dataclasses.replace(Artifact.load(policy), specification=Specification("always[0,1] (goal.x <= 1)"))
    artifact.save(tmp_path / "asked.isthmus")
    planned = processes_of("deploy", policy=str(tmp_path / "asked.isthmus"), monitor=reaction)
    assert planned["monitor_node"].required is ends_all
    assert planned["policy_node"].parameters.get("watched", False) is ends_all


@pytest.mark.parametrize("given", [{}, {"transport": "forward_velocity"}])
def test_a_simulated_robot_listens_to_the_guards_transport(given, policy):
    planned = processes_of("sim", policy=policy, **given)
    chosen = given.get("transport", load_robot("ur5e").ros.transport)
    assert [planned[name].parameters["transport"] for name in ("sim_node", "guard_node")] == [chosen, chosen]


def test_nothing_is_activated_on_a_robot_by_default(policy):
    assert not plan("deploy", {"policy": policy}).autostart
    assert "accept_no_deadman" not in processes_of("deploy", policy=policy)["guard_node"].parameters


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"robot": "ur5x"}, "unknown robot 'ur5x'; did you mean 'ur5e'?"),
        ({"robot": "fr3"}, "the policy does not fit the robot"),
        ({"robots_dir": "no_such_folder"}, "robots_dir: there is no folder no_such_folder"),
        (
            {"robot_namespace": "robot-1"},
            "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got 'robot-1'",
        ),
        ({"robot_namespace": "7"}, "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got '7'"),
        (
            {"robot_namespace": "left//arm"},
            "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got 'left//arm'",
        ),
        ({"robot_namespace": "a__b"}, "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got 'a__b'"),
        ({"robot_namespace": "__a"}, "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got '__a'"),
        ({"robot_namespace": "a" * 200}, "robot_namespace: at most 150 letters, so that names of topics fit below it, got 201"),
    ],
)
@pytest.mark.parametrize("use", sorted(USES))
def test_a_robot_that_cannot_be_is_refused_before_anything_starts(use, arguments, sentence, policy):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        plan(use, {"policy": policy, **arguments})


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_a_switch_may_be_written_as_python_writes_it(text, policy):
    assert plan("deploy", {"policy": policy, "autostart": text}).autostart


@pytest.mark.parametrize(
    ("given", "within", "namespace"),
    [
        ({}, "/", "/"),
        ({}, "/cell", "/cell"),
        ({"robot_namespace": "left"}, "/", "/left"),
        ({"robot_namespace": "left/arm"}, "/cell", "/cell/left/arm"),
        ({"robot_namespace": "/left"}, "/cell", "/left"),
        ({"robot_namespace": "/"}, "/cell", "/"),
    ],
)
@pytest.mark.parametrize("use", sorted(USES))
def test_every_node_lives_in_the_robots_namespace(use, given, within, namespace, policy):
    """So guard/command of two robots are two topics: on commit 0188891 every node was in /."""
    planned = plan(use, {"policy": policy, **given}, within)
    assert planned.namespace == namespace
    assert {process.namespace for process in planned.processes} == {namespace}
    assert {process.full_name for process in planned.processes} == {
        f"{namespace.rstrip('/')}/{process.name}" for process in planned.processes
    }


def test_a_robot_is_never_simulated_beside_a_driver(policy):
    assert "sim_node" not in processes_of("deploy", policy=policy)


def test_own_parameters_come_after_the_shipped_ones(policy):
    words = processes_of("deploy", policy=policy)["policy_node"].ros_arguments(Path("last.yaml"))
    assert [words[index + 1] for index, word in enumerate(words) if word == "--params-file"] == [
        str(CONFIG / "policy_node.yaml"),
        "last.yaml",
    ]


def test_log_files_are_named_after_their_nodes(policy, tmp_path, monkeypatch):
    """They were python_784_….log, after the executable."""
    started = []
    monkeypatch.setattr(node_graph.subprocess, "Popen", lambda command, **_: started.append(command))
    node_graph.PlannedProcess(processes_of("deploy", policy=policy)["guard_node"], tmp_path)
    (words,) = started
    assert words[words.index("--log-file-name") + 1] == "guard_node"


class Alone:
    """Stands for a link into a domain in which nobody is."""

    def __init__(self, *_, **__):
        self.closed = 0

    def close(self):
        self.closed += 1


def listen():
    """As a node does when it has started; until then SIGINT is held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def test_if_one_process_cannot_be_started_none_is_left(policy, monkeypatch):
    """On commit a229d9e those before it stayed."""
    started, popen = [], subprocess.Popen

    def start(command, **_):
        if len(started) == 1:
            raise OSError("no more processes")
        started.append(popen(["sleep", "60"], preexec_fn=listen))
        return started[-1]

    monkeypatch.setattr(node_graph, "Link", Alone)
    monkeypatch.setattr(node_graph.subprocess, "Popen", start)
    with pytest.raises(OSError, match="no more processes"):
        NodeGraph(plan("deploy", {"policy": policy}), "/joint_states")
    assert [process.poll() for process in started] == [-signal.SIGINT]


def test_whatever_fails_on_the_way_down_no_process_is_left(policy, monkeypatch):
    started, popen = [], subprocess.Popen

    def start(command, **_):
        started.append(popen(["sleep", "60"], preexec_fn=listen))
        return started[-1]

    monkeypatch.setattr(node_graph, "Link", Alone)
    monkeypatch.setattr(node_graph.subprocess, "Popen", start)
    with pytest.raises(AttributeError), NodeGraph(plan("deploy", {"policy": policy}), "/joint_states") as graph:
        graph._active.append("policy_node")  # and the link has no services
    assert [process.poll() for process in started] == [-signal.SIGINT] * 2


@pytest.mark.parametrize("domain", ["99999", "233", "-1", "two"])
def test_a_domain_that_cannot_be_joined_is_one_sentence_and_nothing_starts(policy, monkeypatch, capfd, domain):
    """On commit a229d9e it was a traceback, and the nodes went on, or Fast DDS ended the process."""
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    monkeypatch.setattr(node_graph, "PlannedProcess", lambda *_: pytest.fail("a process was started"))
    assert main(["deploy", policy]) == 1
    said = capfd.readouterr().err
    assert f"isthmus: cannot join the ROS domain: ROS_DOMAIN_ID must be from 0 to 232, got {domain!r}" in said
    assert "Traceback" not in said


class Told:
    """A graph whose status says one thing after the other."""

    shadow = False

    def __init__(self, *words, gone=()):
        self.link, self._words, self.gone = SimpleNamespace(status={}), list(words), []
        self._gone = list(gone)

    def wait(self, seconds):
        if not self._words:
            raise _Ended
        self.link.status |= self._words.pop(0)
        self.gone += self._gone[:1]
        del self._gone[:1]


RUNNING = {"policy": "run", "stop_sequence": "-1", "rung": "pass", "armed": "true", "cause": "", "failure": ""}


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ({"rung": "stop", "stop_sequence": "70", "cause": "the joint state on /joint_states is 0.20 s old"}, "is 0.20 s old"),
        ({"rung": "stop", "cause": "emergency_stop is true, says /button"}, "emergency_stop is true, says /button"),  # before any command
        ({"failure": "the guard has executed nothing within 0.150 s of policy/start"}, "within 0.150 s of policy/start"),
        ({"stop_sequence": "70", "failure": "nobody watches the specification any more"}, "nobody watches the specification any more"),
    ],
)
def test_a_run_that_deploy_has_started_and_that_is_stopped_ends_it_with_the_reason(end, why, capfd):
    """On commit a229d9e it sat there."""
    assert not _watch(Told(RUNNING, RUNNING | end, {"policy": "idle"}), started=True, exploring=False)
    assert (said := capfd.readouterr().err).startswith("isthmus: the motion was ended: ")
    assert said.endswith(f"{why}\n")


@pytest.mark.parametrize(
    ("started", "end"), [(True, {"policy": "idle", "cause": "late"}), (False, {"policy": "idle", "rung": "stop", "stop_sequence": "70"})]
)
def test_who_stops_the_policy_or_has_started_it_elsewhere_goes_on(started, end):
    with pytest.raises(_Ended):
        _watch(Told(RUNNING, end), started=started, exploring=False)


def test_a_recorder_or_a_monitor_that_ends_is_told_once(capfd):
    with pytest.raises(_Ended):
        _watch(Told(RUNNING, {}, {}, gone=["monitor_node", "record_node"]), started=True, exploring=False)
    assert capfd.readouterr().err.splitlines() == [
        f"isthmus: {name} has ended; the others go on without it" for name in ("monitor_node", "record_node")
    ]


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_parameters_exist(file):
    said = read_parameters(file, {file.stem: f"/{file.stem}"})
    assert set(said[file.stem]) <= PARAMETERS[file.stem]


@pytest.mark.ros
@pytest.mark.parametrize("name", sorted(NODES))
def test_the_plan_knows_the_parameters_that_a_node_declares(name):
    kind = next(
        found
        for found in vars(importlib.import_module(NODES[name])).values()
        if getattr(found, "__name__", "").lower() == name.replace("_", "")
    )
    with isolated(free_domain()):
        rclpy.init(args=["--ros-args", "-p", "autostart:=false"])
        try:
            node = kind()
            declared = {found for found in node.list_parameters([], 0).names if not found.startswith(("use_sim_time", "start_type"))}
            for parameter in declared:
                agree(node, KINDS[parameter])
            node.destroy_node()
        finally:
            rclpy.shutdown()
    assert declared == PARAMETERS[name]


def agree(node, argument):
    """The type and the range that a node declares are those of the plan's table."""
    declared, descriptor = node.get_parameter(argument.name), node.describe_parameter(argument.name)
    expected = list if isinstance(argument.default, tuple) else type(argument.default)
    assert type(declared.value) is expected, argument.name
    ranges = [(limit.from_value, limit.to_value) for limit in (*descriptor.floating_point_range, *descriptor.integer_range)]
    assert ranges in ([], [(argument.low, argument.high)]), argument.name
    assert ranges or argument.low == -math.inf, argument.name
    if declared.value in argument.choices:
        assert argument.read(declared.value) == declared.value


def test_there_is_a_launch_file_for_each_use():
    assert {file.name.removesuffix(".launch.py") for file in FILES} == set(USES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_launch_files_only_translate(file):
    text = file.read_text(encoding="utf-8")
    compile(text, str(file), "exec")
    assert len(text.splitlines()) < 40
    imported = {node.module.partition(".")[0] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"launch", "launch_ros", "isthmus_bringup"}
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]


def test_the_launch_folder_does_not_hide_the_library():
    assert not (ROOT / "launch/__init__.py").exists()


def test_packages_are_described_completely():
    for package in ("isthmus_ros", "isthmus_bringup"):
        root = ElementTree.parse(BRINGUP.parent / package / "package.xml").getroot()
        assert root.get("format") == "3"
        assert root.findtext("name") == package
        assert root.findtext("license") == "Apache-2.0"
        assert re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", root.find("maintainer").get("email"))
        assert (BRINGUP.parent / package / "resource" / package).is_file()
        declared = {dependency.text for dependency in root.iter("exec_depend")}
        assert ros_imports((BRINGUP.parent / package / package).glob("*.py")) <= declared


def ros_imports(files):
    """ROS packages that modules import."""
    pattern = re.compile(r"^\s*(?:from|import) (rclpy|launch|launch_ros|\w+_msgs|\w+_srvs|\w+_interfaces)\b", re.MULTILINE)
    return {name for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))}


def test_launch_files_and_configuration_are_installed_from_their_top_level_folders():
    for folder in ("launch", "config"):
        assert (BRINGUP / folder).resolve() == ROOT / folder
    assert texts_of(CONFIG) == texts_of(ROOT / "config") != {}


def texts_of(folder):
    return {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.yaml")}


def test_executables_are_installed_by_their_package(policy):
    scripts = (BRINGUP.parent / "isthmus_ros/setup.py").read_text(encoding="utf-8")
    for process in (*processes_of("sim", policy=policy, record="true").values(), *processes_of("identify", policy=policy).values()):
        assert importlib.util.find_spec(NODES[process.executable])
        assert f"{process.executable} = isthmus_ros.__main__:script" in scripts


@pytest.mark.ros
def test_planned_processes_start_with_the_planned_parameters_and_end_after_two_sigints(policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = plan("sim", {"policy": policy, "rate_scale": 0.5, "record": True})
    with isolated(free_domain()), NodeGraph(planned, "/joint_states") as graph:
        graph.up()
        for process in planned.processes:
            wanted = dict(process.parameters)
            for file in process.parameters_files:
                wanted = {**yaml.safe_load(file.read_text(encoding="utf-8"))["/**"]["ros__parameters"], **wanted}
            assert parameters_of(graph.link, process.full_name, wanted) == wanted
        for _ in range(2):
            for process in graph.processes:
                process.interrupt()
            time.sleep(0.05)
        assert [process.end() for process in graph.processes] == [0] * len(planned.processes)
    assert not graph.failures
    assert [file.name for file in tmp_path.glob("recordings/*/metadata.yaml")] == ["metadata.yaml"]


@pytest.mark.ros
def test_a_signal_to_all_processes_in_motion_ends_at_rest(policy):
    """Ctrl-C in the terminal of `ros2 launch` reaches every process at once."""
    planned = plan("sim", {"policy": policy})
    contract = get_task("reach").contract
    with isolated(free_domain()), NodeGraph(planned, "/joint_states") as graph:
        link = graph.link
        graph.up()
        link.publish_input(contract.signal("goal"), [0.3, -0.3, 0.3], "base_link")
        graph.link.insist(graph.link.arm, 10.0)
        graph.link.insist(lambda: link.trigger("policy/start"), 10.0)
        link.until(lambda: link.status["policy"] == "run" and speed(link) > 0.2, 10.0, f"no motion: {link.status}")
        for process in graph.processes:
            process.interrupt()
        end = time.monotonic() + 15
        while None in [process.exit_code for process in graph.processes] and time.monotonic() < end:
            link.spin(0.1)
        assert [process.exit_code for process in graph.processes] == [0] * len(planned.processes)
        assert speed(link) < load_robot("ur5e").monitors.standstill


def speed(link):
    """Of the fastest joint in the newest state, rad/s; 0 before the first."""
    return max(map(abs, link.states[max(link.states)].velocity)) if link.states else 0.0


@pytest.mark.ros
def test_an_evaluation_attaches_to_the_planned_nodes(policy):
    domain = free_domain()
    planned = plan("evaluate", {"policy": policy, "clock": "stepped"})
    with isolated(domain), NodeGraph(planned, "/joint_states") as graph:
        result = evaluate_over_ros(get_task("reach"), Path(policy), [3], attach=True, clock="wall", domain_id=domain)
    assert result.clock == "stepped", "the clock is that of the nodes, whatever is asked for"
    assert [episode.stopped_by_guard for episode in result.episodes] == [""]
    assert result.episodes[0].success
    assert not graph.failures


def parameters_of(link, node, names):
    """Values of a node's parameters; what it has not declared is missing."""
    declared = link.call(ListParameters, f"{node}/list_parameters", ListParameters.Request()).result.names
    asked = [name for name in names if name in declared]
    answer = link.call(GetParameters, f"{node}/get_parameters", GetParameters.Request(names=asked)).values
    fields = ("", "bool_value", "integer_value", "double_value", "string_value", "", "", "", "", "string_array_value")
    values = [getattr(value, fields[value.type]) for value in answer]
    return {name: list(value) if isinstance(value, list) else value for name, value in zip(asked, values, strict=True)}


@pytest.mark.ros
def test_deploy_starts_a_policy_and_comes_down_after_two_sigints(policy):
    run = "import sys; from isthmus_cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "deploy", policy, "--sim", "--start", "--inputs", "goal=0.1,-0.5,0.5"]
    with isolated(free_domain()) as environment:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            told = []
            for line in process.stdout:
                told.append(line)
                if "policy run" in line:
                    break
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                time.sleep(0.1)
            told += process.stdout.readlines()
            assert process.wait(30) == 0, told
        finally:
            process.kill()
    assert any("policy run" in line for line in told), told
    assert not any("guard/arm refused: the robot moves" in line for line in told), told


def test_deploy_refuses_before_anything_starts(policy, capsys):
    assert main(["deploy", policy, "--sim", "--start"]) == 2
    assert "--start needs a value of input 'goal'" in capsys.readouterr().err
    assert main(["deploy", policy, "--sim", "--inputs", "goal=1,2"]) == 2
    assert "input 'goal': must have 3 elements (x, y, z), got 2" in capsys.readouterr().err
    assert main(["deploy", policy, "--sim", "--start", "--inputs", "goal=0.1,5,0.4"]) == 2
    assert "input 'goal': y must be from " in (said := capsys.readouterr().err)
    assert "m, got 5 m" in said
    assert main(["deploy", policy, "--sim", "--start", "--inputs", "goal=0.1,nan,0.4"]) == 2
    assert "input 'goal': y must be finite, got nan" in capsys.readouterr().err
    assert main(["deploy", policy, "--sim", "--inputs", "goal=0.1,-0.5,0.5", "goal=0.1,-0.5,0.4"]) == 2
    assert "input 'goal' is given twice, the second time as 'goal=0.1,-0.5,0.4'" in capsys.readouterr().err
    assert main(["deploy", "--inputs", "goal=0.1,-0.5,0.5"]) == 2
    assert "name a policy file; only isthmus deploy --sim brings its own" in capsys.readouterr().err
    assert main(["deploy", "--sim", "--start"]) == 2  # with the policy that comes with isthmus
    assert "--start needs a value of input 'goal'" in capsys.readouterr().err
    assert main(["deploy", policy, "--task", "reach"]) == 2
    assert "--task has no use without --sim" in capsys.readouterr().err
    assert main(["deploy", policy, "--clock", "wall"]) == 2
    assert "--clock has no use without --sim" in capsys.readouterr().err
    assert main(["deploy", policy, "--sim", "--joint-prefix", "left "]) == 2
    assert "joint_prefix: no spaces, got 'left '" in capsys.readouterr().err
    for option in ("--log-dir", "--traces"):
        assert main(["deploy", policy, "--sim", option, f"{policy}/run/x"]) == 2
        assert f"cannot write into {policy}/run" in capsys.readouterr().err
