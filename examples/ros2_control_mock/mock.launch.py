"""A robot on ros2_control's mock hardware: `ros2 launch mock.launch.py description:=/…/mock.urdf`. Not run."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONTROLLERS = str(Path(__file__).with_name("controllers.yaml"))


def nodes(context: LaunchContext) -> list[Node]:
    """Whoever publishes the description, the hardware, and the two controllers."""
    description = Path(LaunchConfiguration("description").perform(context)).read_text(encoding="utf-8")
    names = ["joint_state_broadcaster", "joint_trajectory_controller"]
    return [
        Node(package="robot_state_publisher", executable="robot_state_publisher", parameters=[{"robot_description": description}]),
        Node(package="controller_manager", executable="ros2_control_node", parameters=[CONTROLLERS], output="both"),
        Node(package="controller_manager", executable="spawner", arguments=[*names, "--param-file", CONTROLLERS]),
    ]


def generate_launch_description() -> LaunchDescription:
    """One argument: the URDF that prepare.py wrote."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("description", description="URDF with mock hardware, written by prepare.py"),
            OpaqueFunction(function=nodes),
        ]
    )
