/// What of a context is set anew with every span: plain words, so that a task-local of it is copied by a
/// copy of its bytes. Luggage changes seldom and has a task-local of its own.
struct TaskSpan: Sendable, BitwiseCopyable {
    var traceHigh: UInt64 = 0
    var traceLow: UInt64 = 0
    var span: UInt64 = 0
    var parent: UInt64 = 0
    var flags: UInt8 = 0
    var hasLuggage = false

    /// No span: a trace id is never all zero.
    static var none: TaskSpan { TaskSpan() }

    @TaskLocal static var current = TaskSpan.none
    @TaskLocal static var luggage: Luggage?
}

extension TraceContext {
    /// The running task's context: set by `Telemetry.withSpan`.
    public static var current: TraceContext? {
        let span = TaskSpan.current
        guard span.traceHigh | span.traceLow != 0 else { return nil }
        var context = TraceContext(
            traceID: TraceID(high: span.traceHigh, low: span.traceLow),
            spanID: SpanID(rawValue: span.span), parentSpanID: SpanID(rawValue: span.parent))
        context.flags = span.flags
        if span.hasLuggage { context.luggage = TaskSpan.luggage }
        return context
    }

    private var taskSpan: TaskSpan {
        TaskSpan(
            traceHigh: traceID.high, traceLow: traceID.low, span: spanID.rawValue,
            parent: parentSpanID.rawValue, flags: flags, hasLuggage: luggage != nil)
    }

    /// Whether the task's luggage must be set for this context.
    private var bringsLuggage: Bool { luggage != nil && luggage !== TaskSpan.luggage }

    /// Runs `body` with this as the running task's context.
    @inline(__always)
    func whileCurrent<Result>(_ body: () throws -> Result) rethrows -> Result {
        guard bringsLuggage else {
            return try TaskSpan.$current.withValue(taskSpan, operation: body)
        }
        return try TaskSpan.$luggage.withValue(luggage) {
            try TaskSpan.$current.withValue(taskSpan, operation: body)
        }
    }

    /// Runs an asynchronous `body` with this as the running task's context.
    func whileCurrent<Result>(
        isolation: isolated (any Actor)?, _ body: () async throws -> Result
    ) async rethrows -> Result {
        guard bringsLuggage else {
            return try await TaskSpan.$current.withValue(taskSpan, operation: body)
        }
        return try await TaskSpan.$luggage.withValue(luggage) {
            try await TaskSpan.$current.withValue(taskSpan, operation: body)
        }
    }

    /// What spans get when telemetry is off: not sampled, so that children make nothing either.
    static let off = TraceContext(
        traceID: TraceID(high: 0, low: 0), spanID: .none, isSampled: false)
}
