"""Spans, events and metrics for codex-telemetryd: one file, the standard library, one thread.

    import codex_telemetry as telemetry
    with telemetry.span("codex.tool", {"tool.name": "shell"}) as span:
        span.set("exit_code", 0)

Nothing here raises into the host program or blocks it. The formats are contrib/protocol/*.md.
"""

from __future__ import annotations

import atexit, contextlib, contextvars, fcntl, functools, json, os, pwd, random, re, select, socket
import stat, struct, sys, threading, time, urllib.parse
from collections import deque
from typing import Any, Callable, Iterable, Mapping, MutableMapping, NamedTuple

VERSION = "0.1"
NO_TRACE, NO_SCOPE = bytes(16), ("", "", "", 0, ())
TEXT_MAX, LIST_MAX, NESTING_MAX = 64 << 10, 4096, 32
MASK64 = (1 << 64) - 1

# Part 1: bytes (contrib/protocol/README.md), the batch (batch.md), frames (wire.md).

_CRC = [functools.reduce(lambda c, _: c >> 1 ^ (0x82F63B78 if c & 1 else 0), range(8), byte)
        for byte in range(256)]


def crc32c(data: bytes | bytearray) -> int:
    crc, table = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def frame(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("<IBBHI", len(body), kind, 0, 0, crc32c(body)) + body


def hello(producer: bytes, sequence: int, flags: int, pairs: Iterable[Iterable[str]]) -> bytes:
    pairs = list(pairs)
    body = bytearray(struct.pack("<4sHH16sQII", b"CXTL", 0, 40, producer, sequence, flags, 0))
    _varint(body, len(pairs))
    for text in (text.encode() for pair in pairs for text in pair):
        _varint(body, len(text))
        body += text
    return frame(1, bytes(body))


def _varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _zigzag(out: bytearray, value: int) -> None:
    value = (value + (1 << 63) & MASK64) - (1 << 63)  # Time differences count modulo 2^64.
    _varint(out, value << 1 if value >= 0 else ~value << 1 | 1)


class Pairs(list):
    """(key, value) pairs where order and repeated keys matter; a mapping serves elsewhere."""


class Metric(NamedTuple):
    kind: int  # 1 gauge, 2 sum, 3 histogram, 4 exponential histogram, 5 summary
    name: str
    unit: str = ""
    temporality: int = 0  # 1 delta, 2 cumulative
    monotonic: bool = False
    description: str = ""
    scope: tuple = NO_SCOPE  # name, version, schema URL, dropped attributes, attributes
    metadata: Any = None


# Fixed fields, then optional ones after their presence bit, each `key:writer`, as in batch.md.
_COMMON = "0 start:start 1 attributes:pairs 2 exemplars:exemplars 3 flags:varint "
_LAYOUTS = {
    1: "trace_id:trace span_id:raw name:text start:time end:end 5 parent_span_id:raw "
       "6 attributes:pairs 7 scope:scope 8 status_message:text 9 trace_state:text 10 flags:varint "
       "11 events:events 12 links:links 13 dropped:varints",
    2: "0 time:time 1 trace_id:trace 2 span_id:raw 3 severity:varint 4 event_name:text 5 body:body "
       "6 attributes:pairs 7 scope:scope 8 observed:time 9 severity_text:text 10 flags:varint "
       "11 dropped:varint",
    3: "metric:metric time:time " + _COMMON + "4 int:zigzag 5 double:f64",
    4: "metric:metric time:time count:varint bounds:bounds buckets:buckets " + _COMMON
       + "4 sum:f64 5 min:f64 6 max:f64",
    5: "metric:metric time:time count:varint scale:zigzag zero_count:varint " + _COMMON
       + "4 sum:f64 5 min:f64 6 max:f64 7 zero_threshold:f64 8 positive:side 9 negative:side",
    6: "metric:metric time:time count:varint sum:f64 quantiles:quantiles " + _COMMON,
    "event": "time:time name:text 0 attributes:pairs 1 dropped:varint",
    "link": "trace_id:trace span_id:raw 0 attributes:pairs 1 trace_state:text 2 flags:varint "
            "3 dropped:varint",
    "exemplar": "time:time 0 attributes:pairs 1 trace_id:trace 2 span_id:raw 3 int:zigzag "
                "4 double:f64",
    "descriptor": "name:text description:text unit:text scope:scope 6 metadata:pairs",
    "scope": "name:text version:text schema_url:text dropped:varint attributes:pairs",
}


# Writers: (out, value, the values that it is one of, what times count from).
_WRITERS: dict[str, Callable[..., Any]] = {
    "raw": lambda out, value, *_: out.extend(value),
    "f64": lambda out, value, *_: out.extend(struct.pack("<d", value)),
    "varint": lambda out, value, *_: _varint(out, value),
    "varints": lambda out, values, *_: [_varint(out, value) for value in values],
    "zigzag": lambda out, value, *_: _zigzag(out, value),
    "time": lambda out, value, _, origin: _zigzag(out, value - origin),
    "start": lambda out, value, point, _: _zigzag(out, value - point["time"]),
    "end": lambda out, value, span, _: _varint(out, value - span["start"] & MASK64),
}


class Encoder:
    """One batch, in the reference encoding of batch.md, so that the bytes are the vectors'."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.layouts = {
            name: [(int(bit) if bit else None, key, _WRITERS.get(how) or getattr(self, "_" + how))
                   for bit, key, how in re.findall(r"(?:(\d+) )?(\w+):(\w+)", layout)]
            for name, layout in _LAYOUTS.items()}
        # Each table: its entries' numbers, and its content.
        self.tables: dict[str, tuple[dict[Any, int], bytearray]] = {
            name: ({}, bytearray()) for name
            in ("strings", "traces", "scopes", "metrics", "bounds")}

    def encode(self, producer: bytes, sequence: int, records: list[dict[str, Any]],
               resource: tuple[str, int, Any] = ("", 0, ()), threshold: int = 0,
               dropped: Iterable[int] = (0, 0, 0)) -> bytes:
        resource_bytes, body = bytearray(), bytearray()
        if any(resource):
            self._text(resource_bytes, resource[0])
            _varint(resource_bytes, resource[1])
            self._pairs(resource_bytes, resource[2])
        for record in records:
            # What a record refers to comes into its table before the record's own texts do.
            self._scope(bytearray(), record.get("scope") or NO_SCOPE)
            if metric := record.get("metric"):
                self._metric(bytearray(), metric)
            self._bounds(bytearray(), record.get("bounds") or ())
            flags, content = self._fields(record["type"], record, self.base)
            if record["type"] == 1:
                flags |= record.get("kind", 0) | record.get("status", 0) << 3
            body.append(record["type"])
            self._sized(body, self._flagged(flags, content))
        out = bytearray(struct.pack("<HHI16s3Q", 0, 64, len(records), producer, sequence, self.base,
                                    threshold) + struct.pack("<4I", *dropped, 0))
        sections = {kind: self.tables[name] for kind, name in (
            (1, "strings"), (2, "traces"), (4, "scopes"), (5, "metrics"), (6, "bounds"))}
        for kind, (table, content) in sorted([*sections.items(), (3, ({}, resource_bytes)),
                                              (7, ({}, body))]):
            section = bytearray()
            if table:
                _varint(section, len(table))
            if content:
                out.append(kind)
                self._sized(out, section + content)
        return bytes(out)

    def _entry(self, out: bytearray, table: str, key: Any, content: Callable[[], bytes]) -> None:
        """Writes the number of an entry; adds it to its table at its first use."""
        entries, _ = self.tables[table]
        index = entries.get(key)
        if index is None:
            data = content()  # Which may add to other tables.
            index = entries[key] = len(entries) + 1
            self.tables[table][1].extend(data)
        _varint(out, index)

    def _size_first(self, content: bytearray) -> bytearray:
        out = bytearray()
        self._sized(out, content)
        return out

    def _fields(self, layout: Any, values: Mapping[str, Any],
                origin: int = 0) -> tuple[int, bytearray]:
        """(presence bits, fields) of `values`. What is None or empty is absent."""
        flags, out = 0, bytearray()
        for bit, key, write in self.layouts[layout]:
            if bit is None:
                write(out, values[key], values, origin)
            elif (value := values.get(key)) not in (None, [], {}, "", NO_SCOPE):
                flags |= 1 << bit
                write(out, value, values, origin)
        return flags, out

    @staticmethod
    def _flagged(flags: int, content: bytearray) -> bytearray:
        out = bytearray()
        _varint(out, flags)
        return out + content

    @staticmethod
    def _sized(out: bytearray, content: bytearray) -> None:
        _varint(out, len(content))
        out += content

    def _text(self, out: bytearray, text: str | bytes, *_: Any) -> None:
        index = self.tables["strings"][0].get(text) if text else 0
        if index is not None:
            _varint(out, index)
            return
        content = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        entry = bytearray()
        _varint(entry, len(content) << 1 | isinstance(text, bytes))
        self._entry(out, "strings", text, lambda: entry + content)

    def _pairs(self, out: bytearray, pairs: Any, *_: Any, depth: int = 0) -> None:
        pairs = list(pairs.items() if isinstance(pairs, Mapping) else pairs)[:LIST_MAX]
        _varint(out, len(pairs))
        for key, value in pairs:
            self._text(out, key if isinstance(key, str) else str(key))
            self._value(out, value, depth)

    def _value(self, out: bytearray, value: Any, depth: int = 0) -> None:
        if isinstance(value, str):
            out.append(1)
            self._text(out, value)
        elif isinstance(value, bool):
            out.append(3 if value else 2)
        elif isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            out.append(4)
            _zigzag(out, value)
        elif isinstance(value, float):
            out += struct.pack("<Bd", 5, value)
        elif isinstance(value, (bytes, bytearray)):
            out.append(6)
            self._text(out, bytes(value))
        elif value is None or depth == NESTING_MAX:
            out.append(0)
        elif isinstance(value, (Mapping, Pairs)):
            out.append(8)
            self._pairs(out, value, depth=depth + 1)
        elif isinstance(value, (list, tuple, set, frozenset)):
            out.append(7)
            _varint(out, len(values := list(value)[:LIST_MAX]))
            for item in values:
                self._value(out, item, depth + 1)
        else:
            self._value(out, str(value))

    def _body(self, out: bytearray, value: tuple[Any], *_: Any) -> None:
        self._value(out, value[0])  # A body may be the value none, so it comes as a 1-tuple.

    def _trace(self, out: bytearray, trace: bytes, *_: Any) -> None:
        if trace == NO_TRACE:
            out.append(0)
        else:
            self._entry(out, "traces", trace, lambda: trace)

    def _scope(self, out: bytearray, scope: tuple, *_: Any) -> None:
        names = ("name", "version", "schema_url", "dropped", "attributes")
        if scope == NO_SCOPE:
            out.append(0)
        else:
            self._entry(out, "scopes", repr(scope), lambda: self._size_first(
                self._fields("scope", dict(zip(names, scope)))[1]))

    def _metric(self, out: bytearray, metric: Metric, *_: Any) -> None:
        def content() -> bytearray:
            self._scope(bytearray(), metric.scope)
            flags, fields = self._fields("descriptor", metric._asdict())
            flags |= metric.kind | metric.temporality << 3 | metric.monotonic << 5
            return self._size_first(self._flagged(flags, fields))
        self._entry(out, "metrics", repr(metric), content)

    def _bounds(self, out: bytearray, bounds: tuple[float, ...], *_: Any) -> None:
        entry = bytearray()
        _varint(entry, len(bounds))
        entry += struct.pack(f"<{len(bounds)}d", *bounds)
        if bounds:
            self._entry(out, "bounds", bytes(entry), lambda: entry)
        else:
            out.append(0)

    def _buckets(self, out: bytearray, counts: list[int], *_: Any) -> None:
        _varint(out, len(counts))
        zeros = 0
        for count in [*counts, None]:
            if count == 0:
                zeros += 1
                continue
            if zeros:
                out.append(0)
                _varint(out, zeros - 1)
                zeros = 0
            if count:
                _varint(out, count)

    def _side(self, out: bytearray, side: tuple[int, list[int]], *_: Any) -> None:
        _zigzag(out, side[0])
        self._buckets(out, side[1])

    def _quantiles(self, out: bytearray, pairs: list[tuple[float, float]], *_: Any) -> None:
        _varint(out, len(pairs))
        for quantile, value in pairs:
            out += struct.pack("<dd", quantile, value)

    def _nested(self, out: bytearray, layout: str, items: list[Any], origin: int) -> None:
        _varint(out, len(items))
        for item in items:
            out += self._flagged(*self._fields(layout, item, origin))

    def _events(self, out: bytearray, items: list, span: Mapping[str, Any], _: int) -> None:
        self._nested(out, "event", items, span["start"])

    def _links(self, out: bytearray, items: list, *_: Any) -> None:
        self._nested(out, "link", items, 0)

    def _exemplars(self, out: bytearray, items: list, point: Mapping[str, Any], _: int) -> None:
        self._nested(out, "exemplar", items, point["time"])


# Part 2: whether to record, where the agent is, and which trace we are in (wire.md).

QUEUE_BYTES_MAX = UNACKED_BYTES_MAX = 8 << 20
BATCH_BYTES_MAX, BATCH_COST_MAX, BATCH_RECORDS_MAX = 4 << 20, 512 << 10, 512
ATTRIBUTES_MAX = EVENTS_MAX = 128
SERIES_MAX = 1000
FLUSH_S, EXIT_S, ACK_S, GRACE_S, WELCOME_S, BACKOFF_S_MAX = 0.1, 0.5, 0.05, 2.0, 5.0, 5.0
DRAIN_S = 2.0
SPOOL_FILE_BYTES_MAX, SPOOL_BYTES_MAX = 16 << 20, 64 << 20
CONTENT_FAULTS = {*range(0x01, 0x06), *range(0x10, 0x1A)}  # Would come again with the same bytes.
SYSTEM_SOCKET = "/run/codex-telemetry/ingest.sock"
DELTA = 1
DEFAULT_BOUNDS = tuple(map(float, (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000,
                                   7500, 10000)))
EXPORTERS = ("console", "otlp", "jaeger", "journald", "file", "none")
_warned: set[str] = set()


def _warn(message: str) -> None:
    if message not in _warned and sys.stderr:
        _warned.add(message)
        try:
            print(f"codex-telemetry: {message}", file=sys.stderr)
        except (OSError, ValueError):
            pass  # The host closed its stderr; there is nobody left to warn.


def _home(env: Mapping[str, str]) -> str:
    try:
        return env.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/nonexistent"


def is_enabled(env: Mapping[str, str]) -> bool:
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    value = env.get("CODEX_OTEL_ENABLED")
    if value is None:
        return os.path.exists(os.path.join(_home(env), ".codex/otel-config.yaml"))
    if (word := value.strip().lower()) in ("true", "1", "yes", "on"):
        return True
    if word not in ("false", "0", "no", "off", ""):
        _warn(f"CODEX_OTEL_ENABLED={value!r} is not true, 1, yes, on, false, 0, no or off; "
              "telemetry is off")
    return False


def threshold_of(env: Mapping[str, str]) -> int:
    """OpenTelemetry's rejection threshold: traces whose low 56 bits are below it are left out."""
    value = env.get("CODEX_OTEL_SAMPLE_RATE", "").strip() or "1.0"
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0.0 <= rate <= 1.0:
        _warn(f"CODEX_OTEL_SAMPLE_RATE={value!r} is not a number from 0.0 to 1.0; 1.0 is used")
        rate = 1.0
    return round((1.0 - rate) * (1 << 56))


def _xdg(env: Mapping[str, str], name: str) -> str | None:
    """A directory of the XDG base directory specification, which has relative paths ignored."""
    return value if (value := env.get(name, "")).startswith("/") else None


def socket_paths(env: Mapping[str, str]) -> list[str]:
    """In the order in which they are tried; a missing or refused one means the next."""
    uid, paths = os.geteuid(), [env.get("CODEX_TELEMETRY_SOCKET", "")]
    if runtime := _xdg(env, "XDG_RUNTIME_DIR"):
        paths.append(f"{runtime}/codex-telemetry/ingest.sock")
    try:
        if os.stat(f"/run/user/{uid}").st_uid == uid:
            paths.append(f"/run/user/{uid}/codex-telemetry/ingest.sock")
    except OSError:
        pass  # No user manager: there is no such directory.
    paths += [_home(env) + "/.codex/telemetry/ingest.sock", SYSTEM_SOCKET]
    return list(dict.fromkeys(filter(None, paths)))


def spool_directory(env: Mapping[str, str]) -> int | None:
    """A descriptor of the spool directory, checked after opening; None if there is none."""
    places = [(env.get("CODEX_TELEMETRY_STATE_DIR"), "/spool"),
              (_xdg(env, "XDG_STATE_HOME"), "/codex-telemetry/spool"),
              (_home(env), "/.local/state/codex-telemetry/spool"),
              (f"/tmp/codex-telemetry-{os.geteuid()}", "")]
    for path in (root + rest for root, rest in places if root):
        try:
            parts = path.rstrip("/").split("/")
            for i in range(2, len(parts) + 1):
                with contextlib.suppress(FileExistsError):
                    os.mkdir("/".join(parts[:i]), 0o700)
        except OSError:
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        status = os.fstat(fd)
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700:
            return fd
        os.close(fd)
        return None
    return None


class Context(NamedTuple):
    """Where we are in a trace."""

    trace_id: bytes
    span_id: bytes
    sampled: bool
    trace_state: str = ""
    threshold: int = 0


def context_from(env: Mapping[str, str]) -> Context | None:
    found = re.fullmatch(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?",
                         env.get("TRACEPARENT", "").strip())
    if not found or found[1] == "00" and found[5]:
        return None
    trace, span = bytes.fromhex(found[2]), bytes.fromhex(found[3])
    state = env.get("TRACESTATE", "").strip()
    th = re.search(r"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})(?:[;,]|$)", state)
    return Context(trace, span, bool(int(found[4], 16) & 1), state,
                   int(th[1].ljust(14, "0"), 16) if th else 0) if any(trace) and any(span) else None


def baggage_from(env: Mapping[str, str]) -> dict[str, str]:
    members = (m.split(";")[0].partition("=") for m in env.get("BAGGAGE", "").split(","))
    return {key.strip(): urllib.parse.unquote(value.strip()) for key, _, value in members
            if key.strip()}


_current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("codex", default=None)


# Part 3: the way out: a queue, a thread, a socket, a spool file (wire.md, spool.md).


class _Pending(NamedTuple):
    sequence: int
    frame: bytes
    counts: Iterable[int]  # Spans, logs, points that count as dropped if it cannot go.


class _Link:
    """What is encoded and not yet acked, and the conversation with the agent about it.

    One thread at a time uses it. A producer id goes to sockets, or from some batch on to its one
    spool file, never back.
    """

    def __init__(self, env: Mapping[str, str], on_drop: Callable[[Iterable[int]], None]) -> None:
        self.env, self.on_drop = env, on_drop
        self.unacked: deque[_Pending] = deque()
        self.unacked_bytes = 0
        self.sock: socket.socket | None = None
        self.spool_fd: int | None = None
        self.fatal = 0  # The code with which the agent ended a connection, if it did.
        self.body_max, self.failures, self.retry_at, self.lost_at = BATCH_BYTES_MAX, 0, 0.0, -9e9
        self._new_producer()

    def _new_producer(self) -> None:
        self.producer, self.next_sequence = os.urandom(16), 1

    def add(self, body: bytes, counts: tuple[int, int, int]) -> None:
        self.unacked.append(_Pending(self.next_sequence, frame(2, body), counts))
        self.unacked_bytes += len(self.unacked[-1].frame)
        self.next_sequence += 1

    def _pop(self, at: int = 0, refused: bool = False) -> None:
        item = self.unacked[at]
        del self.unacked[at]
        self.unacked_bytes -= len(item.frame)
        if self.sent:
            self.sent, self.in_flight = self.sent - 1, self.in_flight - len(item.frame)
        if refused:
            self.on_drop(item.counts)

    def hello(self, flags: int) -> bytes:
        names = [n for n in sorted(self.env) if n.startswith(("CODEX_OTLP_", "OTEL_EXPORTER_OTLP_"))
                 or n in ("CODEX_OTEL_EXPORTER", "CODEX_OTEL_ENDPOINT", "CODEX_OTEL_HEADERS")]
        pairs = [("client.name", "python"), ("client.version", VERSION)]
        if names:
            pairs.append(("environment", ",".join(names)[:1024]))
        first = self.unacked[0].sequence if self.unacked else self.next_sequence
        return hello(self.producer, first, flags, pairs)

    def connect(self) -> None:
        """Tries every place, if it is time; leaves `sock` None if nobody answers."""
        if self.sock or time.monotonic() < self.retry_at:
            return
        for path in socket_paths(self.env):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                status = os.stat(path)
                if stat.S_ISSOCK(status.st_mode) and status.st_uid in _owners():
                    peer.settimeout(0.2)
                    peer.connect(path)
                    break
            except OSError as error:
                if not error.errno:  # Python's own: the path is longer than 107 bytes.
                    _warn(f"socket path {path!r}: {error}")
            peer.close()
        else:
            self._later()
            return
        if self.spool_fd is not None:
            os.close(self.spool_fd)  # And with it the lock: the file may be drained now.
            self.spool_fd = None
            self._new_producer()
        peer.setblocking(False)
        self.sock, self.path, self.out, self.received = peer, path, bytearray(), bytearray()
        self.sent = self.in_flight = 0
        self.window, self.welcomed, self.since = UNACKED_BYTES_MAX, False, time.monotonic()
        self.out += self.hello(1)

    def _later(self) -> None:
        self.failures += 1
        wait = min(BACKOFF_S_MAX, 0.1 * 2 ** min(self.failures, 10)) * random.uniform(0.5, 1)
        self.retry_at = time.monotonic() + wait

    def close(self) -> None:
        if self.sock:
            self.sock.close()
            self.sock, self.lost_at = None, time.monotonic()
            self._later()

    def exchange(self, until: float, final: bool = False) -> None:
        """Sends and listens until all is sent (at the end: acked), or the time is over."""
        try:
            while self.sock and self._listen():
                while (self.welcomed or final) and self.sent < len(self.unacked) and (
                        not self.in_flight or self.in_flight < self.window):
                    item = self.unacked[self.sent]
                    self.out += item.frame
                    self.sent, self.in_flight = self.sent + 1, self.in_flight + len(item.frame)
                if self.out:
                    try:
                        # The host may have given SIGPIPE back its deadly default.
                        del self.out[: self.sock.send(self.out, socket.MSG_NOSIGNAL)]
                    except BlockingIOError:
                        pass
                wait = until - time.monotonic()
                if wait <= 0 or not self.unacked or (
                        not final and self.sent == len(self.unacked) and not self.out):
                    return
                select.select([self.sock], [self.sock] if self.out else [], [], wait)
        except OSError:
            with contextlib.suppress(OSError):
                self._listen()  # What the agent said before it closed: how long to wait.
            self.close()

    def _listen(self) -> bool:
        """Takes every answer that is there. False: the connection is over."""
        try:
            while data := self.sock.recv(65536):
                self.received += data
            ended = True
        except BlockingIOError:
            ended = False
        while len(self.received) >= 12 and self.sock:
            length, kind, version, _, checksum = struct.unpack_from("<IBBHI", self.received)
            if length > 64 << 10 or version:
                ended = True
                break
            if len(self.received) < 12 + length:
                break
            body = bytes(self.received[12 : 12 + length])
            del self.received[: 12 + length]
            if 0x81 <= kind <= 0x84 and crc32c(body) != checksum:
                ended = True
                break
            self._answer(kind, body)
        if ended or not self.welcomed and time.monotonic() - self.since > WELCOME_S:
            self.close()
        return self.sock is not None

    def _answer(self, kind: int, body: bytes) -> None:
        if kind == 0x81 and len(body) >= 56:
            _, _, limit, _, stored, self.window = struct.unpack_from("<HHI16sQQ", body)
            self.body_max = min(BATCH_BYTES_MAX, max(limit, 64 << 10))
            self.welcomed, self.failures = True, 0
            self._acked(stored)
        elif kind == 0x82 and len(body) >= 24 and self.sent:
            last = self.unacked[self.sent - 1].sequence
            self._acked(min(last, struct.unpack_from("<Q", body)[0]))
        elif kind == 0x83 and len(body) >= 8:
            self.close()
            wait = struct.unpack_from("<I", body, 4)[0] / 1000
            self.retry_at = max(self.retry_at, time.monotonic() + wait)
        elif kind == 0x84 and len(body) >= 16:
            code, fatal, _, sequence = struct.unpack_from("<HHIQ", body)
            _warn(f"the agent refused something: code {code:#x}")
            # It says nothing of those before: they may still be on their way to the log.
            for at, item in enumerate(self.unacked):
                if sequence and item.sequence == sequence and at < self.sent:
                    self._pop(at, refused=True)
                    break
            if code == 7 and self.welcomed:
                self._rename()
            if fatal & 1:
                self.fatal = code
                self.close()

    def _rename(self) -> None:
        """A newer connection, not ours, took this id: what is not acked was not read, and gets a new one."""
        self.sent = self.in_flight = self.unacked_bytes = 0
        self._new_producer()
        old, self.unacked = self.unacked, deque()
        for _, data, counts in old:
            name = self.producer + struct.pack("<Q", self.next_sequence)
            self.add(data[12:20] + name + data[44:], counts)

    def _acked(self, sequence: int) -> None:
        while self.unacked and self.unacked[0].sequence <= sequence:
            self._pop()

    def spool(self, final: bool) -> None:
        """Leaves everything unacked in this producer's spool file, what was sent included."""
        self.close()
        self.sent = self.in_flight = 0
        directory = spool_directory(self.env)
        try:
            if directory is None:
                raise OSError("no spool directory")
            if self.spool_fd is None:
                self.spool_fd = self._create(directory)
                self._append(self.hello(0))
            room = SPOOL_BYTES_MAX - _bytes_in(directory)
            while self.unacked:
                data = self.unacked[0].frame
                size = os.fstat(self.spool_fd).st_size + len(data)
                if size > SPOOL_FILE_BYTES_MAX or (room := room - len(data)) < 0:
                    raise OSError("the spool is full")
                self._append(data)
                self._pop()
        except OSError as error:
            _warn(f"telemetry is dropped: no agent, and {error}")
            # What stands in no file may still go to a socket, while memory holds it.
            keep = self.spool_fd is None and not final and self.unacked_bytes < UNACKED_BYTES_MAX
            while self.unacked and not keep:
                self._pop(refused=True)
        finally:
            if directory is not None:
                os.close(directory)

    def _create(self, directory: int) -> int:
        name, flags = self.producer.hex() + ".spool", os.O_WRONLY | os.O_CREAT | os.O_EXCL
        while True:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC, 0o600,
                         dir_fd=directory)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
            os.close(fd)  # A drainer took the empty file before we had the lock.

    def _append(self, data: bytes) -> None:
        size = os.fstat(self.spool_fd).st_size
        if os.write(self.spool_fd, data) != len(data):
            os.ftruncate(self.spool_fd, size)
            raise OSError("the disk is full")

    def drain(self, until: float) -> None:
        """Sends what this user's clients spooled: the system's agent opens no users' files."""
        if (directory := spool_directory(self.env)) is None:
            return
        try:
            names = os.listdir(directory)
            random.shuffle(names)  # One that uses up the time must not always be the first.
            for name in names:
                try:
                    if name.endswith(".spool") and time.monotonic() < until:
                        self._drain_file(directory, name, until)
                except OSError:
                    pass  # Its writer lives, or another drainer was faster: it is left to them.
        finally:
            os.close(directory)

    def _drain_file(self, directory: int, name: str, until: float) -> None:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                     dir_fd=directory)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if (not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid()
                    or status.st_nlink != 1 or status.st_mode & 0o077):
                return
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(name, dir_fd=directory, follow_symlinks=False).st_ino != status.st_ino:
                return
            other, data = _Link(self.env, self.on_drop), file.read(SPOOL_FILE_BYTES_MAX)
            other.producer, bodies, rest = read_spool(data, name)
            if not other.producer:
                return  # Nobody says whose it is: it may not be ours.
            for body in bodies:
                records, other.next_sequence = struct.unpack_from("<I16xQ", body, 4)
                other.add(body, (records, 0, 0))
            if other.unacked:
                other.connect()
                other.exchange(until, final=True)
            if other.sock:
                other.sock.close()
            if not other.unacked and not rest:
                os.unlink(name, dir_fd=directory)
            elif not other.unacked or other.fatal in CONTENT_FAULTS:
                _keep_aside(directory, name)


