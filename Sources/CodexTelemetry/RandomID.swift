internal import CThreadState

/// Random ids: unique, not secret; from a generator of the calling thread's.
@usableFromInline
enum RandomID {
    /// 64 random bits, never 0.
    @usableFromInline
    static func next() -> UInt64 { cts_random() }
}

extension TraceContext {
    /// The root of a new trace, with the sampler's decision on it.
    static func newRoot(sampler: Sampler) -> TraceContext {
        let id = TraceID(high: RandomID.next(), low: RandomID.next())
        let decision = sampler.root(id)
        let root = TraceContext(
            traceID: id, spanID: SpanID(rawValue: RandomID.next()), isSampled: decision.isSampled)
        return decision.traceState.isEmpty ? root : root.with(traceState: decision.traceState)
    }
}
