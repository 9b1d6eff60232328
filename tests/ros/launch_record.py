"""Runs a launch file with ROS's own launch until its nodes are up, and prints what it really started as JSON; see test_ros_launch.py.

In the environment: `ISTHMUS_AWAITED`, the full name of the node that is active last; `ISTHMUS_KILLED`, an executable that is killed then;
`ISTHMUS_PUSHED`, a namespace that is pushed around the file; `ISTHMUS_DECLARED`, an argument of the file that includes it.
"""

import json
import os
import signal
import sys
from pathlib import Path

from launch import LaunchDescription, LaunchService
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace
from launch_ros.event_handlers import OnStateTransition

LONGEST = 40.0  # s
SETTLED = 6.0  # s from the start of a process until its end is asked for, where nothing is awaited


def main():
    file, *words = sys.argv[1:]
    awaited, killed, pushed, declared = (os.environ.get(f"ISTHMUS_{name}", "") for name in ("AWAITED", "KILLED", "PUSHED", "DECLARED"))
    record = {"started": [], "reached": [], "exit_codes": []}
    running = {}

    def started(event, context):
        running[Path(event.cmd[0]).name] = event.pid
        files = {word: Path(word).read_text(encoding="utf-8") for word in event.cmd if word.endswith(".yaml") or "launch_params_" in word}
        record["started"].append({"words": list(event.cmd), "files": files, "environment": dict(event.env or {})})

    def ended(event, context):
        record["exit_codes"].append(event.returncode)

    def reached(context):
        event = context.locals.event
        if event.goal_state in ("inactive", "active"):
            record["reached"].append([event.action.node_name, event.goal_state])
        if event.goal_state != "active" or event.action.node_name != awaited:
            return []
        if killed:
            os.kill(running[killed], signal.SIGKILL)
            return []
        return [Shutdown(reason="all nodes are up")]

    launch_arguments = [tuple(word.split(":=", 1)) for word in words if word.partition(":=")[0] != declared]
    included = IncludeLaunchDescription(PythonLaunchDescriptionSource(file), launch_arguments=launch_arguments)
    service = LaunchService(argv=words, noninteractive=True)
    service.include_launch_description(
        LaunchDescription(
            [
                *([DeclareLaunchArgument(declared, default_value="")] if declared else []),
                GroupAction([*([PushRosNamespace(pushed)] if pushed else []), included]),
                RegisterEventHandler(OnProcessStart(on_start=started)),
                RegisterEventHandler(OnProcessExit(on_exit=ended)),
                RegisterEventHandler(OnStateTransition(entities=[OpaqueFunction(function=reached)])),
                TimerAction(period=LONGEST if awaited else SETTLED, actions=[Shutdown(reason="long enough")]),
            ]
        )
    )
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # launch's own output is no part of the record
    record["exit_code"] = service.run()
    json.dump(record, sys.stdout)


if __name__ == "__main__":
    main()
