internal import SystemIO

extension Telemetry {
    /// Records a span that has ended: the fast path, with the context given and the end read here.
    ///
    /// Does not allocate in the steady state. `attributes` runs at once, with a lock of this thread's
    /// shard held: it must only set attributes.
    ///
    ///     let start = Telemetry.now()
    ///     let context = telemetry.newContext()
    ///     // … the work …
    ///     telemetry.emitSpan("codex.tool", context, start: start) { span in
    ///         span.set(.genAIToolName, "shell")
    ///     }
    ///
    /// - Parameters:
    ///   - name: the span's name.
    ///   - context: which span this is; nothing is recorded if its trace is not sampled.
    ///   - start: when it began.
    ///   - end: when it ended; nil: now.
    ///   - error: why it failed; makes the status `error` and sets `error.type`.
    @inlinable
    public func emitSpan(
        _ name: AttributeKey, _ context: TraceContext, start: Instant, end: Instant? = nil,
        kind: SpanKind = .internal, status: SpanStatus = .unset, error: ErrorType? = nil,
        attributes: (inout AttributeWriter) -> Void = { _ in }
    ) {
        guard isEnabled, context.isSampled else { return }
        record(
            name, context, start: start, end: end, kind: kind, status: status, error: error,
            attributes: attributes)
    }

    @usableFromInline
    func record(
        _ name: AttributeKey, _ context: borrowing TraceContext, start: Instant, end: Instant?,
        kind: SpanKind, status: SpanStatus, error: ErrorType?,
        attributes: (inout AttributeWriter) -> Void
    ) {
        guard let engine else { return }
        guard let shard = engine.takeShard() else { return }
        if shard.contents.pointee.isFull {
            shard.contents.pointee.dropped.spans += 1
            return shard.unlock()
        }
        let end = end?.nanoseconds ?? Clocks.monotonic()
        shard.contents.pointee.encoder.beginSpan(
            name, context, start: start.nanoseconds, end: end, kind: kind,
            status: error == nil ? status : .error)
        var writer = AttributeWriter(shard: shard)
        attributes(&writer)
        if let error { writer.set(.errorType, error) }
        if context.luggage != nil { engine.describe(context, &writer) }
        if !shard.contents.pointee.encoder.endSpan() { engine.drop(shard, \.spans) }
        engine.giveBack(shard)
    }

    /// Records a span of an operation of a coding agent.
    @inlinable
    public func emitSpan(
        _ operation: CodexOperation, _ context: TraceContext, start: Instant, end: Instant? = nil,
        status: SpanStatus = .unset, error: ErrorType? = nil,
        attributes: (inout AttributeWriter) -> Void = { _ in }
    ) {
        emitSpan(
            operation.name, context, start: start, end: end, kind: operation.kind, status: status,
            error: error, attributes: attributes)
    }

    /// Records an event (a log record of OpenTelemetry's with a name), in the trace of `context`
    /// (default: `current`). Events of a trace that is not sampled are left out with it.
    public func event(
        _ name: AttributeKey, severity: Severity = .info, body: String = "",
        context: TraceContext? = nil, error: ErrorType? = nil,
        attributes: (inout AttributeWriter) -> Void = { _ in }
    ) {
        guard let engine else { return }
        let context = context ?? current
        if let context, !context.isSampled { return }
        guard let shard = engine.takeShard() else { return }
        if shard.contents.pointee.isFull {
            shard.contents.pointee.dropped.logs += 1
            return shard.unlock()
        }
        shard.contents.pointee.encoder.beginLog(
            name, context, time: Clocks.monotonic(), severity: severity, body: body)
        var writer = AttributeWriter(shard: shard)
        attributes(&writer)
        if let error { writer.set(.errorType, error) }
        if let luggage = context?.luggage { engine.describe(luggage, &writer) }
        if !shard.contents.pointee.encoder.endLog() { engine.drop(shard, \.logs) }
        engine.giveBack(shard)
    }
}

/// Writes a record's attributes straight into the batch. Only valid inside the call that gave it.
public struct AttributeWriter: ~Copyable {
    // Sound: made under the shard's lock, and its users cannot keep it, since it cannot be copied out
    // of the `inout` that they get.
    let shard: Shard

    /// Text longer than this is cut, at a character.
    public static let textBytesMax = 64 << 10

    /// Sets a text.
    public mutating func set(_ key: AttributeKey, _ value: String) {
        shard.contents.pointee.encoder.set(key, value)
    }

    /// Sets a text that the program's own text fixes: the cheapest.
    public mutating func set(_ key: AttributeKey, literal value: AttributeKey) {
        shard.contents.pointee.encoder.set(key, literal: value)
    }

    /// Sets an integer.
    public mutating func set(_ key: AttributeKey, _ value: Int) {
        shard.contents.pointee.encoder.set(key, Int64(value))
    }

    /// Sets a binary64.
    public mutating func set(_ key: AttributeKey, _ value: Double) {
        shard.contents.pointee.encoder.set(key, value)
    }

    /// Sets a truth value.
    public mutating func set(_ key: AttributeKey, _ value: Bool) {
        shard.contents.pointee.encoder.set(key, value)
    }

    /// Sets the reason of a failure.
    public mutating func set(_ key: AttributeKey, _ value: ErrorType) {
        shard.contents.pointee.encoder.set(key, value.rawValue)
    }

    /// Sets any value.
    public mutating func set(_ key: AttributeKey, _ value: AttributeValue) {
        shard.contents.pointee.encoder.set(key, value)
    }

    /// Sets any value under a key that is made at run time: slower.
    public mutating func set(dynamic key: String, _ value: AttributeValue) {
        shard.contents.pointee.encoder.set(dynamic: key, value)
    }
}

extension EngineReference {
    /// What a span says of a context with luggage: session, originator, trace state.
    @inline(never)
    func describe(_ context: borrowing TraceContext, _ writer: inout AttributeWriter) {
        guard let luggage = context.luggage else { return }
        describe(luggage, &writer)
        writer.shard.contents.pointee.encoder.traceState(luggage.traceState)
    }

    /// The session that a context carries, if it is another than the process's (which stands in the
    /// resource, once a batch).
    func describe(_ luggage: Luggage, _ writer: inout AttributeWriter) {
        if let session = luggage.sessionID, session != settings.sessionID {
            writer.set(.sessionID, session)
        }
        if let originator = luggage.originator, originator != settings.originator {
            writer.set(.originator, originator)
        }
    }
}
