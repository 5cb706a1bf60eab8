"""Requests as lists of (resource, scope, record), to be compared.

Equal resources and equal scopes are merged, and containers without records are dropped; what is left is
compared to the bit. One difference means nothing, and is evened out (contrib/protocol/otlp.md,
"Normalisations"): a `KeyValue` without a value has an empty one.
"""

from __future__ import annotations

from typing import Iterator

from google.protobuf.message import Message

from messages import UNKNOWN, name, walk

Flat = dict[tuple[bytes, ...], list[bytes]]


def flatten(request: Message) -> Flat:
    """The records of each (resource, scope), in their order; a point's record has its metric."""
    flat: Flat = {}
    for key, record in records(request):
        flat.setdefault(key, []).append(record)
    return flat


def count(request: Message) -> int:
    return sum(1 for _ in records(request))


def records(request: Message) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    request = normal(request)
    for container in listed(request, 0):
        resource = frozen(container.resource)
        for scoped in listed(container, 1):
            key = (resource, container.schema_url.encode(), frozen(scoped.scope),
                   scoped.schema_url.encode())
            for record in listed(scoped, 1):
                if name(record.DESCRIPTOR) == "Metric":
                    yield from ((key, point) for point in points(record))
                else:
                    yield key, frozen(record)


def listed(message: Message, index: int) -> list[Message]:
    """The repeated field that holds the next level."""
    return getattr(message, message.DESCRIPTOR.fields[index].name)


def points(metric: Message) -> Iterator[bytes]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    held = [frozen(point) for point in data.data_points]
    bare = type(metric)()
    bare.CopyFrom(metric)
    del getattr(bare, kind).data_points[:]
    yield from (frozen(bare) + b"|" + point for point in held)


def frozen(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def normal(request: Message) -> Message:
    copy = type(request)()
    copy.CopyFrom(request)
    for message in walk(copy):
        kind = name(message.DESCRIPTOR)
        if kind == "KeyValue" and not message.HasField("value"):
            message.value.SetInParent()
        for owner, field in UNKNOWN:
            if kind == owner:
                message.ClearField(field)
        message.DiscardUnknownFields()
    return copy
