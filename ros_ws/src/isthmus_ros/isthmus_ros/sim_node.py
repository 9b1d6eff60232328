"""`sim_node`: a simulator behaving as the robot, on the topics of the robot's profile.

Wall time: physics runs in real time, and the robot's own controller drives the joints between commands (`sim_controllers`). A held velocity or effort
becomes zero when none has come for `command_timeout`; the forward controllers of ros2_control have no such time-out (`command_timeout:=0.0`).

Stepped time: state k and clock k are published, `guard/executed` of state k and the same values on the command topic are awaited, one control period
is simulated, and state k+1 follows. Stamps never go backwards, not even at a reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from std_srvs.srv import Trigger

from isthmus_ros.faults import FAULTS, parse_faults
from isthmus_ros.parameters import choice, declare
from isthmus_ros.sim_commands import TRANSPORTS
from isthmus_ros.sim_robot import HOME
from isthmus_ros.sim_run import Settings, SimRun
from isthmus_ros.spin import run_node
from isthmus_sim.plants import plant_names
from isthmus_sim.tasks import get_task

__all__ = ["SimNode", "main", "parse_physical"]

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SimNode(LifecycleNode):
    """One simulated robot of a task."""

    def __init__(self) -> None:
        """Declare the parameters; with `autostart`, make the robot and let its time pass.

        Raises:
            ValueError: an unknown task, plant, clock, transport, fault or physical parameter; the message lists the valid ones.
            ModuleNotFoundError: the physics engine is not installed.
        """
        super().__init__("sim_node")
        _declare_parameters(self)
        self._run: SimRun | None = None
        self._problem: Exception | None = None
        self.add_on_set_parameters_callback(self._change_faults)
        self.create_service(Trigger, "~/reset", self._answer_reset)
        self._autostart = bool(self.get_parameter("autostart").value)
        if self._autostart:
            self.trigger_configure()
            if self._problem is not None:
                raise self._problem
            self.trigger_activate()

    def on_configure(self, state: Any) -> Any:
        """Make the robot, its topics and services; time stands still."""
        try:
            faults = self.get_parameter("fault").value
            settings = self._settings()
            self._run = SimRun(self, settings, self._seed(), faults)
        except (ValueError, ModuleNotFoundError) as error:
            self._problem = error
            if not self._autostart:
                self.get_logger().error(f"cannot configure: {error}")
            return _FAILURE
        return _SUCCESS

    def on_activate(self, state: Any) -> Any:
        """Let time pass."""
        if self._run is not None:
            self._run.start()
        return _SUCCESS

    def on_deactivate(self, state: Any) -> Any:
        """Let time stand still, and say nothing."""
        if self._run is not None:
            self._run.pause()
        return _SUCCESS

    def on_cleanup(self, state: Any) -> Any:
        """Refused: a new robot is a new process."""
        self.get_logger().error("cannot clean up: end sim_node and start another one")
        return _FAILURE

    def rest(self) -> bool:
        """A simulated robot has nothing to finish."""
        return True

    def give_up(self, cause: str) -> None:
        """Nor to give up."""

    def destroy_node(self) -> None:
        """Close the simulator too."""
        if self._run is not None:
            self._run.close()
        super().destroy_node()

    def _settings(self) -> Settings:
        given = {name: self.get_parameter(name).value for name in _SETTINGS}
        return Settings(
            task=get_task(str(self.get_parameter("task").value)),
            engine=str(self.get_parameter("plant").value),
            stepped=choice(self, "clock", ("wall", "stepped")) == "stepped",
            namespace=str(self.get_parameter("robot_namespace").value),
            prefix=str(self.get_parameter("joint_prefix").value),
            transforms=bool(self.get_parameter("tf").value),
            physical=parse_physical(self.get_parameter("parameters").value),
            **given,
        )

    def _seed(self) -> int:
        return int(self.get_parameter("episode_seed").value)

    def _change_faults(self, parameters: Sequence[Any]) -> Any:
        """Switch faults on and off; entries that cannot be are refused."""
        for parameter in parameters:
            if parameter.name == "fault" and self._run is not None:
                try:
                    self._run.change(parse_faults(parameter.value, self._run.joints))
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _answer_reset(self, request: Any, response: Any) -> Any:
        if self._run is None:
            response.success, response.message = False, "sim_node is not configured"
            return response
        try:
            response.success, response.message = True, str(self._run.reset(self._seed()))
        except ValueError as error:
            response.success, response.message = False, str(error)
        return response


_SETTINGS = ("state_rate", "transport", "command_timeout", "camera_rate")


def _declare_parameters(node: Any) -> None:
    declare(node, "task", "", "task that names the robot and draws the episodes")
    declare(node, "plant", "pybullet", f"physics engine: {', '.join(plant_names())}")
    declare(node, "robot_namespace", "/", "namespace in which the profile's topics are resolved")
    declare(node, "joint_prefix", "", "put before the names of joints on topics, as tf_prefix of ur_robot_driver")
    declare(node, "clock", "wall", "wall: real time; stepped: one control period per executed command")
    declare(node, "autostart", True, "configure and activate without being asked")
    declare(node, "state_rate", 0.0, "rate of joint states in wall time, Hz; 0 means the profile's, at most 100", low=0, high=1000)
    declare(node, "transport", "", f"controller that listens: {', '.join(TRANSPORTS)}; empty means the forward one of the task's mode")
    declare(node, "command_timeout", 0.5, "s without a command until a held velocity or effort becomes zero; 0 means never", low=0, high=60)
    declare(node, "camera_rate", 0.0, "pictures of each of the robot's cameras, Hz; 0 means none", low=0, high=120)
    declare(node, "tf", True, "publish the transform from odom to a mobile robot's base, where tf2_msgs is installed")
    declare(
        node,
        "episode_seed",
        HOME,
        "seed of the episode that ~/reset begins; -1 means home, at rest",
        low=-1,
        high=2**31 - 1,
        fixed=False,
    )
    declare(node, "parameters", [""], 'physical parameters that differ from the nominal ones, as "name:=value"')
    declare(node, "fault", [""], f'faults that are switched on, as "name:=value": {", ".join(FAULTS)}', fixed=False)


def parse_physical(entries: Sequence[str]) -> dict[str, float]:
    """Physical parameters from entries `name:=value`; empty entries are skipped.

    Raises:
        ValueError: an entry is not of that form.
    """
    physical = {}
    for entry in entries:
        name, separator, value = entry.partition(":=")
        if not entry:
            continue
        try:
            physical[name] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise ValueError(f"parameters must be a list of name:=value with a number, got {entry!r}")
    return physical


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(SimNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
