"""Frames of wire.md and spool files of spool.md."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from typing import Any, Iterator

from batch_reader import read_batch
from wire_bytes import Reader, WireError, crc32c

FRAME = struct.Struct("<IBBHI")
FRAME_BYTES_MAX = 4 << 20
SMALL_FRAME_BYTES_MAX = 64 << 10
HELLO, BATCH, GOODBYE, WELCOME, ACK, THROTTLE, ERROR = 1, 2, 3, 0x81, 0x82, 0x83, 0x84
NAMES = {HELLO: "hello", BATCH: "batch", GOODBYE: "goodbye", WELCOME: "welcome", ACK: "ack",
         THROTTLE: "throttle", ERROR: "error"}


def frame(kind: int, body: bytes = b"") -> bytes:
    """One frame, as a peer of either side writes it."""
    return FRAME.pack(len(body), kind, 0, 0, crc32c(body)) + body


def read_frame(data: bytes, at: int = 0) -> tuple[int, bytes, int]:
    """The frame at `at`: its type, its body, and where the next begins."""
    if len(data) - at < FRAME.size:
        raise WireError("truncated", at, "a frame's header")
    length, kind, version, _, checksum = FRAME.unpack_from(data, at)
    if version != 0:
        raise WireError("unsupported_version", at + 5, f"frame version {version}")
    limit = FRAME_BYTES_MAX if kind != HELLO and kind < 0x80 else SMALL_FRAME_BYTES_MAX
    if length > limit:
        raise WireError("frame_too_large", at, f"a body of {length} bytes")
    start = at + FRAME.size
    if length > len(data) - start:
        raise WireError("truncated", start, f"a body of {length} bytes")
    body = data[start : start + length]
    if kind in NAMES and crc32c(body) != checksum:
        raise WireError("bad_checksum", start, "a frame's body")
    return kind, body, start + length


def _short_text(r: Reader, limit: int, what: str) -> str:
    at = r.pos
    length = r.varint()
    if length > limit:
        raise WireError("limit_exceeded", at, f"{what} of {length} bytes")
    try:
        return r.take(length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("bad_text", at, str(error)) from None


def read_hello(body: bytes) -> dict[str, Any]:
    if len(body) >= 4 and body[:4] != b"CXTL":
        raise WireError("bad_magic", 0, "not a hello")
    if len(body) >= 6 and body[4:6] != b"\0\0":
        raise WireError("unsupported_version", 4, "hello of another version")
    if len(body) < 40:
        raise WireError("truncated", 0, "a hello")
    _, _, fixed, producer, sequence, flags, _ = struct.unpack_from("<4sHH16sQII", body)
    if fixed < 40:
        raise WireError("bad_value", 6, f"a hello's fixed part of {fixed} bytes")
    if fixed > len(body):
        raise WireError("truncated", 6, f"a hello's fixed part of {fixed} bytes")
    if not any(producer):
        raise WireError("bad_value", 8, "the producer id is zero")
    r = Reader(body, fixed)
    count = r.varint()
    if count > 64:
        raise WireError("limit_exceeded", fixed, f"{count} keys")
    keys = [(_short_text(r, 64, "a key"), _short_text(r, 1024, "a value")) for _ in range(count)]
    return {"producer": producer, "next_sequence": sequence, "flags": flags, "keys": keys}


def read_welcome(body: bytes) -> dict[str, Any]:
    if len(body) < 56:
        raise WireError("truncated", 0, "a welcome")
    version, fixed, limit, log_id, highest, in_flight, synced, _ = struct.unpack_from(
        "<HHI16sQQQQ", body)
    if version != 0:
        raise WireError("unsupported_version", 0, "welcome of another version")
    if not 56 <= fixed <= len(body):
        raise WireError("truncated", 2, "a welcome")
    return {"body_bytes_max": limit, "log_id": log_id, "highest": highest,
            "in_flight_bytes_max": in_flight, "synced": synced}


def read_ack(body: bytes) -> dict[str, Any]:
    if len(body) < 24:
        raise WireError("truncated", 0, "an ack")
    return dict(zip(("sequence", "offset", "synced"), struct.unpack_from("<QQQ", body)))


def read_throttle(body: bytes) -> dict[str, Any]:
    if len(body) < 8:
        raise WireError("truncated", 0, "a throttle")
    reason, _, wait = struct.unpack_from("<HHI", body)
    return {"reason": reason, "wait_ms": wait}


def read_error(body: bytes) -> dict[str, Any]:
    if len(body) < 16:
        raise WireError("truncated", 0, "an error")
    code, flags, _, sequence = struct.unpack_from("<HHIQ", body)
    return {"code": code, "flags": flags, "sequence": sequence,
            "message": _short_text(Reader(body, 16), 1024, "a message")}


READERS = {HELLO: read_hello, WELCOME: read_welcome, ACK: read_ack, THROTTLE: read_throttle,
           ERROR: read_error}


def check_client_stream(data: bytes) -> None:
    """Everything that a client sends, as an agent hears it; raises the first error."""
    at, producer = 0, None
    while at < len(data):
        if len(data) - at < FRAME.size:
            raise WireError("truncated", at, "a frame's header")
        length, kind, version, _, _ = FRAME.unpack_from(data, at)
        if version != 0:
            raise WireError("unsupported_version", at + 5, f"frame version {version}")
        if length > (SMALL_FRAME_BYTES_MAX if kind == HELLO else FRAME_BYTES_MAX):
            raise WireError("frame_too_large", at, f"a body of {length} bytes")
        if producer is None and kind != HELLO:
            raise WireError("bad_magic", at, "the first frame is not a hello")
        if producer is not None and (kind == HELLO or kind in NAMES and kind >= 0x80):
            raise WireError("unexpected_frame", at, f"a {NAMES[kind]}")
        kind, body, after = read_frame(data, at)
        if kind == HELLO:
            producer = read_hello(body)["producer"]
        elif kind == BATCH:
            header = read_batch(body).header
            if header["producer"] != producer:
                raise WireError("wrong_producer", at, "a batch of another producer")
        at = after


@dataclass
class SpoolFile:
    """A spool file: its frames, and the ranges that are none."""

    producer: bytes = b""
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)
    torn: tuple[int, int] | None = None

    @property
    def batches(self) -> list[bytes]:
        return [body for kind, body in self.frames if kind == BATCH]

    @property
    def is_whole(self) -> bool:
        return not self.damaged and self.torn is None


def _sound(data: bytes, at: int) -> tuple[int, bytes] | None:
    """The frame of a spool file that stands there, if a sound one does."""
    if len(data) - at < FRAME.size:
        return None
    length, kind, version, _, checksum = FRAME.unpack_from(data, at)
    limit = FRAME_BYTES_MAX if kind == BATCH else SMALL_FRAME_BYTES_MAX
    body = data[at + FRAME.size:at + FRAME.size + length]
    if (version or kind != BATCH and (kind != HELLO or at) or length > limit
            or len(body) < length or crc32c(body) != checksum):
        return None
    if kind == HELLO:
        try:
            read_hello(body)
        except WireError:
            return None
    return kind, body


def _torn(data: bytes, at: int) -> bool:
    if len(data) - at < FRAME.size:
        return True
    length, kind, version, _, _ = FRAME.unpack_from(data, at)
    limit = {BATCH: FRAME_BYTES_MAX, HELLO: SMALL_FRAME_BYTES_MAX}.get(kind, -1)
    if version == 0 and length <= limit:
        return at + FRAME.size + length > len(data)
    return not any(data[at:])


def parse_spool(data: bytes, name: str) -> SpoolFile:
    """What spool.md, "Reading", takes of a file of this name. The bound on the work is not the witness's affair."""
    result, at = SpoolFile(), 0
    if len(name) == 38 and name.endswith(".spool"):
        try:
            result.producer = bytes.fromhex(name[:32])
        except ValueError:
            pass
    while at < len(data):
        found = _sound(data, at)
        if found:
            if found[0] == HELLO:
                result.producer = read_hello(found[1])["producer"]
            result.frames.append(found)
            at += FRAME.size + len(found[1])
            continue
        after = at + 1
        while result.producer and (after := data.find(result.producer, after + 20)) >= 0:
            after -= 20
            again = _sound(data, after)
            if again and again[0] == BATCH and len(again[1]) >= 64:
                break
            after += 1
        else:
            after = -1
        if after < 0 and _torn(data, at):
            result.torn = (at, len(data) - at)
        else:
            result.damaged.append((at, (len(data) if after < 0 else after) - at))
        at = len(data) if after < 0 else after
    return result


def read_spool(path: str) -> SpoolFile:
    """A spool file's content."""
    with open(path, "rb") as file:
        return parse_spool(file.read(), os.path.basename(path))


def frames_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every frame of a complete stream."""
    at = 0
    while at < len(data):
        kind, body, at = read_frame(data, at)
        yield kind, body
