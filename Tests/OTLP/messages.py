"""The official classes of OTLP, and what their descriptors say."""

from __future__ import annotations

from typing import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

SIGNALS = ("traces", "logs", "metrics")
REQUESTS = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}

# Fields of status "Development", which the agent does not know: contrib/protocol/otlp.md.
UNKNOWN = {("Resource", "entity_refs"), ("KeyValue", "key_strindex"),
           ("AnyValue", "string_value_strindex")}


def is_repeated(field: FieldDescriptor) -> bool:
    return field.is_repeated


def is_message(field: FieldDescriptor) -> bool:
    return field.type == FieldDescriptor.TYPE_MESSAGE


def is_unknown(field: FieldDescriptor) -> bool:
    return (name(field.containing_type), field.name) in UNKNOWN


def name(descriptor: Descriptor) -> str:
    """A message's name without its package: `Span.Event`."""
    return descriptor.full_name.removeprefix(descriptor.file.package + ".")


def reachable(descriptor: Descriptor, seen: set[str] | None = None) -> Iterator[Descriptor]:
    """A message's type and all types within it."""
    seen = set() if seen is None else seen
    if descriptor.full_name in seen:
        return
    seen.add(descriptor.full_name)
    yield descriptor
    for field in descriptor.fields:
        if is_message(field):
            yield from reachable(field.message_type, seen)


def known_fields(signal: str) -> set[tuple[str, str]]:
    """All (message, field) that a request of the signal may have and the agent must keep."""
    unreachable = {"EntityRef"}
    return {(name(d), f.name) for d in reachable(REQUESTS[signal].DESCRIPTOR) for f in d.fields
            if name(d) not in unreachable} - UNKNOWN


def walk(message: Message) -> Iterator[Message]:
    """A message and all messages within it."""
    yield message
    for field, value in message.ListFields():
        if is_message(field):
            for part in value if is_repeated(field) else (value,):
                yield from walk(part)
