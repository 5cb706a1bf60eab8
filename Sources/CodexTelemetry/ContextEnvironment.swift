/// Context in the environment of children: `TRACEPARENT`, `TRACESTATE`, `BAGGAGE` (wire.md,
/// "Context in the environment").
extension TraceContext {
    /// Longer trace states are dropped whole, as W3C Trace Context §3.3.1.5 allows.
    static let traceStateBytesMax = 512

    /// The context that a parent process left, nil if `TRACEPARENT` is missing or malformed.
    public init?(environment: (String) -> String?) {
        guard let parent = environment("TRACEPARENT") else { return nil }
        self.init(
            traceparent: parent, tracestate: environment("TRACESTATE") ?? "",
            baggage: environment("BAGGAGE") ?? "")
    }

    /// The context of W3C header values, nil if `traceparent` is malformed.
    public init?(traceparent: String, tracestate: String = "", baggage: String = "") {
        let bytes = Array(traceparent.utf8)
        let dash = UInt8(ascii: "-")
        guard bytes.count >= 55, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Hex.value(bytes[0..<2]), version != 0xFF,
            version == 0 ? bytes.count == 55 : bytes.count == 55 || bytes[55] == dash,
            let high = Hex.value(bytes[3..<19]), let low = Hex.value(bytes[19..<35]),
            high | low != 0,
            let span = Hex.value(bytes[36..<52]), span != 0,
            let flags = Hex.value(bytes[53..<55])
        else { return nil }
        self.init(
            traceID: TraceID(high: high, low: low), spanID: SpanID(rawValue: span))
        // A later version's unknown flags must not be passed on (W3C Trace Context §4.3).
        self.flags = UInt8(flags) & 3
        let state = tracestate.utf8.count <= Self.traceStateBytesMax ? tracestate : ""
        if !state.isEmpty || !baggage.isEmpty {
            luggage = Luggage(traceState: state, baggage: Baggage(header: baggage))
        }
    }

    /// The `traceparent` of a child of the running span.
    public var traceparent: String {
        "00-\(traceID)-\(spanID)-0\(flags & 3)"
    }

    /// What to set in the environment of a child process, so that it joins this trace and session;
    /// an empty value means: unset it.
    public var environment: [(name: String, value: String)] {
        [
            ("TRACEPARENT", traceparent), ("TRACESTATE", traceState),
            ("BAGGAGE", baggage.header),
        ]
    }
}
