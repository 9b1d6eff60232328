"""How who watches an evaluation ends it early."""

from __future__ import annotations

__all__ = ["EnoughError"]


class EnoughError(Exception):
    """Raised by a `progress`: no more episodes, sum up those that are finished. Without any, the evaluation raises it."""
