"""Connects to Ray, or starts it on this machine."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

__all__ = ["connect"]

_OBJECT_STORE = 100 * 1024**2  # bytes; what passes through it is small


def connect(address: str | None, cores: int) -> Any:
    """Connect.

    Args:
        address: of a cluster; None means this machine.
        cores: that are needed at least; on this machine Ray may use more than it has, so that they wait for each other.

    Returns:
        the module `ray`; who called calls its `shutdown`.

    Raises:
        ValueError: the cluster cannot be reached, or has too few cores.
        KeyboardInterrupt: SIGTERM came meanwhile.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    told: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        told |= {"address": "local", "num_cpus": max(len(os.sched_getaffinity(0)), cores)}
        told |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    else:
        told["address"] = address
    listens = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**told)
    except ConnectionError as error:
        raise ValueError(f"no Ray cluster answers at {address!r}: {error}") from None
    except SystemExit:  # what Ray makes of SIGTERM
        raise KeyboardInterrupt from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, listens)
    total = int(ray.cluster_resources().get("CPU", 0))
    if total < cores:
        ray.shutdown()
        raise ValueError(f"{cores} processor cores are needed, and Ray has {total}")
    return ray
