"""Seeded OTLP requests that set every field of every message, found by walking the descriptors."""

from __future__ import annotations

import random
from typing import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from messages import REQUESTS, SIGNALS, is_message, is_repeated, is_unknown, name

TEXTS = ("", "a", "service.name", "codex.turn", "GET /", "ü", "日本語", "𝄞", "\x00\x1f\x7f",
         "line\nbreak\t\"quoted\" \\", "\u2028\u202e", "x" * 127, "y" * 128, "z" * 5000)
KEYS = ("k", "k", "thread.id", "model", "duration_ms", "", "ключ", "long." * 40)
DOUBLES = (0.0, -0.0, 1.0, -1.5, 0.1, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"),
           float("nan"), 1e21, 123456789.125)
LENGTHS = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}
RANGES = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SINT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_FIXED32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_FIXED64: (0, (1 << 64) - 1),
}
# Records that a batch may hold: OTLP's own rules say so of each.
ALWAYS = {("Metric", "data"), ("Status", "code")}


class Generator:
    """Fills requests. `unknown`: also the fields that the agent does not know."""

    def __init__(self, seed: int, unknown: bool = False) -> None:
        self.random = random.Random(seed)
        self.unknown = unknown
        self.covered: set[tuple[str, str]] = set()

    def request(self, signal: str) -> Message:
        message = REQUESTS[signal]()
        self.density = self.random.choice((0.15, 0.5, 0.85, 1.0))
        self.fill(message, 0)
        self.duplicate(message)
        return message

    def duplicate(self, request: Message) -> None:
        """Now and then a resource, or a scope, comes twice, with other records between."""
        _, resources = request.ListFields()[0] if request.ListFields() else (None, None)
        if resources and self.random.random() < 0.3:
            copy = resources.add()
            copy.CopyFrom(resources[0])

    def fill(self, message: Message, depth: int) -> None:
        descriptor = message.DESCRIPTOR
        chosen = {oneof.name: self.random.choice(
            [f for f in oneof.fields if self.knows(f) and (depth < 14 or not is_message(f))])
            for oneof in descriptor.oneofs if not oneof.name.startswith("_")}
        for field in descriptor.fields:
            oneof = field.containing_oneof
            if not self.knows(field):
                continue
            if oneof is not None and oneof.name in chosen and field is not chosen[oneof.name]:
                continue
            is_set = (name(descriptor), oneof.name if oneof else field.name) in ALWAYS
            if not is_set and self.random.random() > self.density:
                continue
            self.covered.add((name(descriptor), field.name))
            self.set(message, field, depth)

    def knows(self, field: FieldDescriptor) -> bool:
        return self.unknown or not is_unknown(field)

    def set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if is_repeated(field):
            count = self.random.choice((1, 1, 2, 3)) if depth < 12 else 1
            values = getattr(message, field.name)
            for _ in range(count):
                if is_message(field):
                    self.fill(values.add(), depth + 1)
                else:
                    values.append(self.scalar(field))
        elif is_message(field):
            part = getattr(message, field.name)
            part.SetInParent()
            self.fill(part, depth + 1)
        else:
            setattr(message, field.name, self.scalar(field))

    def scalar(self, field: FieldDescriptor) -> object:
        kind, pick = field.type, self.random
        if kind == FieldDescriptor.TYPE_STRING:
            return pick.choice(KEYS if field.name == "key" else TEXTS)
        if kind == FieldDescriptor.TYPE_BYTES:
            if field.name in LENGTHS:
                return pick.randbytes(LENGTHS[field.name])
            return pick.randbytes(pick.choice((0, 1, 7, 300)))
        if kind == FieldDescriptor.TYPE_BOOL:
            return pick.random() < 0.5
        if kind == FieldDescriptor.TYPE_ENUM:
            # A record of an unknown kind is rejected; the mask of flags is not an enumeration's value.
            return pick.choice([v.number for v in field.enum_type.values])
        if kind == FieldDescriptor.TYPE_DOUBLE:
            return pick.choice(DOUBLES) if pick.random() < 0.7 else pick.gauss(0, 1e6)
        low, high = RANGES[kind]
        if field.name.endswith("time_unix_nano") and pick.random() < 0.8:
            return 1_790_000_000_000_000_000 + pick.randrange(10**15)
        return pick.choice((low, high, 0, 1, 127, 128, pick.randint(low, high)))


def requests(seed: int, count: int, unknown: bool = False) -> Iterator[tuple[str, Message]]:
    """So many requests, the signals in turn."""
    generator = Generator(seed, unknown)
    for index in range(count):
        signal = SIGNALS[index % 3]
        yield signal, generator.request(signal)


def covered(seed: int, count: int) -> set[tuple[str, str]]:
    """The (message, field) that such a corpus sets."""
    generator = Generator(seed)
    for index in range(count):
        generator.request(SIGNALS[index % 3])
    return generator.covered