def _sound_frame(data: bytes, at: int) -> tuple[int, bytes] | None:
    """The frame that stands there, if it is one of a spool file."""
    if len(data) - at < 12:
        return None
    length, kind, version, _, checksum = struct.unpack_from("<IBBHI", data, at)
    body = data[at + 12 : at + 12 + length]
    if version or len(body) < length or length > (BATCH_BYTES_MAX if kind == 2 else 64 << 10):
        return None
    if kind == 1 and (at or length < 40 or body[:6] != b"CXTL\0\0" or not any(body[8:24])):
        return None
    return (kind, body) if kind in (1, 2) and crc32c(body) == checksum else None


def read_spool(data: bytes, name: str) -> tuple[bytes, list[bytes], list[tuple[int, int]]]:
    """Producer (empty: unknown), sound batches, and the ranges that are none: spool.md, "Reading"."""
    bodies: list[bytes] = []
    rest: list[tuple[int, int]] = []
    at, in_vain = 0, max(64 << 20, 4 * len(data))
    try:
        producer = bytes.fromhex(name[:32]) if len(name) == 38 else b""
    except ValueError:
        producer = b""
    while at < len(data):
        if found := _sound_frame(data, at):
            if found[0] == 1:
                producer = found[1][8:24]
            elif len(found[1]) >= 64:
                bodies.append(found[1])
            at += 12 + len(found[1])
            continue
        start, place = at, at + 20
        at = len(data)  # Unless a batch of this producer follows.
        while producer and in_vain > 0 and (place := data.find(producer, place + 1)) >= 0:
            found = _sound_frame(data, place - 20)
            if found and found[0] == 2 and len(found[1]) >= 64:
                at = place - 20
                break
            if data[place - 16 : place - 14] == b"\2\0":
                in_vain -= int.from_bytes(data[place - 20 : place - 16], "little")
        rest.append((start, at - start))
    return producer, bodies, rest


