"""The records of an MCAP file, with no more memory than a file of its size may ask for.

Chunks are compressed: a few kilobytes of zstd unpack to gigabytes, and what a chunk says of its size may be false. So every chunk and every array
that is made of a file is paid for from one allowance, before it is made.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Allowance", "TooLargeError", "has_footer", "read_records"]

ROOM = 512 * 10**6
"""Bytes that any file may unpack to."""

RATIO = 256
"""Times its own size that it may unpack to beyond that; joint states shrink to a tenth, plain pictures to a hundredth."""

_CHUNK = 128 * 10**6  # bytes of the largest chunk, unpacked; writers begin a new one after less than 10 MB and one message
_OVERHEAD = 500  # bytes of a record beside its content
_MAGIC = b"\x89MCAP0\r\n"


class TooLargeError(ValueError):
    """A file unpacks to more than it may."""


@dataclasses.dataclass(slots=True)
class Allowance:
    """Bytes that a file may still ask for.

    Attributes:
        path: of the file.
        size: its size, bytes.
        left: bytes.
    """

    path: Path
    size: int
    left: int

    @classmethod
    def of(cls, path: Path) -> Allowance:
        """`ROOM` and `RATIO` times its size."""
        size = path.stat().st_size
        return cls(path, size, ROOM + RATIO * size)

    def take(self, size: int) -> None:
        """Pay for so many bytes.

        Raises:
            TooLargeError: they are more than what is left.
        """
        self.left -= size
        if self.left < 0:
            limit = (ROOM + RATIO * self.size) / 1e6
            raise TooLargeError(
                f"{self.path} has {self.size / 1e6:.3f} MB and unpacks to more than {limit:.0f} MB; isthmus does not read it"
            )


def has_footer(path: Path) -> bool:
    """Whether the file was written to its end."""
    with path.open("rb") as content:
        size = content.seek(0, 2)
        content.seek(max(size - len(_MAGIC), 0))
        return size > len(_MAGIC) and content.read() == _MAGIC


def read_records(allowance: Allowance, complete: bool) -> Iterator[Any]:
    """Records in file order, those in chunks one by one; those of an unfinished file as far as they are whole.

    Args:
        allowance: of the file.
        complete: whether it was written to its end, see `has_footer`.

    Raises:
        ValueError: not an MCAP file or damaged, or it unpacks to more than it may.
    """
    from lz4.frame import LZ4FrameDecompressor
    from mcap.exceptions import InvalidMagic, McapError
    from mcap.records import Chunk
    from mcap.stream_reader import StreamReader, breakup_chunk
    from zstandard import ZstdDecompressor, ZstdError

    def unpacked(chunk: Chunk) -> Chunk:
        size = chunk.uncompressed_size
        if size > _CHUNK:
            raise TooLargeError(
                f"{allowance.path} has a chunk that unpacks to {size / 1e6:.0f} MB; at most {_CHUNK / 1e6:.0f} MB are read at once"
            )
        allowance.take(size)
        match chunk.compression:
            case "zstd":
                data = ZstdDecompressor().stream_reader(chunk.data).read(size + 1)
            case "lz4":
                data = LZ4FrameDecompressor().decompress(chunk.data, max_length=size + 1)
            case "":
                data = chunk.data
            case other:
                raise ValueError(f"a chunk is compressed by {other!r}; known: zstd, lz4")
        if len(data) != size:
            raise ValueError(f"a chunk does not have the {size} bytes that it says it has")
        return dataclasses.replace(chunk, compression="", data=data)

    with allowance.path.open("rb") as stream:
        try:
            reader = StreamReader(stream, emit_chunks=True, validate_crcs=True, record_size_limit=allowance.size)
            for record in reader.records:
                for inner in breakup_chunk(unpacked(record), validate_crc=True) if isinstance(record, Chunk) else (record,):
                    allowance.take(_OVERHEAD)
                    yield inner
        except TooLargeError:
            raise
        except (McapError, ZstdError, RuntimeError, struct.error, ValueError, MemoryError, OverflowError) as error:
            # RuntimeError is lz4's; the last two come of a damaged length.
            if complete or isinstance(error, InvalidMagic):
                raise ValueError(f"{allowance.path} is not a readable MCAP file: {error or type(error).__name__}") from None
