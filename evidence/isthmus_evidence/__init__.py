"""What is known of a policy: evaluations, intervals, films, charts and reports.

Importing this package loads nothing: an evaluation needs the simulation, and reading its result does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus_evidence.certificate import certify
    from isthmus_evidence.comparison import compare
    from isthmus_evidence.evaluation import evaluate

__all__ = ["certify", "compare", "evaluate"]

_MODULES = {"certify": "certificate", "compare": "comparison", "evaluate": "evaluation"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
