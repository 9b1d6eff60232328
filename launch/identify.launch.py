"""An informative run for identification: `ros2 launch isthmus_bringup identify.launch.py policy:=excitation.isthmus robot:=ur5e`."""

from launch import LaunchDescription

from isthmus_bringup.actions import launch_description


def generate_launch_description() -> LaunchDescription:
    """Arguments and processes are those of isthmus_bringup's plan."""
    return launch_description("identify")
