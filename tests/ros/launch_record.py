"""Runs a launch file with ROS's own launch until its nodes are up, and prints what it really started as JSON; see test_ros_plan.py."""

import json
import os
import sys
from pathlib import Path

from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.event_handlers import OnStateTransition

LONGEST = 40.0  # s
SETTLED = 3.0  # s from the start of a process until its end is asked for, where nothing is awaited


def main():
    file, *words = sys.argv[1:]
    record = {"started": [], "reached": [], "exit_codes": []}

    def started(event, context):
        files = {word: Path(word).read_text(encoding="utf-8") for word in event.cmd if word.endswith(".yaml") or "launch_params_" in word}
        record["started"].append({"words": list(event.cmd), "files": files, "environment": dict(event.env or {})})

    def ended(event, context):
        record["exit_codes"].append(event.returncode)

    def reached(context):
        event = context.locals.event
        if event.goal_state in ("inactive", "active"):
            record["reached"].append([event.action.node_name, event.goal_state])
        if event.goal_state == "active" and event.action.node_name == f"/{os.environ['ISTHMUS_AWAITED']}":
            return [Shutdown(reason="all nodes are up")]
        return []

    settled = LONGEST if os.environ["ISTHMUS_AWAITED"] else SETTLED
    service = LaunchService(noninteractive=True)
    service.include_launch_description(
        LaunchDescription(
            [
                RegisterEventHandler(OnProcessStart(on_start=started)),
                RegisterEventHandler(OnProcessExit(on_exit=ended)),
                RegisterEventHandler(OnStateTransition(entities=[OpaqueFunction(function=reached)])),
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(file), launch_arguments=[tuple(word.split(":=", 1)) for word in words]
                ),
                TimerAction(period=settled, actions=[Shutdown(reason="long enough")]),
            ]
        )
    )
    sys.stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # launch's own output is no part of the record
    service.run()
    json.dump(record, sys.stdout)


if __name__ == "__main__":
    main()