def _keep_aside(directory: int, name: str) -> None:
    """Renames a file of which not all is sound; the newest 8 of them stay, and 64 MiB."""
    os.rename(name, name[:-6] + ".damaged", src_dir_fd=directory, dst_dir_fd=directory)
    kept = []
    for other in os.listdir(directory):
        if other.endswith(".damaged"):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(other, dir_fd=directory, follow_symlinks=False)
                kept.append((status.st_mtime_ns, other, status.st_size))
    room = SPOOL_BYTES_MAX
    for number, (_, other, size) in enumerate(sorted(kept, reverse=True)):
        room -= size
        if number >= 8 or room < 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(other, dir_fd=directory)


def _bytes_in(directory: int) -> int:
    total = 0
    for name in os.listdir(directory):
        if not name.endswith(".spool"):
            continue
        with contextlib.suppress(FileNotFoundError):  # A drainer takes files away meanwhile.
            total += os.stat(name, dir_fd=directory, follow_symlinks=False).st_size
    return total


def _owners() -> set[int]:
    owners = {0, os.geteuid()}
    try:
        owners.add(pwd.getpwnam("codex-telemetry").pw_uid)
    except KeyError:
        pass  # The agent is not installed as a system service.
    return owners


# Part 4: recording.


def _cost(attributes: Mapping[str, Any]) -> int:
    return 200 + sum(len(value) + 32 for value in attributes.values()
                     if isinstance(value, (str, bytes, list, tuple, dict)))


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """A copy with bounded texts: the host may change its own afterwards."""
    return {str(key): value[:TEXT_MAX] if isinstance(value, (str, bytes)) else value
            for key, value in (attributes or {}).items()}


