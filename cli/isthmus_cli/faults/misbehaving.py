"""`policy_node` whose policy misbehaves on SIGUSR1, in the way that the environment variable `POLICY_FAULT` names: for the fault table."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.kinds.graph import GraphPolicy
from isthmus.records import ActionChunk
from isthmus_ros.policy.policy_node import main

__all__ = ["LATE", "spoil"]

LATE = 0.12  # s: more than two periods of 0.05 s, less than half a second


def spoil(fault: str) -> None:
    """Let decisions after SIGUSR1 fail: one is late, or all hang, raise or are not numbers."""
    act, told = GraphPolicy.act, []
    signal.signal(signal.SIGUSR1, lambda *_: told.append(fault))

    def spoiled(self: GraphPolicy, observation: Mapping[str, Any]) -> ActionChunk:
        chunk = act(self, observation)
        if told and fault == "late":
            told.clear()
            time.sleep(LATE)
        elif told and fault == "hang":
            time.sleep(3600)
        elif told and fault == "raise":
            raise RuntimeError("the model is gone")
        elif told and fault == "nan":
            return ActionChunk(np.full_like(chunk.actions, np.nan))
        return chunk

    GraphPolicy.act = spoiled  # type: ignore[method-assign]


if __name__ == "__main__":
    spoil(os.environ["POLICY_FAULT"])
    raise SystemExit(main())
