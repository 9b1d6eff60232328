"""What a run is asked to do, in Signal Temporal Logic: text that travels with a policy, for learners, evaluation and the monitor on a robot.

The language is that of `isthmus_controllers.stl`; here it is data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Specification"]


@dataclass(frozen=True, slots=True)
class Specification:
    """A formula, and what its signals are.

    Attributes:
        formula: intervals are in seconds; sample 0 is the end of the first control period.
        signals: name → expression over `SIGNAL.ELEMENT`, the elements of a contract's observation such as `base_link.x`, and over each other.
    """

    formula: str
    signals: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.formula.strip():
            raise ValueError("formula must not be empty")