class _Recorder:
    """The bounded queue that the host's threads fill, and the thread that empties it."""

    def __init__(self, env: Mapping[str, str], service: str | None,
                 resource: Mapping[str, Any]) -> None:
        self.env, self.on = env, is_enabled(env)
        self.threshold = threshold_of(env) if self.on else 0
        self.root, self.baggage = context_from(env), baggage_from(env)
        exporters = [e.strip() for e in env.get("CODEX_OTEL_EXPORTER", "").split(",") if e.strip()]
        for name in exporters:
            if self.on and name not in EXPORTERS:
                _warn(f"CODEX_OTEL_EXPORTER={name!r} is none of {', '.join(EXPORTERS)}")
        self.console, self.send = "console" in exporters, exporters != ["console"]
        self.baggage.setdefault("session.id", os.urandom(16).hex())
        self.baggage.setdefault("originator", "sdk")
        self.resource = {
            "service.name": service or env.get("CODEX_OTEL_SERVICE_NAME") or "codex-cli",
            "session.id": self.baggage["session.id"], "originator": self.baggage["originator"],
            "telemetry.sdk.name": "codex-telemetry", "telemetry.sdk.language": "python",
            "telemetry.sdk.version": VERSION, **_kept(resource)}
        self.lock, self.forks = threading.RLock(), 0
        self._reset()

    def _reset(self) -> None:
        self.queue: list[tuple[dict[str, Any], int, int]] = []  # Record, threshold, cost.
        self.queued = 0
        self.series: dict[Any, Any] = {}
        self.dropped = [0, 0, 0]
        self.thread: threading.Thread | None = None
        self.drained = False
        self.wake, self.closing, self.stepped = (threading.Event() for _ in range(3))
        self.step_lock = threading.Lock()
        self.link = _Link(self.env, self.drop)

    def after_fork(self) -> None:
        """The child is a producer of its own; what was queued is its parent's to send."""
        for fd in (self.link.sock.detach() if self.link.sock else None, self.link.spool_fd):
            if fd is not None:
                os.close(fd)  # The parent's descriptor keeps connection and lock.
        self.lock, self.forks = threading.RLock(), self.forks + 1
        self._reset()
        if util := sys.modules.get("multiprocessing.util"):
            # Its children never run atexit, and it clears finalizers before it runs this.
            util.register_after_fork(self, lambda _: util.Finalize(None, shutdown, exitpriority=0))

    def drop(self, counts: Iterable[int]) -> None:
        with self.lock:
            self.dropped = [min(a + b, 0xFFFFFFFF) for a, b in zip(self.dropped, counts)]

    def submit(self, record: dict[str, Any], threshold: int, cost: int) -> None:
        with self.lock:
            if self.closing.is_set() or self.queued + cost > QUEUE_BYTES_MAX:
                self.drop(_counts([record]))
                return
            self.queue.append((record, threshold, cost))
            self.queued += cost
            self._awaken()

    def _awaken(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._run, name="codex-telemetry", daemon=True)
            self.thread.start()
        self.wake.set()

    def measure(self, metric: Metric, value: float, attributes: Mapping[str, Any] | None,
                bounds: tuple[float, ...]) -> None:
        with self.lock:
            key = (metric, repr(attributes))
            point = self.series.get(key)
            if point is None:
                if len(self.series) >= SERIES_MAX:
                    self.drop((0, 0, 1))
                    return
                self.series[key] = point = {
                    "type": 4 if metric.kind == 3 else 3, "metric": metric,
                    "attributes": _kept(attributes), "value": 0, "start": time.time_ns(),
                    "count": 0, "sum": 0.0, "min": value, "max": value,
                    "bounds": bounds, "buckets": [0] * (len(bounds) + 1)}
            if metric.kind == 3:
                point["count"] += 1
                point["sum"] += value
                point["min"], point["max"] = min(point["min"], value), max(point["max"], value)
                point["buckets"][sum(bound < value for bound in bounds)] += 1
            else:
                point["value"] = value if metric.kind == 1 else point["value"] + value
            self._awaken()

    def _points(self, series: dict[Any, Any]) -> Iterable[dict[str, Any]]:
        for point in series.values():
            point["time"], value = time.time_ns(), point.pop("value")
            if point["type"] == 3:
                for name in ("count", "sum", "min", "max", "bounds", "buckets"):
                    del point[name]
                point["int" if isinstance(value, int) else "double"] = value
            if point["metric"].kind == 1:
                del point["start"]
            yield point

    def _run(self) -> None:
        while not self.closing.is_set():
            if not (self.queue or self.series or self.link.unacked):
                self.wake.wait()
            self.wake.clear()
            self.closing.wait(FLUSH_S)
            self.step(FLUSH_S)
        self.step(ACK_S, final=True)

    def step(self, seconds: float, final: bool = False) -> None:
        """Encodes what is queued and hands it to the agent, or to the spool if there is none."""
        with self.step_lock:
            try:
                link = self.link
                if self.send:
                    link.connect()
                if link.unacked_bytes < UNACKED_BYTES_MAX:
                    self._encode(final)
                if not self.send:
                    return
                if link.sock:
                    link.exchange(time.monotonic() + seconds, final)
                if link.sock and link.path == SYSTEM_SOCKET and not (self.drained or final):
                    self.drained = True
                    link.drain(time.monotonic() + DRAIN_S)
                if link.unacked and (final or not link.sock and (
                        link.spool_fd is not None or time.monotonic() - link.lost_at > GRACE_S)):
                    link.spool(final)  # In doubt or not: the agent stores a batch once.
                elif final and link.sock:
                    link.sock.settimeout(ACK_S)
                    link.sock.sendall(frame(3), socket.MSG_NOSIGNAL)
                    link.sock.close()
                    link.sock = None
            except Exception as error:  # Telemetry never breaks its host.
                _warn(f"internal error: {error!r}")

    def _encode(self, final: bool) -> None:
        with self.lock:
            queue, self.queue, self.queued = self.queue, [], 0
            series, self.series = self.series, {}
        queue += [(point, self.threshold, 400) for point in self._points(series)]
        if self.console:
            for record, _, _ in queue:
                _print(record)
        groups: dict[int, list[tuple[dict[str, Any], int, int]]] = {}
        for item in queue if self.send else ():
            groups.setdefault(item[1], []).append(item)
        for threshold, items in groups.items():
            part, total = [], 0
            for record, _, cost in items:
                if part and (total + cost > BATCH_COST_MAX or len(part) == BATCH_RECORDS_MAX):
                    self._batch(part, threshold)
                    part, total = [], 0
                part.append(record)
                total += cost
            self._batch(part, threshold)
        if final and self.send and any(self.dropped):
            self._batch([], 0)  # No record, but a header that says what was dropped.

    def _batch(self, records: list[dict[str, Any]], threshold: int) -> None:
        with self.lock:
            dropped, self.dropped = self.dropped, [0, 0, 0]
        try:
            first = records[0] if records else {"time": 0}
            encoder = Encoder(first.get("start") or first["time"])
            body = encoder.encode(self.link.producer, self.link.next_sequence, records,
                                  ("", 0, self.resource), min(threshold, (1 << 56) - 1), dropped)
            if len(body) > self.link.body_max or len(encoder.tables["strings"][0]) > 262_144:
                raise ValueError(f"a batch of {len(body)} bytes")
            # Should it be dropped, what its header reports is reported again.
            self.link.add(body, tuple(map(sum, zip(dropped, _counts(records)))))
        except Exception as error:  # An attribute may be anything; only its own record suffers.
            self.drop(dropped)
            if len(records) < 2:
                _warn(f"a record cannot be encoded: {error!r}")
                self.drop(_counts(records))
            else:
                self._batch(records[: len(records) // 2], threshold)
                self._batch(records[len(records) // 2 :], threshold)

    def close(self) -> None:
        """The last records go out; waits for the thread, but not long."""
        self.closing.set()
        self.wake.set()
        if self.thread and self.thread is not threading.current_thread():
            self.thread.join(EXIT_S)


def _counts(records: Iterable[Mapping[str, Any]]) -> tuple[int, int, int]:
    kinds = [record["type"] for record in records]
    return kinds.count(1), kinds.count(2), len(kinds) - kinds.count(1) - kinds.count(2)


def _print(record: Mapping[str, Any]) -> None:
    kind = {1: "span", 2: "event"}.get(record["type"], "metric")
    name = record.get("name") or record.get("event_name") or record["metric"].name
    took = f" {(record['end'] - record['start']) / 1e6:.3f} ms" if kind == "span" else ""
    value = next((f" {record[k]}" for k in ("int", "double", "sum") if k in record), "")
    attributes = json.dumps(record.get("attributes") or {}, default=repr, ensure_ascii=True)
    print(f"codex-telemetry {kind} {name}{took}{value} {attributes}", file=sys.stderr, flush=True)


_recorder: _Recorder | None = None
_start_lock = threading.Lock()


def init(service_name: str | None = None, resource: Mapping[str, Any] | None = None,
         env: Mapping[str, str] | None = None) -> bool:
    """Starts recording if the environment says so; without it the first call of any other does."""
    global _recorder
    with _start_lock:
        if _recorder is None:
            _recorder = _Recorder(dict(env or os.environ), service_name, resource or {})
    return _recorder.on


def _active() -> _Recorder | None:
    if _recorder is None:
        init()
    return _recorder if _recorder.on else None


def _error_type(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, ConnectionError)):
        return "timeout" if isinstance(error, TimeoutError) else "transport"
    cancelled = isinstance(error, (KeyboardInterrupt, GeneratorExit))
    return "cancelled" if cancelled or type(error).__name__ == "CancelledError" else "internal"


class Span:
    """A span; use it as a context manager, or call `end()`. Never raises."""

    __slots__ = ("context", "_recorder", "_record", "_token", "_began", "_lost", "_forks")

    def __init__(self, recorder: _Recorder | None, name: str, attributes: Mapping[str, Any] | None,
                 kind: int) -> None:
        self._recorder, self._record, self._token, self._lost = recorder, None, None, [0, 0, 0]
        if recorder is None:
            self.context = None
            return
        parent = _current.get() or recorder.root
        if parent:
            trace, sampled = parent.trace_id, parent.sampled
            state, threshold = parent.trace_state, parent.threshold
        else:
            trace, state, threshold = os.urandom(16), "", recorder.threshold
            sampled = int.from_bytes(trace[9:], "big") >= threshold
            if threshold and sampled:
                state = "ot=th:" + (f"{threshold:014x}".rstrip("0") or "0")
        self.context = Context(trace, random.getrandbits(64).to_bytes(8, "big"), sampled, state,
                               threshold)
        if sampled:
            self._record = {
                "type": 1, "kind": kind if kind in range(6) else 0, "trace_id": trace,
                "span_id": self.context.span_id,
                "parent_span_id": parent.span_id if parent else None, "name": str(name)[:TEXT_MAX],
                "trace_state": state, "attributes": {}, "events": [], "start": time.time_ns()}
            self._began, self._forks = time.monotonic_ns(), recorder.forks
            self.set_all(attributes)

    def set(self, key: str, value: Any) -> None:
        if self._record is not None:
            kept = self._record["attributes"]
            if len(kept) >= ATTRIBUTES_MAX and key not in kept:
                self._lost[0] += 1
            else:
                kept[str(key)] = value[:TEXT_MAX] if isinstance(value, (str, bytes)) else value

    def set_all(self, attributes: Mapping[str, Any] | None) -> None:
        for key, value in dict(attributes or {}).items():
            self.set(key, value)

    def event(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        if self._record is not None:
            if len(self._record["events"]) >= EVENTS_MAX:
                self._lost[1] += 1
            else:
                self._record["events"].append({
                    "time": self._record["start"] + time.monotonic_ns() - self._began,
                    "name": str(name)[:TEXT_MAX], "attributes": _kept(attributes)})

    def error(self, error_type: str, message: str = "") -> None:
        if self._record is not None:
            self._record["status"], self._record["status_message"] = 2, str(message)[:TEXT_MAX]
            self.set("error.type", error_type)

    def ok(self) -> None:
        if self._record is not None:
            self._record["status"] = 1

    def end(self) -> None:
        record, self._record = self._record, None
        if record is not None and self._forks == self._recorder.forks:  # Else its parent's to end.
            record["end"] = record["start"] + time.monotonic_ns() - self._began
            if any(self._lost):
                record["dropped"] = self._lost
            cost = _cost(record["attributes"]) + sum(
                _cost(event["attributes"]) for event in record["events"])
            self._recorder.submit(record, self.context.threshold, cost)

    def __enter__(self) -> "Span":
        if self.context:
            self._token = _current.set(self.context)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._token:
            try:
                _current.reset(self._token)
            except ValueError:
                pass  # A generator was closed in another context, which keeps its own.
        if error is not None and not (isinstance(error, SystemExit) and not error.code):
            # Its text may be content; its type is not.
            self.error(_error_type(error), type(error).__name__)
        self.end()


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Whatever the host hands us, it never gets an exception back."""
    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        try:
            return function(*args, **named)
        except Exception as error:
            _warn(f"{function.__name__}: {error!r}")
            return Span(None, "", None, 0) if function.__name__ == "span" else None
    return call


for _name in ("set", "set_all", "event", "error", "ok", "end"):
    setattr(Span, _name, _quiet(getattr(Span, _name)))


@_quiet
def span(name: str, attributes: Mapping[str, Any] | None = None, kind: int = 1) -> Span:
    """`kind` as in OpenTelemetry: 1 internal, 2 server, 3 client, 4 producer, 5 consumer."""
    return Span(_active(), name, attributes, kind)


def traced(name: str | None = None, **attributes: Any) -> Callable[[Callable], Callable]:
    """Decorator: a span around each call, of plain functions and of coroutines."""
    def wrap(function: Callable) -> Callable:
        label = name or function.__qualname__
        if function.__code__.co_flags & 0x80:
            @functools.wraps(function)
            async def call(*args: Any, **named: Any) -> Any:
                with span(label, attributes):
                    return await function(*args, **named)
        else:
            @functools.wraps(function)
            def call(*args: Any, **named: Any) -> Any:
                with span(label, attributes):
                    return function(*args, **named)
        return call
    return wrap


@_quiet
def event(name: str, attributes: Mapping[str, Any] | None = None, body: Any = None,
          severity: int = 9) -> None:
    """A log event: severity 9 is INFO, 13 WARN, 17 ERROR."""
    if recorder := _active():
        context = _current.get() or recorder.root
        if context is None or context.sampled:
            kept = _kept(attributes)
            record = {"type": 2, "time": time.time_ns(), "severity": min(max(int(severity), 0), 24),
                      "event_name": str(name)[:TEXT_MAX], "attributes": kept,
                      "body": None if body is None else (_kept({"": body})[""],)}
            if context:
                record["trace_id"], record["span_id"] = context.trace_id, context.span_id
            recorder.submit(record, context.threshold if context else recorder.threshold,
                            _cost(kept) + _cost({"": body}))


class Instrument:
    """A counter, gauge or histogram. Values are summed up here and sent at each flush."""

    def __init__(self, metric: Metric, bounds: Iterable[float] = ()) -> None:
        self.metric, self.bounds = metric, tuple(map(float, bounds))

    @_quiet
    def record(self, value: float, attributes: Mapping[str, Any] | None = None) -> None:
        if recorder := _active():
            recorder.measure(self.metric, value, attributes, self.bounds)

    add = set = record


def counter(name: str, unit: str = "", description: str = "") -> Instrument:
    return Instrument(Metric(2, name, unit, DELTA, True, description))


def gauge(name: str, unit: str = "", description: str = "") -> Instrument:
    return Instrument(Metric(1, name, unit, 0, False, description))


def histogram(name: str, unit: str = "", description: str = "",
              bounds: Iterable[float] = DEFAULT_BOUNDS) -> Instrument:
    return Instrument(Metric(3, name, unit, DELTA, False, description), bounds)


@_quiet
def inject(env: MutableMapping[str, str]) -> None:
    """Hands the current context on: sets TRACEPARENT, TRACESTATE and BAGGAGE for a child."""
    if recorder := _active():
        if context := _current.get() or recorder.root:
            env["TRACEPARENT"] = (f"00-{context.trace_id.hex()}-{context.span_id.hex()}-"
                                  f"{context.sampled:02x}")
            env.pop("TRACESTATE", None)
            if context.trace_state:
                env["TRACESTATE"] = context.trace_state
        env["BAGGAGE"] = ",".join(f"{key}={urllib.parse.quote(value, safe='')}"
                                  for key, value in recorder.baggage.items())


@_quiet
def flush(seconds: float = 1.0) -> bool:
    """Sends what is queued now. True: all of it is stored by the agent, or spooled."""
    if recorder := _active():
        until = time.monotonic() + seconds
        while recorder.queue or recorder.series or recorder.link.unacked:
            recorder.step(0.02)
            if time.monotonic() > until:
                return False
    return True


@_quiet
def shutdown() -> None:
    """What exit does by itself: the last records go out, in half a second at most."""
    if _recorder is not None:
        _recorder.close()


atexit.register(shutdown)
os.register_at_fork(before=lambda: _recorder and _recorder.lock.acquire(),
                    after_in_parent=lambda: _recorder and _recorder.lock.release(),
                    after_in_child=lambda: _recorder and _recorder.after_fork())
