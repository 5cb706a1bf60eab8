internal import SystemIO

/// A span that runs: what `withSpan` gives to its body.
public struct ActiveSpan: ~Copyable {
    /// Which span this is: for children in other tasks and processes, and for `emitSpan`.
    public let context: TraceContext
    /// Attributes so far.
    public private(set) var attributes: [(key: AttributeKey, value: AttributeValue)] = []
    /// How the span ended, as the body says; `error` if the body throws.
    public var status = SpanStatus.unset
    /// Why it failed, as the body says; else found from what the body throws.
    public var error: ErrorType?

    init(context: TraceContext) { self.context = context }

    /// Sets an attribute; kept until the span ends. Nothing if the span is not recorded.
    public mutating func set(_ key: AttributeKey, _ value: AttributeValue) {
        guard context.isSampled else { return }
        attributes.append((key, value))
    }

    /// Sets a text.
    public mutating func set(_ key: AttributeKey, _ value: String) { set(key, .string(value)) }

    /// Sets an integer.
    public mutating func set(_ key: AttributeKey, _ value: Int) { set(key, .int(Int64(value))) }
}

/// An error that knows which `error.type` it is.
public protocol TelemetryError: Error {
    /// The value of `error.type`.
    var errorType: ErrorType { get }
}

extension ErrorType {
    /// The type of a thrown error: its own word, `cancelled` for a cancelled task, else `internal`.
    public init(describing error: any Error) {
        switch error {
        case let known as any TelemetryError: self = known.errorType
        case is CancellationError: self = .cancelled
        default: self = .internal
        }
    }
}

extension Telemetry {
    /// Runs `body` as a span, a child of the running task's; spans made inside are its children.
    ///
    /// A thrown error is recorded as `error.type` and passed on.
    public func withSpan<Result>(
        _ name: AttributeKey, kind: SpanKind = .internal, parent: TraceContext? = nil,
        _ body: (inout ActiveSpan) throws -> Result
    ) rethrows -> Result {
        guard let engine else {
            var span = ActiveSpan(context: .off)
            return try body(&span)
        }
        let context = newContext(parent: parent)
        var span = ActiveSpan(context: context)
        let start = Clocks.monotonic()
        do {
            let result = try context.whileCurrent { try body(&span) }
            engine.emit(span, context, name, start: start, kind: kind, thrown: nil)
            return result
        } catch {
            engine.emit(span, context, name, start: start, kind: kind, thrown: error)
            throw error
        }
    }

    /// Runs an asynchronous `body` as a span, a child of the running task's; spans made inside, child
    /// tasks included, are its children.
    ///
    /// A thrown error is recorded as `error.type` and passed on.
    public func withSpan<Result>(
        _ name: AttributeKey, kind: SpanKind = .internal, parent: TraceContext? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (inout ActiveSpan) async throws -> Result
    ) async rethrows -> Result {
        guard let engine else {
            var span = ActiveSpan(context: .off)
            return try await body(&span)
        }
        let context = newContext(parent: parent)
        var span = ActiveSpan(context: context)
        let start = Clocks.monotonic()
        do {
            let result = try await context.whileCurrent(isolation: isolation) {
                try await body(&span)
            }
            engine.emit(span, context, name, start: start, kind: kind, thrown: nil)
            return result
        } catch {
            engine.emit(span, context, name, start: start, kind: kind, thrown: error)
            throw error
        }
    }

    /// Runs `body` as the span of an operation of a coding agent.
    @inlinable
    public func withSpan<Result>(
        _ operation: CodexOperation, parent: TraceContext? = nil,
        _ body: (inout ActiveSpan) throws -> Result
    ) rethrows -> Result {
        try withSpan(operation.name, kind: operation.kind, parent: parent, body)
    }

    /// Runs an asynchronous `body` as the span of an operation of a coding agent.
    @inlinable
    public func withSpan<Result>(
        _ operation: CodexOperation, parent: TraceContext? = nil,
        isolation: isolated (any Actor)? = #isolation,
        _ body: (inout ActiveSpan) async throws -> Result
    ) async rethrows -> Result {
        try await withSpan(
            operation.name, kind: operation.kind, parent: parent, isolation: isolation, body)
    }
}

extension EngineReference {
    /// Records a span whose body has ended.
    func emit(
        _ span: borrowing ActiveSpan, _ context: borrowing TraceContext, _ name: AttributeKey,
        start: UInt64, kind: SpanKind, thrown: (any Error)?
    ) {
        guard context.isSampled else { return }
        let error = span.error ?? thrown.map { ErrorType(describing: $0) }
        Telemetry(engine: self).record(
            name, context, start: Telemetry.Instant(nanoseconds: start), end: nil, kind: kind,
            status: span.status, error: error
        ) { writer in
            if span.attributes.isEmpty { return }
            for (key, value) in span.attributes { writer.set(key, value) }
        }
    }
}
