"""The nodes that command a robot whose driver runs: `ros2 launch isthmus_bringup deploy.launch.py policy:=policy.isthmus robot:=ur5e`."""

from launch import LaunchDescription

from isthmus_bringup.actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Arguments and processes are those of isthmus_bringup's plan."""
    return launch_description("deploy")
