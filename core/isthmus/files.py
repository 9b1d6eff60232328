"""Files that appear whole or not at all, and errors that say which file it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["named", "partial_of", "whole_file", "write_whole"]


def partial_of(path: Path) -> Path:
    """Where a file is written before it is whole: hidden, beside it, with its suffix."""
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Give an error of the operating system the name of a file, where it has none, as on a full disk, or that of where it was being written.

    Raises:
        OSError: with its file.
    """
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(partial_of(path))) or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path`, with its suffix, to write to: what was written there replaces `path` at the end, and vanishes if anything failed.

    The folder is made if it is missing.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "is no regular file", str(path))  # a device would be replaced by a file
    partial = partial_of(path)
    with named(path):
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that appears whole or not at all; text is UTF-8.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
