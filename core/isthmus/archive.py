"""A zip archive with one byte string per content: every member stored, nothing hidden, nothing to interpret.

What `check_canonical` accepts is exactly what `write_archive` writes. Zip readers disagree about prepended data, overlapping entries, headers that
contradict the directory and much else; comparing bytes leaves no room for any of it.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

__all__ = ["ARCHIVE_LIMIT", "check_canonical", "member_limit", "read_archive", "read_archive_file", "write_archive"]

ARCHIVE_LIMIT = 320 * 2**20
"""Largest archive, bytes."""

_GRAPH_LIMIT = 256 * 2**20
_TEXT_LIMIT = 4 * 2**20
_MEMBERS = 1000


def member_limit(name: str) -> int:
    """Largest size of a member, bytes: 256 MiB for an ONNX graph, 4 MiB for anything else."""
    return _GRAPH_LIMIT if name.endswith(".onnx") else _TEXT_LIMIT


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """The archive of these members, in their order; equal members give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)  # dated 1980-01-01
            entry.create_system = 3  # Unix, on every platform
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def read_archive_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of an archive, and one more than `ARCHIVE_LIMIT` of a file that is larger.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file, but a pipe or a device, which one might wait for for ever.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is no regular file")
        return file.read(ARCHIVE_LIMIT + 1)


def read_archive(archive: bytes) -> dict[str, bytes]:
    """The members of an archive, in its order. `check_canonical` must follow, once the names are known to be right.

    Raises:
        ValueError: not a zip archive, truncated, or it has directories, links, unsafe or repeated names, encryption, compression, members over
            `member_limit`, members that share bytes, or more than 1000 of them. The message names the member.
    """
    if len(archive) > ARCHIVE_LIMIT:
        raise ValueError(f"has {len(archive)} bytes; at most {ARCHIVE_LIMIT} are allowed")
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as reader:
            entries = reader.infolist()
            if len(entries) > _MEMBERS:
                raise ValueError(f"has {len(entries)} members; at most {_MEMBERS} are allowed")
            for entry in entries:
                _check_entry(entry, [other.orig_filename for other in entries])
            if (total := sum(entry.file_size for entry in entries)) > len(archive):
                raise ValueError(f"has members of {total} bytes in {len(archive)} bytes; members do not overlap")
            for entry in entries:
                members[entry.orig_filename] = _read_entry(reader, entry)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OverflowError, struct.error) as error:
        raise ValueError(f"is not a zip archive or is truncated ({error})") from None
    return members


def check_canonical(archive: bytes, members: Mapping[str, bytes]) -> None:
    """Compare an archive with what `write_archive` writes for the members that `read_archive` found in it.

    Raises:
        ValueError: any byte differs; the message says where.
    """
    canonical = write_archive(members)
    if canonical != archive:
        with zipfile.ZipFile(io.BytesIO(archive)) as reader:
            entries = reader.infolist()
        offset = _first_difference(canonical, archive)
        raise ValueError(f"differs from what isthmus writes at byte {offset}, {_place(entries, canonical, offset)}")


def _check_entry(entry: zipfile.ZipInfo, names: list[str]) -> None:
    name = entry.orig_filename
    at = f"member {name!r}"
    parts = name.removesuffix("/").split("/")
    if "\\" in name or ":" in name or not name.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{at}: unsafe name; names are relative, without '..', '\\' and ':'")
    if names.count(name) > 1:
        raise ValueError(f"{at} appears twice")
    if entry.is_dir() or stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise ValueError(f"{at} is a directory, a link or a device; members are plain files")
    if entry.flag_bits & 0x1:
        raise ValueError(f"{at} is encrypted; members are stored as they are")
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise ValueError(f"{at} is compressed; members are stored as they are")
    if entry.file_size > member_limit(name):
        raise ValueError(f"{at} has {entry.file_size} bytes; at most {member_limit(name)} are allowed")


def _read_entry(reader: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return reader.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"member {entry.orig_filename!r} is corrupted: {error}") from None


def _first_difference(one: bytes, other: bytes) -> int:
    length = min(len(one), len(other))
    differ = np.flatnonzero(np.frombuffer(one, np.uint8, length) != np.frombuffer(other, np.uint8, length))
    return int(differ[0]) if differ.size else length


def _place(entries: list[zipfile.ZipInfo], canonical: bytes, offset: int) -> str:
    if entries and min(entry.header_offset for entry in entries) > 0:
        return "because it has bytes before its first member"
    if offset == len(canonical):
        return "because it has bytes after its end"
    for entry in sorted(entries, key=lambda entry: entry.header_offset, reverse=True):
        end = entry.header_offset + 30 + len(entry.orig_filename.encode()) + entry.file_size
        if entry.header_offset <= offset < end:
            return f"in the header of member {entry.orig_filename!r}"
    return "in the zip directory"
