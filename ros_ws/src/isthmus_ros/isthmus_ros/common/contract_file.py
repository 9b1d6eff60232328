"""Contract and specification of a policy file, without the policy: for processes that must hold no model code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from isthmus import strict
from isthmus.archive import check_canonical, read_archive, read_archive_file
from isthmus.contract import Contract
from isthmus.specification import Specification

__all__ = ["read_contract", "read_specification"]

_Found = TypeVar("_Found")
_CONTRACT, _MANIFEST, _SPECIFICATION = "contract.json", "manifest.json", "specification.json"


def read_contract(path: str) -> Contract:
    """The contract that travels in a policy file; its model is not looked at.

    Raises:
        ValueError: the file cannot be read, is damaged, or its contract is not the one that its manifest lists; the message names the member.
    """
    return _read(path, lambda members: Contract.from_json(members[_CONTRACT], f"member {_CONTRACT!r}"))


def read_specification(path: str) -> Specification | None:
    """The specification that travels in a policy file, None if there is none.

    Raises:
        ValueError: as `read_contract`.
    """
    where = f"member {_SPECIFICATION!r}"

    def read(members: Mapping[str, bytes]) -> Specification | None:
        if _SPECIFICATION not in members:
            return None
        return strict.decode(Specification, strict.load_json(members[_SPECIFICATION], where), where)

    return _read(path, read)


def _read(path: str, read: Callable[[Mapping[str, bytes]], _Found]) -> _Found:
    try:
        archive = read_archive_file(path)
        members = read_archive(archive)
        for name in (_CONTRACT, _MANIFEST):
            if name not in members:
                raise ValueError(f"member {name!r} is missing; the file has {', '.join(members) or 'no members'}")
        check_canonical(archive, members)
        manifest = strict.load_json(members[_MANIFEST], f"member {_MANIFEST!r}")
        table = manifest.get("members", {}) if isinstance(manifest, Mapping) else {}
        for name in (_CONTRACT, _SPECIFICATION):
            if name in members:
                found = hashlib.sha256(members[name]).hexdigest()
                entry = table.get(name, {}) if isinstance(table, Mapping) else {}
                listed = entry.get("sha256") if isinstance(entry, Mapping) else None
                if found != listed:
                    raise ValueError(f"member {name!r} has SHA-256 {found}, {_MANIFEST} says {listed}")
        return read(members)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
