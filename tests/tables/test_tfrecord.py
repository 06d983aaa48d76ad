from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphnas.errors import CorruptFile
from graphnas.tables import tfrecord
from graphnas.tables.tfrecord import frame, looks_like_tfrecord, read_records, write_records

SHORT = bytes.fromhex("0a00000000000000 aea3bf3a 30313233343536373839 f03abfaf")


def payloads(path: Path, verify: bool = True) -> list[bytes]:
    return [payload for records in read_records(path, verify) for payload in records.payloads]


def test_known_record_of_26_bytes(tmp_path: Path) -> None:
    assert frame(b"0123456789") == SHORT
    (tmp_path / "a").write_bytes(SHORT)
    assert payloads(tmp_path / "a") == [b"0123456789"]


def test_real_record_is_rebuilt_byte_for_byte(
    official_record: dict[str, Any], payload_of: Callable[[dict[str, Any]], bytes]
) -> None:
    payload = payload_of(official_record)
    record = frame(payload)
    assert len(payload) == 401
    assert record[8:12] == (0x9BED2598).to_bytes(4, "little")  # both checksums as stored in nasbench_full.tfrecord
    assert record[-4:] == (0x03691668).to_bytes(4, "little")


def test_chunks_keep_order_numbers_and_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfrecord, "CHUNK", 3)
    wanted = [bytes([number]) * number for number in range(8)]
    write_records(tmp_path / "a", wanted)
    seen: list[tuple[int, int]] = []
    chunks = list(read_records(tmp_path / "a", progress=lambda done, total: seen.append((done, total))))
    assert [payload for chunk in chunks for payload in chunk.payloads] == wanted
    assert [chunk.first for chunk in chunks] == [0, 3, 6]
    assert [offset for chunk in chunks for offset in chunk.offsets] == [sum(16 + k for k in range(n)) for n in range(8)]
    size = (tmp_path / "a").stat().st_size
    assert len(seen) == 3 and seen[-1] == (size, size)


def test_recognised_by_the_checksum_of_its_first_length() -> None:
    assert looks_like_tfrecord(SHORT)
    assert not looks_like_tfrecord(b"matrix,ops,accuracy\n")
    assert not looks_like_tfrecord(SHORT[:11])


@pytest.mark.parametrize("cut", [1, 11, 12, 25])
def test_truncated_file(tmp_path: Path, cut: int) -> None:
    (tmp_path / "a").write_bytes(SHORT + SHORT[:cut])
    with pytest.raises(CorruptFile, match=r"record 1 at byte 26: the file is truncated"):
        payloads(tmp_path / "a", verify=False)


def test_bad_length(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(SHORT + b"\x0b" + SHORT[1:])
    with pytest.raises(CorruptFile, match=r"record 1 at byte 26: length 11 should have the checksum"):
        payloads(tmp_path / "a", verify=False)


@pytest.mark.parametrize("place", [12, 21, 22])
def test_bad_payload_or_checksum(tmp_path: Path, place: int) -> None:
    broken = bytearray(SHORT)
    broken[place] ^= 1
    (tmp_path / "a").write_bytes(SHORT + broken + SHORT)
    with pytest.raises(CorruptFile, match=r"record 1 at byte 26: the payload has the checksum 0x"):
        payloads(tmp_path / "a")
    assert len(payloads(tmp_path / "a", verify=False)) == 3


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(CorruptFile, match="empty"):
        payloads(tmp_path / "a")
