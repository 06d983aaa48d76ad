"""TFRecord files without TensorFlow: the framing, read through a memory map and checked.

A record is `uint64 length | uint32 masked crc32c of these 8 bytes | payload | uint32 masked crc32c of the payload`,
little endian, repeated to the end of the file (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from graphnas.errors import CorruptFile
from graphnas.tables.crc32c import crc32c, crc32c_many, mask, mask_many

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
CHUNK = 8192


class Records(NamedTuple):
    """Consecutive records of a file.

    Attributes:
        first: number of the first one, counted from 0.
        offsets: byte at which each record begins in the file.
        payloads: their contents.
    """

    first: int
    offsets: list[int]
    payloads: list[bytes]

    def corrupt(self, path: Path, index: int, reason: str) -> CorruptFile:
        """The error that names record `index` of this chunk."""
        return corrupt(path, self.first + index, self.offsets[index], reason)


def corrupt(path: Path, number: int, offset: int, reason: str) -> CorruptFile:
    """The error for one record."""
    return CorruptFile(f"{path}: record {number} at byte {offset}: {reason}")


@lru_cache(maxsize=4096)
def length_checksum(length: int) -> int:
    """Masked checksum of a length field; records come in few lengths."""
    return mask(crc32c(length.to_bytes(8, "little")))


def looks_like_tfrecord(head: bytes) -> bool:
    """Whether a file beginning with `head` is a TFRecord file: its first length has the right checksum."""
    if len(head) < HEADER.size:
        return False
    length, checksum = HEADER.unpack_from(head)
    return length_checksum(length) == checksum


def read_records(
    path: Path, verify: bool = True, progress: Callable[[int, int], None] | None = None
) -> Iterator[Records]:
    """Chunks of the records of a file, one chunk in memory at a time.

    Args:
        path: an uncompressed TFRecord file.
        verify: whether payload checksums are computed (2 us a record); those of the lengths always are.
        progress: called with (bytes done, bytes in all) after every chunk.

    Raises:
        CorruptFile: naming record number and byte offset of the first record that is cut or fails a checksum.
    """
    size = path.stat().st_size
    if size == 0:
        raise CorruptFile(f"{path}: an empty file where TFRecords were expected")
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as view:
        first, offset = 0, 0
        while offset < size:
            records, checksums = Records(first, [], []), []
            while offset < size and len(records.payloads) < CHUNK:
                end = _end_of_record(path, view, first + len(records.payloads), offset)
                records.offsets.append(offset)
                records.payloads.append(view[offset + HEADER.size : end - FOOTER.size])
                checksums.append(FOOTER.unpack_from(view, end - FOOTER.size)[0])
                offset = end
            if verify:
                _verify(path, records, checksums)
            yield records
            first += len(records.payloads)
            if progress is not None:
                progress(offset, size)


def _end_of_record(path: Path, view: mmap, number: int, offset: int) -> int:
    """Offset after the record at `offset`, once its length is trusted."""
    left = len(view) - offset
    if left < HEADER.size:
        raise corrupt(path, number, offset, f"the file is truncated, {left} bytes are left of a 12-byte header")
    length, checksum = HEADER.unpack_from(view, offset)
    if length_checksum(length) != checksum:
        raise corrupt(
            path,
            number,
            offset,
            f"length {length} should have the checksum {length_checksum(length):#010x} (got {checksum:#010x})",
        )
    wanted = HEADER.size + length + FOOTER.size
    if left < wanted:
        raise corrupt(path, number, offset, f"the file is truncated, {left} of the record's {wanted} bytes are there")
    return int(offset + wanted)


def _verify(path: Path, records: Records, checksums: list[int]) -> None:
    found = mask_many(crc32c_many(records.payloads))
    wrong = np.flatnonzero(found != np.array(checksums, dtype=np.uint32))
    if len(wrong):
        index = int(wrong[0])
        raise records.corrupt(
            path, index, f"the payload has the checksum {int(found[index]):#010x}, stored is {checksums[index]:#010x}"
        )


def frame(payload: bytes) -> bytes:
    """One record around `payload`."""
    header = len(payload).to_bytes(8, "little")
    return header + FOOTER.pack(mask(crc32c(header))) + payload + FOOTER.pack(mask(crc32c(payload)))


def write_records(path: Path, payloads: Iterable[bytes]) -> None:
    """A TFRecord file of these payloads; meant for small files such as extracts and tests."""
    with path.open("wb") as stream:
        stream.writelines(map(frame, payloads))
