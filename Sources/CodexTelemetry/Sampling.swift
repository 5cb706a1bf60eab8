/// Whether a trace is kept: by its id, so that all processes of a trace agree
/// (OpenTelemetry, "TraceState: Probability Sampling").
public struct Sampler: Sendable, Equatable {
    /// Traces whose random 56 bits are below it are left out; 0 keeps all, 2^56 none.
    public let threshold: UInt64

    private static let all: UInt64 = 1 << 56

    /// Keeps about this share of traces, 0.0 to 1.0; nil outside of that.
    public init?(rate: Double) {
        guard rate >= 0, rate <= 1 else { return nil }
        threshold = UInt64(((1 - rate) * Double(Self.all)).rounded())
    }

    /// Keeps every trace.
    public static let everything = Sampler(threshold: 0)

    private init(threshold: UInt64) { self.threshold = threshold }

    /// Whether a trace without a parent is kept: its explicit randomness (`ot=rv:`) if it carries
    /// one, else the low 56 bits of its id.
    func keeps(_ id: TraceContext.TraceID, traceState: String = "") -> Bool {
        let randomness =
            OTelTraceState.value("rv", in: traceState).flatMap { digits in
                digits.utf8.count == 14 ? Hex.value(digits.utf8) : nil
            } ?? (id.low & (Self.all - 1))
        return randomness >= threshold
    }

    /// The value of `th` for this rate: hex without trailing zeros; nil when all or none are kept.
    var th: String? {
        guard threshold < Self.all else { return nil }
        guard threshold > 0 else { return "0" }
        var digits = Hex.digits(threshold).dropFirst(2)
        while digits.last == "0" { digits.removeLast() }
        return String(digits)
    }

    /// The threshold that a parent's trace state names (`ot=th:`), 0 if it names none: its trace was
    /// kept by it, whatever our own rate is.
    static func threshold(in traceState: String) -> UInt64 {
        guard let digits = OTelTraceState.value("th", in: traceState), digits.utf8.count <= 14,
            !digits.isEmpty, let value = Hex.value(digits.utf8)
        else { return 0 }
        return value << UInt64(4 * (14 - digits.utf8.count))
    }

    /// A root's decision, and the trace state that tells others of it. All kept needs no words.
    func root(_ id: TraceContext.TraceID) -> (isSampled: Bool, traceState: String) {
        guard threshold > 0 else { return (true, "") }
        guard keeps(id), let th else { return (false, "") }
        return (true, "ot=th:" + th)
    }
}

/// OpenTelemetry's member of a W3C `tracestate`: `ot=key:value;key:value`.
enum OTelTraceState {
    static func value(_ key: String, in traceState: String) -> String? {
        for member in traceState.split(separator: ",") {
            let member = Text.trimmed(member)
            guard member.hasPrefix("ot=") else { continue }
            for field in member.dropFirst(3).split(separator: ";") {
                let parts = field.split(separator: ":", maxSplits: 1)
                if parts.count == 2, parts[0] == key { return String(parts[1]) }
            }
        }
        return nil
    }
}
