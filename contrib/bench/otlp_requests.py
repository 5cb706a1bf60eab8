"""OTLP requests as coding agents send them, made by a seed: the same spans as protobuf and as JSON."""

import json
import random
import struct

MODELS = ["gpt-5-codex", "gpt-5", "o4-mini"]
TOOLS = ["shell", "apply_patch", "read_file", "web_search", "update_plan"]
BEGIN = 1_780_000_000_000_000_000


def span(random_bits, number, session, trace, parent):
    """One span: name, ids, times and attributes."""
    begin = BEGIN + number * 1_000_000
    attributes = {"session.id": session, "originator": "codex_cli_rs", "model": MODELS[number % 3]}
    kind = number % 4
    if kind == 0:
        name = "session_task.turn"
        attributes |= {"turn.id": f"{random_bits.getrandbits(48):012x}", "tokens.input": random_bits.randrange(120_000),
                       "tokens.cached_input": random_bits.randrange(60_000), "tokens.output": random_bits.randrange(4000),
                       "approval_policy": "on-request", "sandbox_policy": "workspace-write"}
    elif kind == 3:
        name = "stream_request"
        attributes |= {"http.request.method": "POST", "server.address": "api.example.com", "attempt": 1 + number % 3,
                       "http.response.status_code": 200, "ttft_ms": round(random_bits.uniform(80, 2500), 3),
                       "request.id": f"req_{random_bits.getrandbits(128):032x}", "stream": True}
    else:
        name = "exec_command"
        attributes |= {"tool.name": TOOLS[number % 5], "call.id": f"call_{random_bits.getrandbits(96):024x}",
                       "exit.code": 0, "success": True, "output.bytes": random_bits.randrange(65_536),
                       "command": f"rg -n 'fn main' --type rust src/{random_bits.randrange(1000)}",
                       "cwd": f"/home/dev/project-{random_bits.randrange(40)}"}
    return {"trace": trace, "id": random_bits.randbytes(8), "parent": parent, "name": name, "begin": begin,
            "end": begin + random_bits.randrange(1_000_000, 2_000_000_000), "attributes": attributes}


def requests(count, spans, seed=7):
    """`count` requests of so many spans each, as models."""
    random_bits = random.Random(seed)
    for request in range(count):
        session = f"{random_bits.getrandbits(128):032x}"
        made, trace, parent = [], b"", b""
        for number in range(spans):
            if number % 16 == 0:
                trace, parent = random_bits.randbytes(16), b""
            made.append(span(random_bits, request * spans + number, session, trace, parent))
            parent = parent or made[-1]["id"]
        yield {"resource": {"service.name": "codex_exec", "service.version": "0.163.0", "env": "prod", "host.name": "dev"},
               "scope": "codex_core", "spans": made}


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, content):
    """A field of bytes, text or a message; nothing where it is empty."""
    if isinstance(content, str):
        content = content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content if content else b""


def attribute_fields(number, attributes):
    out = b""
    for key, value in attributes.items():
        if isinstance(value, bool):
            coded = varint(2 << 3) + varint(value)
        elif isinstance(value, int):
            coded = varint(3 << 3) + varint(value)
        elif isinstance(value, float):
            coded = varint(4 << 3 | 1) + struct.pack("<d", value)
        else:
            coded = varint(1 << 3 | 2) + varint(len(value)) + value.encode()
        out += field(number, field(1, key) + field(2, coded))
    return out


def protobuf(request):
    """An ExportTraceServiceRequest."""
    spans = b""
    for each in request["spans"]:
        spans += field(2, field(1, each["trace"]) + field(2, each["id"]) + field(4, each["parent"]) + field(5, each["name"])
                       + varint(6 << 3) + varint(1) + varint(7 << 3 | 1) + struct.pack("<Q", each["begin"])
                       + varint(8 << 3 | 1) + struct.pack("<Q", each["end"]) + attribute_fields(9, each["attributes"]))
    return field(1, field(1, attribute_fields(1, request["resource"])) + field(2, field(1, field(1, request["scope"])) + spans))


def json_attributes(attributes):
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [{"key": key, "value": {kinds[type(value)]: str(value) if type(value) is int else value}}
            for key, value in attributes.items()]


def as_json(request):
    spans = [{"traceId": each["trace"].hex(), "spanId": each["id"].hex(), "parentSpanId": each["parent"].hex(),
              "name": each["name"], "kind": 1, "startTimeUnixNano": str(each["begin"]), "endTimeUnixNano": str(each["end"]),
              "attributes": json_attributes(each["attributes"])} for each in request["spans"]]
    whole = {"resourceSpans": [{"resource": {"attributes": json_attributes(request["resource"])},
                                "scopeSpans": [{"scope": {"name": request["scope"]}, "spans": spans}]}]}
    return json.dumps(whole, separators=(",", ":")).encode()


def write(path, coding, count, spans):
    """Such requests in a file, each behind its length; the bytes of one on average."""
    bodies = [coding(request) for request in requests(count, spans)]
    path.write_bytes(b"".join(struct.pack("<I", len(body)) + body for body in bodies))
    return sum(map(len, bodies)) / len(bodies)
