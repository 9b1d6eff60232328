"""What is known of a policy: evaluations, intervals, films, charts and reports.

Importing this package loads nothing: an evaluation needs the simulation, and reading its result does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus_evidence.evaluation import evaluate

__all__ = ["evaluate"]


def __getattr__(name: str) -> Any:
    if name != "evaluate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from isthmus_evidence.evaluation import evaluate

    return evaluate
