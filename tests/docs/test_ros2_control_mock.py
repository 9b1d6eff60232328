"""`examples/ros2_control_mock`: what can be told without Docker and ROS. Profile, description, controllers and launch file agree."""

import ast
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from isthmus.robot import load_robot
from isthmus_sim.tasks import get_task

FOLDER = Path(__file__).parents[2] / "examples" / "ros2_control_mock"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "mock"
    done = subprocess.run([sys.executable, FOLDER / "prepare.py", folder], capture_output=True, text=True, check=True)
    assert str(folder / "robots") in done.stdout
    return folder


def test_the_profile_is_the_shipped_one_behind_other_topics(prepared):
    robot, shipped = load_robot("ur5e", [prepared / "robots"]), load_robot("ur5e")
    assert Path(robot.folder) == prepared / "robots" / "ur5e"
    assert (robot.joints, robot.monitors, robot.tool_frame) == (shipped.joints, shipped.monitors, shipped.tool_frame)
    assert (robot.ros.speed_scaling, robot.ros.program_running, robot.ros.stop_services) == (None, "", ())
    assert get_task("reach").contract.fits(robot) == []


def test_its_topics_are_those_of_the_controllers_whose_joints_are_its_own(prepared):
    robot = load_robot("ur5e", [prepared / "robots"])
    controllers = yaml.safe_load((FOLDER / "controllers.yaml").read_text(encoding="utf-8"))
    declared = controllers["/**/controller_manager"]["ros__parameters"]
    assert declared["update_rate"] == robot.ros.state_rate
    for topic in (*robot.ros.command_topics.values(), *robot.ros.transports.values()):
        name = topic.partition("/")[0]
        assert name in declared
        assert controllers[f"/**/{name}"]["ros__parameters"]["joints"] == list(robot.joint_names)
    assert f'"{robot.ros.transports[robot.ros.transport].partition("/")[0]}"' in (FOLDER / "mock.launch.py").read_text(encoding="utf-8")


def test_the_mock_hardware_begins_in_the_home_pose(prepared):
    robot = load_robot("ur5e", [prepared / "robots"])
    system = ElementTree.parse(prepared / "mock.urdf").find("ros2_control")
    assert system.findtext("hardware/plugin") == "mock_components/GenericSystem"
    begins = {
        joint.get("name"): [(state.get("name"), float(state.findtext("param"))) for state in joint.iter("state_interface")]
        for joint in system.iter("joint")
    }
    assert begins == {joint.name: [("position", joint.home), ("velocity", 0.0)] for joint in robot.joints}


def test_the_other_files_can_be_read_and_say_that_they_were_not_run():
    tree = ast.parse((FOLDER / "mock.launch.py").read_text(encoding="utf-8"))
    imported = {node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"launch", "launch_ros", "pathlib"}
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert {name: service["profiles"] for name, service in services.items()} == {"mock": ["mock"], "ursim": ["ursim"], "driver": ["ursim"]}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "Not run here" in readme
    for file in FOLDER.iterdir():
        assert file.name == "README.md" or file.is_dir() or f"`{file.name}`" in readme
        if file.suffix in (".yaml", ".py") and file.name not in ("ros.yaml", "prepare.py"):
            assert "Not run." in file.read_text(encoding="utf-8")
