"""How nodes of one computer meet: over UDP, not over the shared memory of Fast DDS, in which a process that dies holds up the others.

A killed policy held up the guard's next message for 3 s. The nodes settle this for themselves when they start, whoever starts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["LOOPBACK", "require_domain", "without_shared_memory"]

LOOPBACK = Path(__file__).parents[1] / "loopback.xml"
"""Profile of Fast DDS: UDP on this computer alone."""

_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_OLD_RANGE = "ROS_LOCALHOST_ONLY"
_PEERS = "ROS_STATIC_PEERS"
_PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_UDP = "UDPv4"
_DOMAIN = "ROS_DOMAIN_ID"
_LAST_DOMAIN = 232  # of those whose port numbers exist


def require_domain(environment: Mapping[str, str]) -> None:
    """Refuse a domain that Fast DDS would end the process for, with exit() and without a word of where the number came from.

    Raises:
        ValueError: it is no number, or has no ports.
    """
    given = environment.get(_DOMAIN, "") or "0"
    if not (given.isdecimal() and int(given) <= _LAST_DOMAIN):
        raise ValueError(f"{_DOMAIN} must be from 0 to {_LAST_DOMAIN}, got {given!r}")


def without_shared_memory(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables to be changed so that a process meets the others over UDP, in the same range of discovery.

    With LOCALHOST rmw_fastrtps adds shared memory to whatever transports are asked for; a profile that stays on this computer by itself takes
    its place, and meets processes that have LOCALHOST. Nothing is changed of what the user has settled: a profile or transports of their own,
    another middleware, or peers on other computers beside LOCALHOST, which no profile could know.

    Args:
        environment: of the process.
    """
    settled = any(environment.get(name) for name in _PROFILES) or environment.get(_TRANSPORTS, _UDP) != _UDP
    if settled or not environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps"):
        return {}
    if environment.get(_RANGE) != "LOCALHOST" and environment.get(_OLD_RANGE) != "1":
        return {_TRANSPORTS: _UDP}
    if environment.get(_PEERS):
        return {}
    return {_PROFILES[0]: str(LOOPBACK), _RANGE: "SYSTEM_DEFAULT", _OLD_RANGE: "0"}
