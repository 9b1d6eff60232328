"""Which runtimes can turn a policy file into a policy: they are installed by name in the entry-point group `isthmus.kinds`.

A file only chooses among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from isthmus import strict
from isthmus.contract import Contract
from isthmus.installed import find_installed, installed_names
from isthmus.policy import Policy

__all__ = ["Kind", "PolicyData", "kind_names", "load_kind"]

_GROUP = "isthmus.kinds"


class PolicyData(Protocol):
    """What a runtime is told of a policy file; an `isthmus.artifact.Artifact` is it."""

    @property
    def contract(self) -> Contract:
        """What the policy consumes and produces."""
        ...

    @property
    def members(self) -> Mapping[str, bytes]:
        """The kind's members, exactly those that it names."""
        ...


class Kind(Protocol):
    """What an entry point of the group `isthmus.kinds` must be; usually a policy class.

    Attributes:
        members: names of the members that the kind needs; it allows no others.
    """

    members: ClassVar[tuple[str, ...]]

    @classmethod
    def from_artifact(cls, artifact: PolicyData) -> Policy:
        """Build the policy.

        Raises:
            ValueError: the members do not fit the contract.
        """
        ...

    @classmethod
    def audit(cls, members: Mapping[str, bytes]) -> None:
        """Refuse members that are not what the kind runs, cheaply and without running anything.

        Raises:
            ValueError: the message names the member.
        """
        ...


def kind_names() -> list[str]:
    """Names of the installed kinds, sorted."""
    return installed_names(_GROUP)


def load_kind(name: str) -> type[Kind]:
    """The installed kind of that name.

    Raises:
        ValueError: there is none (the message lists those that exist), two packages have one of that name, or a package that it needs is not
            installed.
    """
    entry = find_installed(_GROUP, name)
    if entry is None:
        raise ValueError(f"unknown kind {name!r}; {strict.suggest(name, kind_names())}")
    try:
        kind: type[Kind] = entry.load()
    except ImportError as error:
        raise ValueError(f"kind {name!r} needs a package that is not installed: {error}") from None
    return kind
