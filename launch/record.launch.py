"""A recording of a policy and its robot, which run already: `ros2 launch isthmus_bringup record.launch.py policy:=policy.isthmus`."""

from launch import LaunchDescription

from isthmus_bringup.actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Arguments and processes are those of isthmus_bringup's plan."""
    return launch_description("record")
