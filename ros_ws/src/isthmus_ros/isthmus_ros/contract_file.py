"""The contract of a policy file, without the policy: for processes that must hold no model code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from isthmus import strict
from isthmus.archive import ARCHIVE_LIMIT, check_canonical, read_archive
from isthmus.contract import Contract

__all__ = ["read_contract"]

_CONTRACT, _MANIFEST = "contract.json", "manifest.json"


def read_contract(path: str) -> Contract:
    """The contract that travels in a policy file; its model is not looked at.

    Raises:
        ValueError: the file cannot be read, is damaged, or its contract is not the one that its manifest lists; the message names the member.
    """
    try:
        with Path(path).open("rb") as file:
            archive = file.read(ARCHIVE_LIMIT + 1)
        members = read_archive(archive)
        for name in (_CONTRACT, _MANIFEST):
            if name not in members:
                raise ValueError(f"member {name!r} is missing; the file has {', '.join(members) or 'no members'}")
        check_canonical(archive, members)
        manifest = strict.load_json(members[_MANIFEST], f"member {_MANIFEST!r}")
        found = hashlib.sha256(members[_CONTRACT]).hexdigest()
        table = manifest.get("members", {}) if isinstance(manifest, Mapping) else {}
        entry = table.get(_CONTRACT, {}) if isinstance(table, Mapping) else {}
        listed = entry.get("sha256") if isinstance(entry, Mapping) else None
        if found != listed:
            raise ValueError(f"member {_CONTRACT!r} has SHA-256 {found}, {_MANIFEST} says {listed}")
        return Contract.from_json(members[_CONTRACT], f"member {_CONTRACT!r}")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
