public import CThreadState
internal import Places
internal import SystemIO
internal import TelemetryBatch

/// Records what a program does, and hands it to the telemetry agent of this machine.
///
/// Call `Telemetry.bootstrap` once at start and use `Telemetry.shared` everywhere. Nothing here
/// blocks, throws, or delays the process's exit; without an agent records wait in a spool file. Off,
/// which is the default (see `bootstrap`), a call is one branch. Handles are a pointer: copy them.
public struct Telemetry: Sendable {
    /// The engine, nil while telemetry is off: a pointer, so that a call that records nothing is one
    /// branch in the caller's own code. Sound to share: engines are never freed, and guard what changes
    /// in them.
    @usableFromInline nonisolated(unsafe) let handle: UnsafeMutableRawPointer?

    var engine: EngineReference? {
        handle.map { EngineReference(pointer: $0.assumingMemoryBound(to: Engine.self)) }
    }

    /// Whether anything is recorded. Ask before costly preparations.
    @inlinable
    public var isEnabled: Bool { handle != nil }

    /// Telemetry that records nothing.
    public static var disabled: Telemetry { Telemetry(engine: nil) }

    /// The process's instance; records nothing until `bootstrap`, and after it only if telemetry is on.
    @inlinable
    public static var shared: Telemetry { Telemetry(handle: cts_load_shared()) }

    /// Sets up `shared` by the environment's rule: on if `CODEX_OTEL_ENABLED` is true, 1, yes or on, or
    /// if it is unset and `~/.codex/otel-config.yaml` exists; `OTEL_SDK_DISABLED=true` turns it off
    /// whatever else is set. The first call decides; later ones return its result. A bad value of a
    /// variable is one warning on stderr.
    @discardableResult
    public static func bootstrap(_ configuration: Configuration = Configuration()) -> Telemetry {
        bootstrapping.withLock { isDone in
            guard !isDone else { return }
            isDone = true
            let made = Telemetry(configuration)
            cts_store_shared(made.handle)
        }
        return shared
    }

    // Guards the one bootstrap.
    private static let bootstrapping = Gate(false)

    init(engine: EngineReference?) {
        handle = engine.map { UnsafeMutableRawPointer($0.pointer) }
    }

    @inlinable
    init(handle: UnsafeMutableRawPointer?) { self.handle = handle }

    /// An instance of its own, by the same rule: for tests and for programs in programs. It lives as
    /// long as the process.
    public init(_ configuration: Configuration) {
        let environment = configuration.clientEnvironment()
        for warning in environment.warnings { configuration.warn("codex-telemetry: \(warning)") }
        guard configuration.isEnabled ?? environment.isEnabled else {
            self.init(engine: nil)
            return
        }
        self.init(engine: EngineReference.make(configuration.settings(environment)))
    }

    /// The time now, for a span's start: nanoseconds of a clock that never jumps.
    public static func now() -> Instant { Instant(nanoseconds: Clocks.monotonic()) }

    /// A point in time of this process. Read once at a span's start and once at its end, durations are
    /// right even if the wall clock jumps.
    public struct Instant: Sendable, Hashable, Comparable {
        /// Nanoseconds of the monotonic clock.
        public let nanoseconds: UInt64

        /// A reading of the monotonic clock.
        @inlinable
        public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

        /// Earlier.
        @inlinable
        public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
    }

    // MARK: - Context

    /// The context of the running task: what `withSpan` set, else what the environment of the process
    /// gave (`TRACEPARENT`), else nil.
    public var current: TraceContext? { TraceContext.current ?? engine?.settings.remoteParent }

    /// The context for a new span: a child of `parent` (default: `current`), else a new trace, on which
    /// the sampling decision is taken here.
    public func newContext(parent: TraceContext? = nil) -> TraceContext {
        guard let engine else { return TraceContext.off }
        if let parent = parent ?? current { return parent.child() }
        return TraceContext.newRoot(sampler: engine.settings.sampler)
    }

    /// What to set in the environment of a child process so that it joins the trace and the session:
    /// `TRACEPARENT`, `TRACESTATE`, `BAGGAGE`. An empty value means: unset it.
    public func childEnvironment(of context: TraceContext? = nil) -> [(name: String, value: String)]
    {
        guard let engine, let context = context ?? current else { return [] }
        return engine.settings.childEnvironment(of: context)
    }

    /// This process's anonymous session: random, or the parent process's.
    public var sessionID: String? { engine?.settings.sessionID }

    // MARK: - The end

    /// Sends what is recorded and waits until the agent has it, or the spool; false if neither did in
    /// this time. For programs' ends and tests: it blocks.
    @discardableResult
    public func flush(timeout: Duration = .milliseconds(500)) -> Bool {
        guard let engine else { return true }
        let nanoseconds = UInt64(max(timeout / .nanoseconds(1), 0))
        return engine.office.flushAndWait(until: Clocks.monotonic() + nanoseconds)
    }

    /// Flushes as at exit, ends the thread, closes the connection. Nothing is recorded after it.
    public func shutdown() {
        guard let engine else { return }
        engine.shutdown()
    }

    /// What became of this instance's records.
    package var statistics: DeliveryStatistics {
        guard let engine else { return DeliveryStatistics() }
        return engine.statistics
    }
}
