"""TensorBoard event files, written without TensorFlow: protocol-buffer messages in checksummed records.

A record is its length (8 bytes), the length's checksum (4), the message, the message's checksum (4). The few fields
that are used here, by number: Event {1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log},
Summary {1 value}, Value {1 tag, 2 simple_value, 4 image}, Image {1 height, 2 width, 3 channels, 4 encoded picture}.
"""

import struct
import time
from collections.abc import Mapping
from pathlib import Path

POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # how a field's value is written
SESSION_START = 1  # tells the reader to forget what older files say from this step on


def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        return value

    return tuple(entry(i) for i in range(256))


TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), RFC 3720 appendix B.4."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def checksum(data: bytes) -> bytes:
    """The masked checksum of a record: rotated by 15 bits, plus a constant."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, kind: int, value: bytes) -> bytes:
    size = varint(len(value)) if kind == BYTES else b""
    return varint(number << 3 | kind) + size + value


def record(message: bytes) -> bytes:
    length = struct.pack("<Q", len(message))
    return length + checksum(length) + message + checksum(message)


def event(step: int, body: bytes) -> bytes:
    """A record of an Event at this step. `body`: the field that says what happened."""
    return record(field(1, FIXED64, struct.pack("<d", time.time())) + field(2, VARINT, varint(step)) + body)


def scalar(tag: str, value: float) -> bytes:
    return field(1, BYTES, field(1, BYTES, tag.encode()) + field(2, FIXED32, struct.pack("<f", value)))


def image(tag: str, png: bytes) -> bytes:
    """A PNG as it is; its size stands in its header."""
    width, height = struct.unpack(">II", png[16:24])
    sides = field(1, VARINT, varint(height)) + field(2, VARINT, varint(width)) + field(3, VARINT, varint(3))
    return field(1, BYTES, field(1, BYTES, tag.encode()) + field(4, BYTES, sides + field(4, BYTES, png)))


class EventFile:
    """A new event file in `folder`, for a run that goes on after step `start`."""

    def __init__(self, folder: Path, start: int):
        folder.mkdir(parents=True, exist_ok=True)
        count = len(list(folder.glob("events.out.tfevents.*")))  # readers take files in the order of their names
        self.path = folder / f"events.out.tfevents.{count:010d}.prodgen"
        self._append(event(0, field(3, BYTES, b"brain.Event:2")))
        if start:
            self._append(event(start + 1, field(7, BYTES, field(1, VARINT, varint(SESSION_START)))))

    def _append(self, data: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(data)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._append(event(step, field(5, BYTES, b"".join(scalar(tag, value) for tag, value in values.items()))))

    def picture(self, step: int, tag: str, png: bytes) -> None:
        self._append(event(step, field(5, BYTES, image(tag, png))))
