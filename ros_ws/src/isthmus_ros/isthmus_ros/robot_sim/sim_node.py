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

from isthmus_ros.common.spin import run_node
from isthmus_ros.robot_sim.run import SimRun
from isthmus_ros.robot_sim.settings import declare_settings, parse_physical, read_settings

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
        declare_settings(self)
        self._run: SimRun | None = None
        self._problem: Exception | None = None
        self._own: dict[str, list[Any]] = {}
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
        self._own = {kind: list(getattr(self, kind)) for kind in ("timers", "subscriptions", "services", "publishers")}
        try:
            self._run = SimRun(self, read_settings(self), self._seed(), self.get_parameter("fault").value)
        except (ValueError, ModuleNotFoundError) as error:
            self._problem = error
            if not self._autostart:
                self.get_logger().error(f"cannot configure: {error}")
            self._forget_run()
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
        """Close the simulator and leave its topics and services."""
        self._forget_run()
        return _SUCCESS

    def rest(self) -> bool:
        """Stay while commands come: who is ended together with the robot must see it come to rest."""
        return self._run is None or not self._run.commanded

    def give_up(self, cause: str) -> None:
        """Nor to give up."""

    def destroy_node(self) -> None:
        """Close the simulator too."""
        if self._run is not None:
            self._run.close()
        super().destroy_node()

    def _forget_run(self) -> None:
        if self._run is not None:
            self._run.close()
        self._run = None
        for kind, own in self._own.items():
            for entity in [entity for entity in getattr(self, kind) if entity not in own]:
                getattr(self, f"destroy_{kind[:-1]}")(entity)

    def _seed(self) -> int:
        return int(self.get_parameter("episode_seed").value)

    def _change_faults(self, parameters: Sequence[Any]) -> Any:
        """Switch faults on and off; entries that cannot be are refused."""
        for parameter in parameters:
            if parameter.name == "fault" and self._run is not None:
                try:
                    self._run.change(parameter.value)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM."""
    return run_node(SimNode, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
