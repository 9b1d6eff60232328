"""A motion with an end of its own: run an excitation, park where it began, stand still. Nothing here knows ROS."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus_ros.policy.drive import MotionEnded
from isthmus_ros.policy.motion import Motion
from isthmus_ros.policy.ramp import MAX_RAMP
from isthmus_ros.policy.transitions import PARK, WITH_PARKING

__all__ = ["Exploration"]


class Exploration(Motion):
    """As `Motion`, but a run that ends by itself is followed by a guarded ramp back; whoever owns the motion then disarms the guard.

    What the contract's start pose names goes back there, other joints to where they were when the run began. A run that is stopped is not followed
    by a ramp: whoever stopped it had a reason, and the arm stays where it came to rest.

    Attributes:
        outcome: "waiting", "exploring", "parking", "parked", "not parked" (`failure` says why) or "interrupted".
    """

    transitions = WITH_PARKING
    outcome = "waiting"

    @property
    def over(self) -> bool:
        """Whether the newest run ended by itself, so that the guard is to be disarmed."""
        return self.outcome in ("parked", "not parked") and not self.moving

    def start(self, goal: Mapping[str, float] | None = None) -> None:
        """As `Motion.start`."""
        self.outcome = "exploring"
        super().start(goal)

    def _run(self) -> None:
        contract = self.step.contract
        joints = contract.action.elements
        here = dict(zip(joints, self._position().tolist(), strict=True))
        goal = here | {name: value for name, (value, _) in contract.start.items() if name in here}
        self.outcome = "interrupted"  # unless it gets to its end
        super()._run()
        if self._halt.is_set():
            return
        self.outcome = "not parked"
        away = {name: place - goal[name] for name, place in zip(joints, self._position().tolist(), strict=True)}
        far = max(away, key=lambda name: abs(away[name]))
        if not abs(away[far]) <= MAX_RAMP:
            unit = next(joint.unit("position") for joint in self.step.plant.robot.joints if joint.name == far)
            self.failure = f"not parked: {far} is {away[far]:+.3f} {unit} from where it began; at most {MAX_RAMP:g} are ramped"
            return
        self.outcome = "parking"
        self._enter(PARK)
        try:
            self._ramp(goal)
        except (TimeoutError, MotionEnded):
            self.outcome = "interrupted"
            raise
        except RuntimeError:
            self.outcome = "not parked"
            raise
        self.outcome = "interrupted" if self._halt.is_set() else "parked"
