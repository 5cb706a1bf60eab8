"""OTLP's JSON, written and read by the official descriptors: protobuf's mapping, but identifiers are
hexadecimal and enumerations numbers."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from corpus import LENGTHS, RANGES
from messages import is_message, is_repeated, is_unknown

WIDE = {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64}
ODD_DOUBLES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Writer:
    """Writes messages. `liberties`: in one of the ways that readers must accept."""

    def __init__(self, seed: int = 0, liberties: bool = False) -> None:
        self.random = random.Random(seed)
        self.liberties = liberties

    def text(self, message: Message) -> str:
        value = self.object(message)
        if not self.liberties:
            return json.dumps(value, ensure_ascii=False)
        return json.dumps(value, ensure_ascii=self.maybe(), indent=1 if self.maybe(0.1) else None)

    def maybe(self, probability: float = 0.5) -> bool:
        return self.liberties and self.random.random() < probability

    def object(self, message: Message) -> dict[str, Any]:
        members = []
        for field, value in message.ListFields():
            key = field.name if self.maybe(0.2) else field.json_name
            if is_repeated(field):
                members.append((key, [self.value(field, one) for one in value]))
            else:
                members.append((key, self.value(field, value)))
        if self.maybe(0.3):
            members += self.defaults(message)
            self.random.shuffle(members)
        return dict(members)

    def defaults(self, message: Message) -> list[tuple[str, Any]]:
        """Members that say what is so without them: null, and what has no presence."""
        found: list[tuple[str, Any]] = []
        given = {field.name for field, _ in message.ListFields()}
        for field in message.DESCRIPTOR.fields:
            if field.name in given or self.random.random() < 0.5:
                continue
            if is_repeated(field):
                found.append((field.json_name, []))
            elif field.has_presence or is_unknown(field) or self.maybe(0.3):
                found.append((field.json_name, None))
            else:
                found.append((field.json_name, self.value(field, field.default_value)))
        return found

    def value(self, field: FieldDescriptor, value: Any) -> Any:
        if is_message(field):
            return self.object(value)
        if field.type == FieldDescriptor.TYPE_BYTES:
            if field.name not in LENGTHS:
                return base64.b64encode(value).decode()
            return value.hex().upper() if self.maybe(0.2) else value.hex()
        if field.type == FieldDescriptor.TYPE_DOUBLE:
            if value != value:
                return "NaN"
            if value in (float("inf"), float("-inf")):
                return "Infinity" if value > 0 else "-Infinity"
            return repr(value) if self.maybe(0.2) else value
        if field.type == FieldDescriptor.TYPE_ENUM:
            if self.maybe(0.3) and not field.name == "flags":
                return field.enum_type.values_by_number[value].name
            return value
        if field.type in WIDE:
            return value if self.maybe(0.4) else str(value)
        if field.type in RANGES:
            return str(value) if self.maybe(0.2) else value
        return value


def read(message: Message, text: bytes) -> Message:
    """Fills a message with JSON as a strict reader takes it."""
    return fill(message, json.loads(text, parse_constant=refuse, object_pairs_hook=unique))


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError(f"a key twice in {pairs}")
    return dict(pairs)


def fill(message: Message, value: dict[str, Any]) -> Message:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} for a {message.DESCRIPTOR.name}")
    fields = {field.json_name: field for field in message.DESCRIPTOR.fields}
    for key, given in value.items():
        field = fields[key]
        if is_repeated(field):
            values = getattr(message, field.name)
            for one in given:
                if is_message(field):
                    fill(values.add(), one)
                else:
                    values.append(scalar(field, one))
        elif is_message(field):
            part = getattr(message, field.name)
            part.SetInParent()
            fill(part, given)
        else:
            setattr(message, field.name, scalar(field, given))
    return message


def read_leniently(message: Message, text: bytes) -> Message:
    """Fills a message with JSON as senders write it: null is nothing, wide integers may be numbers."""
    return fill(message, lenient(message.DESCRIPTOR, json.loads(text)))


def lenient(descriptor: Descriptor, value: dict[str, Any]) -> dict[str, Any]:
    """The same object as a strict reader would have it."""
    fields = {field.json_name: field for field in descriptor.fields}
    found = {}
    for key, given in value.items():
        field = fields[key]
        if given is None:
            continue
        if is_message(field):
            found[key] = ([lenient(field.message_type, one) for one in given]
                          if is_repeated(field) else lenient(field.message_type, given))
        elif field.type in WIDE:
            found[key] = [str(one) for one in given] if is_repeated(field) else str(given)
        else:
            found[key] = given
    return found


def scalar(field: FieldDescriptor, value: Any) -> Any:
    """A value of exactly the type that the mapping gives."""
    kind = field.type
    if kind == FieldDescriptor.TYPE_BYTES:
        if field.name not in LENGTHS:
            return base64.b64decode(value, validate=True)
        if not re.fullmatch("[0-9a-f]*", value):
            raise ValueError(f"{value} for {field.name}")
        return bytes.fromhex(value)
    if kind == FieldDescriptor.TYPE_DOUBLE:
        return ODD_DOUBLES[value] if isinstance(value, str) else float(value)
    if kind in WIDE:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} for {field.name}")
        return int(value)
    wanted: type = int if kind in RANGES or kind == FieldDescriptor.TYPE_ENUM else (
        bool if kind == FieldDescriptor.TYPE_BOOL else str)
    if type(value) is not wanted:
        raise ValueError(f"{value!r} for {field.name}")
    return value
