"""A plan as actions of ROS's launch: start the processes, bring lifecycle nodes up by events, end together.

It needs a ROS distribution: `launch` and `launch_ros` are not on PyPI.
"""

from __future__ import annotations

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown as ShutdownEvent
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from isthmus_bringup.arguments import Argument, arguments_of
from isthmus_bringup.plan import STOP_PATIENCE, Plan, Process, plan

__all__ = ["launch_description", "plan_actions"]

_RETRY = 0.5  # s until an activation is tried again: a node that has just been configured may not have heard its robot yet


def launch_description(use: str) -> LaunchDescription:
    """Launch description of a use: its arguments, and its plan once they have values."""
    arguments = arguments_of(use)

    def planned(context: LaunchContext) -> list[Any]:
        given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments}
        return plan_actions(plan(use, given))

    return LaunchDescription([*(_declaration(argument, use) for argument in arguments), OpaqueFunction(function=planned)])


def plan_actions(planned: Plan) -> list[Any]:
    """The actions that carry out a plan."""
    nodes = [_node(process) for process in planned.processes]
    managed = [node for node, process in zip(nodes, planned.processes, strict=True) if process.lifecycle]
    return [*(_bring_up(managed) if planned.autostart and managed else []), *nodes]


def _declaration(argument: Argument, use: str) -> Any:
    default = argument.default_for(use)
    return DeclareLaunchArgument(
        argument.name,
        default_value=str(default).lower() if isinstance(default, bool) else str(default),
        description=argument.description,
        choices=["true", "false"] if isinstance(default, bool) else list(argument.choices) or None,
    )


def _node(process: Process) -> Any:
    values = {name: ParameterValue(value, value_type=type(value)) for name, value in process.parameters.items()}
    return (LifecycleNode if process.lifecycle else Node)(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[*process.parameters_files, values],
        remappings=list(process.remappings.items()),
        additional_env=dict(process.environment),
        output="both",
        respawn=False,  # a node that died must not begin to command by itself
        sigterm_timeout=str(STOP_PATIENCE),
        on_exit=_end_all if process.required else None,
    )


def _end_all(event: Any, context: LaunchContext) -> list[Any]:
    return [] if context.is_shutdown else [Shutdown(reason=f"{event.process_name} ended")]


def _bring_up(nodes: list[Any]) -> list[Any]:
    """Configure and activate one lifecycle node after the other, each when the one before it is active."""
    handlers = [OnProcessStart(target_action=nodes[0], on_start=[_change(nodes[0], Transition.TRANSITION_CONFIGURE)])]
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        refused = EmitEvent(event=ShutdownEvent(reason="a node refused to be configured; its log says why"))
        handlers += [
            _when(node, "configuring", "unconfigured", refused),
            _when(node, "configuring", "inactive", _change(node, Transition.TRANSITION_ACTIVATE)),
            _when(node, "activating", "inactive", OpaqueFunction(function=_activate_later, args=[node])),
        ]
        if following is not None:
            handlers.append(_when(node, "activating", "active", _change(following, Transition.TRANSITION_CONFIGURE)))
    return [RegisterEventHandler(handler) for handler in handlers]


def _when(node: Any, start: str, goal: str, action: Any) -> Any:
    return OnStateTransition(target_lifecycle_node=node, start_state=start, goal_state=goal, entities=[action])


def _change(node: Any, transition: int) -> Any:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def _activate_later(context: LaunchContext, node: Any) -> list[Any]:
    return [TimerAction(period=_RETRY, actions=[_change(node, Transition.TRANSITION_ACTIVATE)])]
