/// Which span is running: its trace, its id, its parent, and whether it is kept.
///
/// A plain value: pass it where a task-local does not reach, and to the low-level emit.
public struct TraceContext: Sendable, Hashable {
    /// 16 bytes, held as two integers in the bytes' big-endian order; never all zero.
    public struct TraceID: Sendable, Hashable, CustomStringConvertible {
        /// The first eight bytes.
        public let high: UInt64
        /// The last eight bytes; their low 56 bits decide sampling.
        public let low: UInt64

        /// The id with these halves.
        @inlinable
        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        /// 32 lower-case hex digits.
        public var description: String { Hex.digits(high) + Hex.digits(low) }
    }

    /// 8 bytes, held as one integer in the bytes' big-endian order; 0 is "none".
    public struct SpanID: Sendable, Hashable, CustomStringConvertible {
        /// The eight bytes.
        public let rawValue: UInt64

        /// The id with these bytes.
        @inlinable
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// 16 lower-case hex digits.
        public var description: String { Hex.digits(rawValue) }

        /// No span.
        @inlinable
        public static var none: SpanID { SpanID(rawValue: 0) }
    }

    /// The trace.
    public var traceID: TraceID
    /// The span that is running; in a context that came from another process, that process's span.
    public var spanID: SpanID
    /// The running span's parent, `.none` for a root or a context from elsewhere.
    public var parentSpanID: SpanID
    /// W3C trace flags: bit 0 sampled, bit 1 the trace id is random. Ours are random, and do not say so: a
    /// `traceparent` with a flag that Level 1 does not know is refused whole by the SDKs of Go and Rust.
    public var flags: UInt8
    /// What travels with the trace and is rarely there; one reference, so that a context stays cheap.
    @usableFromInline package var luggage: Luggage?

    /// A context of these parts.
    @inlinable
    public init(
        traceID: TraceID, spanID: SpanID, parentSpanID: SpanID = .none, isSampled: Bool = true
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentSpanID = parentSpanID
        self.flags = isSampled ? 1 : 0
        self.luggage = nil
    }

    /// Whether spans of this trace are kept. Decided once, at the trace's root.
    @inlinable
    public var isSampled: Bool { flags & 1 != 0 }

    /// A child of the running span: same trace, same decision, a new random span id.
    @inlinable
    public func child() -> TraceContext {
        var child = self
        child.parentSpanID = spanID
        child.spanID = SpanID(rawValue: RandomID.next())
        return child
    }

    /// W3C `tracestate` that came with the trace, as it came; empty if none did.
    public var traceState: String { luggage?.traceState ?? "" }

    /// W3C baggage that came with the trace.
    public var baggage: Baggage { luggage?.baggage ?? Baggage() }

    /// The context with other baggage.
    public func with(baggage: Baggage) -> TraceContext {
        var copy = self
        copy.luggage = Luggage(traceState: traceState, baggage: baggage)
        return copy
    }

    /// The context with another `tracestate`.
    func with(traceState: String) -> TraceContext {
        var copy = self
        copy.luggage = Luggage(traceState: traceState, baggage: baggage)
        return copy
    }
}

/// Trace state and baggage, shared and never changed.
@usableFromInline
package final class Luggage: Sendable, Hashable {
    let traceState: String
    let baggage: Baggage
    /// The session that the baggage names, if it does: looked up once, not once a span.
    let sessionID: String?
    let originator: String?

    init(traceState: String, baggage: Baggage) {
        self.traceState = traceState
        self.baggage = baggage
        sessionID = baggage["session.id"]
        originator = baggage["originator"]
    }

    @usableFromInline
    package static func == (a: Luggage, b: Luggage) -> Bool {
        a === b || (a.traceState == b.traceState && a.baggage == b.baggage)
    }

    @usableFromInline
    package func hash(into hasher: inout Hasher) {
        hasher.combine(traceState)
        hasher.combine(baggage)
    }
}

/// Lower-case hex, both ways.
enum Hex {
    private static let alphabet = Array("0123456789abcdef".utf8)

    /// 16 digits.
    static func digits(_ value: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { buffer in
            for place in 0..<16 {
                buffer[place] =
                    alphabet[Int(truncatingIfNeeded: value >> UInt64(60 - 4 * place)) & 15]
            }
            return 16
        }
    }

    /// The value of lower-case digits, nil for anything else: W3C forbids upper case.
    static func value(_ digits: some Sequence<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - 48)
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - 87)
            default: return nil
            }
        }
        return value
    }
}
