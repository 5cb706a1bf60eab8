// The numbers of contrib/protocol/batch.md that both sides of the codec share.

/// Kinds of sections.
enum SectionKind {
    static let strings: UInt8 = 1
    static let traces: UInt8 = 2
    static let resource: UInt8 = 3
    static let scopes: UInt8 = 4
    static let metrics: UInt8 = 5
    static let bounds: UInt8 = 6
    static let records: UInt8 = 7
}

/// Tags of values.
@usableFromInline
enum ValueTag {
    @usableFromInline static let none: UInt8 = 0
    @usableFromInline static let string: UInt8 = 1
    @usableFromInline static let no: UInt8 = 2
    @usableFromInline static let yes: UInt8 = 3
    @usableFromInline static let integer: UInt8 = 4
    @usableFromInline static let double: UInt8 = 5
    @usableFromInline static let bytes: UInt8 = 6
    @usableFromInline static let array: UInt8 = 7
    @usableFromInline static let map: UInt8 = 8
}

/// Types of records.
@usableFromInline
enum RecordType {
    @usableFromInline static let span: UInt8 = 1
    @usableFromInline static let log: UInt8 = 2
    @usableFromInline static let number: UInt8 = 3
    @usableFromInline static let histogram: UInt8 = 4
    @usableFromInline static let exponential: UInt8 = 5
    @usableFromInline static let summary: UInt8 = 6
}

/// Bits of a span's flags.
@usableFromInline
enum SpanBit {
    @usableFromInline static let parent: UInt64 = 1 << 5
    @usableFromInline static let attributes: UInt64 = 1 << 6
    @usableFromInline static let scope: UInt64 = 1 << 7
    @usableFromInline static let statusMessage: UInt64 = 1 << 8
    @usableFromInline static let traceState: UInt64 = 1 << 9
    @usableFromInline static let flags: UInt64 = 1 << 10
    @usableFromInline static let events: UInt64 = 1 << 11
    @usableFromInline static let links: UInt64 = 1 << 12
    @usableFromInline static let dropped: UInt64 = 1 << 13
}

/// Bits of an event's flags.
enum EventBit {
    static let attributes: UInt64 = 1 << 0
    static let dropped: UInt64 = 1 << 1
    static let all: UInt64 = 0b11
}

/// Bits of a link's flags.
enum LinkBit {
    static let attributes: UInt64 = 1 << 0
    static let traceState: UInt64 = 1 << 1
    static let flags: UInt64 = 1 << 2
    static let dropped: UInt64 = 1 << 3
    static let all: UInt64 = 0b1111
}

/// Bits of a log event's flags.
@usableFromInline
enum LogBit {
    @usableFromInline static let time: UInt64 = 1 << 0
    @usableFromInline static let trace: UInt64 = 1 << 1
    @usableFromInline static let span: UInt64 = 1 << 2
    @usableFromInline static let severity: UInt64 = 1 << 3
    @usableFromInline static let eventName: UInt64 = 1 << 4
    @usableFromInline static let body: UInt64 = 1 << 5
    @usableFromInline static let attributes: UInt64 = 1 << 6
    @usableFromInline static let scope: UInt64 = 1 << 7
    @usableFromInline static let observedTime: UInt64 = 1 << 8
    @usableFromInline static let severityText: UInt64 = 1 << 9
    @usableFromInline static let flags: UInt64 = 1 << 10
    @usableFromInline static let dropped: UInt64 = 1 << 11
}

/// Bits of a point's flags. Those from 4 on mean something else in each type.
@usableFromInline
enum PointBit {
    @usableFromInline static let startTime: UInt64 = 1 << 0
    @usableFromInline static let attributes: UInt64 = 1 << 1
    @usableFromInline static let exemplars: UInt64 = 1 << 2
    @usableFromInline static let flags: UInt64 = 1 << 3
    @usableFromInline static let integer: UInt64 = 1 << 4
    @usableFromInline static let double: UInt64 = 1 << 5
    @usableFromInline static let sum: UInt64 = 1 << 4
    @usableFromInline static let min: UInt64 = 1 << 5
    @usableFromInline static let max: UInt64 = 1 << 6
    @usableFromInline static let zeroThreshold: UInt64 = 1 << 7
    @usableFromInline static let positive: UInt64 = 1 << 8
    @usableFromInline static let negative: UInt64 = 1 << 9
}

/// Bits of an exemplar's flags.
enum ExemplarBit {
    static let attributes: UInt64 = 1 << 0
    static let trace: UInt64 = 1 << 1
    static let span: UInt64 = 1 << 2
    static let integer: UInt64 = 1 << 3
    static let double: UInt64 = 1 << 4
    static let all: UInt64 = 0b11111
}

/// Bits of a metric descriptor's flags.
enum MetricBit {
    static let monotonic: UInt64 = 1 << 5
    static let metadata: UInt64 = 1 << 6
}

/// A span's kind, as in OTLP.
@usableFromInline
package enum SpanKind: UInt8, Sendable, CaseIterable {
    /// Not said.
    case unspecified = 0
    /// Within the program.
    case `internal` = 1
    /// Answers a request.
    case server = 2
    /// Makes a request.
    case client = 3
    /// Puts a message into a queue.
    case producer = 4
    /// Takes a message out of a queue.
    case consumer = 5
}

/// A span's status, as in OTLP.
@usableFromInline
package enum SpanStatus: UInt8, Sendable, CaseIterable {
    /// Not said.
    case unset = 0
    /// Said to have succeeded.
    case ok = 1
    /// Failed.
    case error = 2
}

/// What a metric's points are.
package enum MetricKind: UInt8, Sendable, CaseIterable {
    /// Number points: the last value counts.
    case gauge = 1
    /// Number points that add up.
    case sum = 2
    /// Points with explicit bounds.
    case histogram = 3
    /// Points with exponential buckets.
    case exponentialHistogram = 4
    /// Points with quantiles.
    case summary = 5
}

/// What a sum or histogram counts from.
package enum Temporality: UInt8, Sendable, CaseIterable {
    /// Not said.
    case unspecified = 0
    /// From the point before.
    case delta = 1
    /// From the start time.
    case cumulative = 2
}
