"""The launch files under ROS's own launch, where that is installed: what starts is what is planned, and an end that went wrong has exit code 1."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy")

from ros_policies import resolved_rate

from isthmus_bringup.plan import plan
from isthmus_ros.evaluation.processes import free_domain, isolated
from isthmus_sim.tasks import get_task

ROOT = Path(__file__).parents[2]


def real_launch():
    """ROS's own launch: the folder of the same name in this checkout can be imported too, as an empty namespace."""
    try:
        import launch
    except ModuleNotFoundError:
        return False
    return hasattr(launch, "LaunchDescription")


pytestmark = [
    pytest.mark.ros,
    pytest.mark.ros_launch,
    pytest.mark.skipif(not real_launch(), reason="ROS's launch library is not installed"),
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.isthmus"
    resolved_rate(get_task("reach").contract).save(path)
    return str(path)


def launched(use, arguments, **told):
    """What `launch_record.py` wrote of a launch."""
    with isolated(free_domain()) as environment:
        result = subprocess.run(
            [
                sys.executable,
                str(ROOT / "tests/ros/launch_record.py"),
                str(ROOT / f"launch/{use}.launch.py"),
                *(f"{name}:={value}" for name, value in arguments.items()),
            ],
            env={**environment, **{f"ISTHMUS_{name.upper()}": value for name, value in told.items()}},
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
    return yaml.safe_load(result.stdout) | {"said": result.stderr}


@pytest.mark.parametrize(
    ("use", "arguments", "pushed"),
    [
        ("sim", {"rate_scale": "0.5", "robot_namespace": "arm"}, ""),
        ("sim", {"transport": "forward_velocity", "autostart": "True"}, "cell"),
        ("sim", {"robot_namespace": "arm"}, "cell"),
        ("deploy", {"robot": "ur5e", "log_dir": "log", "record": "true"}, ""),
        ("record", {}, ""),
        ("identify", {"sim": "true"}, ""),
        ("evaluate", {"clock": "stepped"}, ""),
    ],
)
def test_launch_starts_what_is_planned(use, arguments, pushed, policy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {"policy": policy, **arguments}
    planned = plan(use, arguments, f"/{pushed}")
    managed = [process.full_name for process in planned.processes if process.lifecycle]
    record = launched(use, arguments, pushed=pushed, awaited=managed[-1] if planned.autostart else "")
    assert [Path(command["words"][0]).name for command in record["started"]] == [process.executable for process in planned.processes]
    for command, process in zip(record["started"], planned.processes, strict=True):
        *_, own = (word for word in command["words"] if word.startswith("/") and "launch_params_" in word)
        assert command["words"][1:] == process.ros_arguments(Path(own))
        assert yaml.safe_load(command["files"][own]) == yaml.safe_load(process.parameters_yaml())
        assert all(command["environment"][name] == value for name, value in process.environment.items())
    if planned.autostart:  # else nobody is told, though a simulated robot may bring itself up
        assert list(dict.fromkeys(map(tuple, record["reached"]))) == [(name, state) for name in managed for state in ("inactive", "active")]
    assert record["exit_codes"] == [0] * len(planned.processes)
    assert record["exit_code"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"rate_scaling": "0.1"}, "deploy has no argument 'rate_scaling'; did you mean 'rate_scale'?"),
        ({"robot": "ur5x"}, "unknown robot 'ur5x'; did you mean 'ur5e'?"),
        (
            {"robot_namespace": "robot-1"},
            "robot_namespace: letters, digits and _ only, no digit first and no two _ in a row, got 'robot-1'",
        ),
        ({"params_file": "/nowhere.yaml"}, "there is no parameter file /nowhere.yaml"),
    ],
)
def test_what_cannot_be_planned_starts_nothing_and_ends_with_exit_code_1(arguments, sentence, policy):
    """On commit 0188891 the misspelt argument was ignored."""
    record = launched("deploy", {"policy": policy, **arguments})
    assert sentence in record["said"]
    assert (record["started"], record["exit_code"]) == ([], 1)


def test_what_an_including_file_declares_is_its_own(policy):
    record = launched("record", {"policy": policy, "robot_ip": "192.0.2.1"}, declared="robot_ip")
    assert (len(record["started"]), record["exit_code"]) == (1, 0)


def test_a_node_that_is_killed_ends_all_with_exit_code_1(policy):
    """On commit 0188891 the exit code was 0."""
    record = launched("sim", {"policy": policy}, awaited="/policy_node", killed="guard_node")
    assert sorted(record["exit_codes"]) == [-9, 0, 0]
    assert record["exit_code"] == 1


def test_a_refused_configuration_ends_all_with_exit_code_1(policy, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("guard_node: {ros__parameters: {stamp_check: perhaps}}")
    record = launched("sim", {"policy": policy, "params_file": str(file)}, awaited="/policy_node")
    assert "stamp_check must be one of" in record["said"]
    assert (record["exit_codes"], record["exit_code"]) == ([0, 0, 0], 1)
