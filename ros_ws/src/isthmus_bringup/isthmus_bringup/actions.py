"""A plan as actions of ROS's launch: start the processes, bring lifecycle nodes up by events, end together.

It needs a ROS distribution: `launch` and `launch_ros` are not on PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState as ChangeStateService

from isthmus import strict
from isthmus_bringup.arguments import Argument, arguments_of
from isthmus_bringup.plan import STOP_PATIENCE, Plan, Process, plan

__all__ = ["launch_description", "plan_actions"]

_RETRY = 0.5  # s until an activation is tried again: a node that has just been configured may not have heard its robot yet
_OF_LAUNCH = {"launch-prefix", "launch-prefix-filter", "emulate_tty", "sigterm_timeout", "sigkill_timeout"}  # it reads them undeclared


def launch_description(use: str) -> LaunchDescription:
    """Launch description of a use: its arguments, and its plan once they have values."""
    arguments = arguments_of(use)

    def planned(context: LaunchContext) -> list[Any]:
        _refuse_unknown(use, context)
        given = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in arguments}
        return plan_actions(plan(use, given, context.launch_configurations.get("ros_namespace", "/")))

    return LaunchDescription([*(_declaration(argument, use) for argument in arguments), OpaqueFunction(function=planned)])


def plan_actions(planned: Plan) -> list[Any]:
    """The actions that carry out a plan."""
    nodes = [_node(process) for process in planned.processes]
    managed = [node for node, process in zip(nodes, planned.processes, strict=True) if process.lifecycle]
    return [*(_bring_up(managed) if planned.autostart and managed else []), *nodes]


def _declaration(argument: Argument, use: str) -> Any:
    """The empty default marks what was not given; what holds then, and what is valid, the plan knows and the description says."""
    return DeclareLaunchArgument(argument.name, default_value="", description=argument.help_for(use))


def _refuse_unknown(use: str, context: LaunchContext) -> None:
    """Refuse what launch ignores in silence: a name that was typed, or passed to this file by another, and that no file declares."""
    event = context.get_locals_as_dict().get("event")
    if not hasattr(event, "launch_description"):  # included later, by a timer or an event: what other files declare cannot be told
        return
    table = {argument.name for argument in arguments_of(use)}
    everything = list(_below(event.launch_description))
    declared = {entity.name for entity in everything if isinstance(entity, DeclareLaunchArgument)}
    names = [word.partition(":=")[0] for word in context.argv]
    for include in everything:
        if isinstance(include, IncludeLaunchDescription) and _is_here(include, context):
            names += [perform_substitutions(context, normalize_to_list_of_substitutions(name)) for name, _ in include.launch_arguments]
    for name in names:
        if name not in table | declared | _OF_LAUNCH:
            raise ValueError(f"{use} has no argument {name!r}; {strict.suggest(name, table)}")


def _below(entity: Any) -> Iterator[Any]:
    parts = [*entity.describe_sub_entities(), *(part for _, parts in entity.describe_conditional_sub_entities() for part in parts)]
    for part in parts:
        yield part
        yield from _below(part)


def _is_here(include: Any, context: LaunchContext) -> bool:
    return bool(include.launch_description_source.location == context.locals.current_launch_file_path)


def _node(process: Process) -> Any:
    return (LifecycleNode if process.lifecycle else Node)(
        package=process.package,
        executable=process.executable,
        name=process.name,
        namespace=process.namespace,
        parameters=[*process.parameters_files, {name: _typed(value) for name, value in process.parameters.items()}],
        remappings=list(process.remappings.items()),
        additional_env=dict(process.environment),
        output="both",
        respawn=False,  # a node that died must not begin to command by itself
        sigterm_timeout=str(STOP_PATIENCE),
        on_exit=_ended if process.required else None,
    )


def _typed(value: Any) -> Any:
    """A text stays a text, whatever it looks like."""
    return ParameterValue(value, value_type=list[type(value[0])] if isinstance(value, list) else type(value))  # type: ignore[misc]


def _ended(event: Any, context: LaunchContext) -> list[Any]:
    """A required node that ends by itself ends all; one that fails on the way down leaves its mark too."""
    if context.is_shutdown and event.returncode == 0:
        return []
    return [_failure(f"{event.process_name} ended with exit code {event.returncode}")]


def _failure(reason: str) -> Any:
    """Ends the launch with exit code 1: of an action only an exception does, a Shutdown ends it with 0."""

    def fail(context: LaunchContext) -> None:
        raise RuntimeError(reason)

    return OpaqueFunction(function=fail)


def _bring_up(nodes: list[Any]) -> list[Any]:
    """Configure and activate one lifecycle node after the other, each when the one before it is active."""
    handlers = [OnProcessStart(target_action=nodes[0], on_start=[_change(nodes[0], Transition.TRANSITION_CONFIGURE)])]
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        handlers += [
            _when(node, "configuring", "unconfigured", _failure("a node refused to be configured; its log says why")),
            _when(node, "configuring", "inactive", _change(node, Transition.TRANSITION_ACTIVATE)),
            _when(node, "activating", "inactive", OpaqueFunction(function=_Again(node).later)),
        ]
        if following is not None:
            handlers.append(_when(node, "activating", "active", _change(following, Transition.TRANSITION_CONFIGURE)))
    return [RegisterEventHandler(handler) for handler in handlers]


def _when(node: Any, start: str, goal: str, action: Any) -> Any:
    return OnStateTransition(target_lifecycle_node=node, start_state=start, goal_state=goal, entities=[action])


def _change(node: Any, transition: int) -> Any:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


class _Again:
    """Activates a node once more, after a while.

    It asks without launch_ros's ChangeState, which complains each time that a node whose robot has not come yet refuses; the node does it once.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._client: Any = None

    def later(self, context: LaunchContext) -> list[Any]:
        if self._client is None:
            self._client = get_ros_node(context).create_client(ChangeStateService, f"{self._node.node_name}/change_state")
        return [TimerAction(period=_RETRY, actions=[OpaqueFunction(function=self._now)])]

    def _now(self, context: LaunchContext) -> list[Any]:
        if not self._client.service_is_ready():
            return self.later(context)
        self._client.call_async(ChangeStateService.Request(transition=Transition(id=Transition.TRANSITION_ACTIVATE)))
        return []
