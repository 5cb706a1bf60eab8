internal import ByteCoding
internal import SystemIO
internal import TelemetryBatch

/// One batch, sent at once by the calling thread: what `exec` and `emit` need.
///
/// No thread, no loop, no waiting but for the ack (2 ms at most). Make it, record, `deliver`. A batch
/// that is not acked in time goes to the spool as well: the agent stores it once.
package struct OneShot: ~Copyable {
    /// What became of the batch.
    package enum Outcome: Sendable, Equatable {
        /// The agent has it in its log, at this offset (0: it had it already).
        case acked(offset: UInt64)
        /// It was written to the agent's socket; no ack came in time, and the spool refused it.
        case sent(why: String)
        /// It stands in this file, because the agent has not said that it has it.
        case spooled(path: String, why: String)
        /// It is lost.
        case dropped(why: String)
        /// There was nothing to send: telemetry is off, or the trace is not sampled.
        case nothing
    }

    /// How long `deliver` waits for the ack.
    package static let ackNanoseconds: UInt64 = 2_000_000

    /// The first member: for the thread sanitizer Swift 6.3.1 takes the first word of a loaded value, of a
    /// type without copies, for its address. Of a `Bool` it makes nothing that compiles.
    private let recorder: Recorder

    /// Whether anything is recorded.
    package let isEnabled: Bool
    /// The span that this process is about to run or report: a child of `TRACEPARENT`'s, or a root.
    package let context: TraceContext
    /// The anonymous session: the environment's, or a random one.
    package let sessionID: String

    private let settings: Settings

    /// Reads the environment; `configuration.isExplicit` is taken as true. Bad values are warned of
    /// through `configuration.warn`.
    package init(_ configuration: Telemetry.Configuration) {
        var configuration = configuration
        configuration.isExplicit = true
        let environment = configuration.clientEnvironment()
        for warning in environment.warnings { configuration.warn("codex-telemetry: \(warning)") }
        isEnabled = configuration.isEnabled ?? environment.isEnabled
        settings = configuration.settings(environment)
        sessionID = settings.sessionID
        context =
            settings.remoteParent?.child() ?? TraceContext.newRoot(sampler: settings.sampler)
        recorder = Recorder(resource: settings.resource(ofProcess: ThisProcess.pid))
    }

    /// What to set in the environment of a child so that it joins the trace and the session; an empty
    /// value means: unset it. Empty if telemetry is off.
    package var childEnvironment: [(name: String, value: String)] {
        isEnabled ? settings.childEnvironment(of: context) : []
    }

    /// Records a span that has ended.
    ///
    /// - Parameters:
    ///   - context: which span; default: this one's `context`.
    ///   - start: when it began.
    ///   - end: when it ended.
    package mutating func span(
        _ name: String, context: TraceContext? = nil, start: Telemetry.Instant,
        end: Telemetry.Instant, kind: SpanKind = .internal, status: SpanStatus = .unset,
        error: ErrorType? = nil, attributes: [Attribute] = []
    ) {
        let context = context ?? self.context
        guard isEnabled, context.isSampled else { return }
        recorder.encoder.beginSpan(
            dynamic: name, context, start: start.nanoseconds, end: end.nanoseconds, kind: kind,
            status: error == nil ? status : .error)
        for attribute in attributes {
            recorder.encoder.set(dynamic: attribute.key, attribute.value)
        }
        if let error { recorder.encoder.set(.errorType, error.rawValue) }
        recorder.encoder.traceState(context.traceState)
        _ = recorder.encoder.endSpan()
    }

    /// Records an event, in the trace that the environment names (none if it names none).
    package mutating func event(
        _ name: String, severity: Severity = .info, body: String = "", error: ErrorType? = nil,
        attributes: [Attribute] = []
    ) {
        let context = settings.remoteParent
        guard isEnabled, context?.isSampled ?? true else { return }
        recorder.encoder.beginLog(
            dynamic: name, context, time: Clocks.monotonic(), severity: severity, body: body)
        for attribute in attributes {
            recorder.encoder.set(dynamic: attribute.key, attribute.value)
        }
        if let error { recorder.encoder.set(.errorType, error.rawValue) }
        _ = recorder.encoder.endLog()
    }

    /// Records an amount of a counter (delta).
    package mutating func count(
        _ name: String, _ amount: Int, unit: String = "", attributes: [Attribute] = []
    ) {
        point(name, .counter, unit, attributes, .sum(Int64(amount)))
    }

    /// Records a gauge's value.
    package mutating func gauge(
        _ name: String, _ value: Double, unit: String = "", attributes: [Attribute] = []
    ) {
        point(name, .gauge, unit, attributes, .last(value))
    }

    /// Records one value of a histogram (delta).
    package mutating func histogram(
        _ name: String, _ value: Double, unit: String = "", attributes: [Attribute] = []
    ) {
        var histogram = ExponentialHistogram()
        guard histogram.record(value) else { return }
        point(name, .histogram, unit, attributes, .distribution(histogram))
    }

    private mutating func point(
        _ name: String, _ kind: InstrumentKind, _ unit: String, _ attributes: [Attribute],
        _ value: SeriesValue
    ) {
        guard isEnabled else { return }
        let now = Clocks.wall()
        _ = recorder.encoder.append(
            Point(instrument: 0, attributes: attributes, value: value),
            of: Instrument(name: name, kind: kind, unit: unit, description: ""), start: now,
            time: now)
    }

    /// Sends what was recorded. Waits for the ack at most this long, and for the writing of a spool file.
    package consuming func deliver(waiting nanoseconds: UInt64 = ackNanoseconds) -> Outcome {
        guard recorder.encoder.recordCount > 0 else { return .nothing }
        // A spool beyond `ulimit -f` is an error like any other; it must not end a command's stand-in.
        do { try Signals.block([Signals.fileSize]) } catch { return .dropped(why: "\(error)") }
        let producer = ID128.random()
        let sealed = recorder.encoder.seal(
            SealHeader(
                producer: producer, sequence: 1,
                threshold: settings.threshold,
                dropped: RecordCounts()))
        if settings.printsToConsole { ConsolePrinter().print(sealed) }
        let hello = Hello(
            producer: producer, nextSequence: 1, readsAnswers: true, properties: settings.hello)
        let attempt = Self.send(hello.frame.encoded + sealed.frame, settings, nanoseconds)
        guard case .failure(let problem) = attempt else {
            if case .success(let answer) = attempt {
                if answer.isSystem {
                    // Nobody else will: the system's agent never opens this user's files.
                    _ = SpoolSender(
                        Connector(
                            surroundings: settings.surroundings, overrides: settings.overrides)
                    ).send(budgetNanoseconds: Self.ackNanoseconds)
                }
                return .acked(offset: answer.offset)
            }
            return .nothing
        }
        var spoolHello = hello
        spoolHello.readsAnswers = false
        var spool = Spool(surroundings: settings.surroundings)
        switch spool.append(
            sealed.frame, producer: producer, hello: spoolHello.frame.encoded)
        {
        case .stored: return .spooled(path: spool.path ?? "", why: problem.why)
        case .refused(let reason):
            return problem.isSent
                ? .sent(why: "\(problem.why); \(reason)")
                : .dropped(why: "\(problem.why); \(reason)")
        }
    }

    private struct Acked {
        let offset: UInt64
        let isSystem: Bool
    }

    private struct Problem: Error {
        let why: String
        let isSent: Bool
    }

    private static func send(_ bytes: [UInt8], _ settings: Settings, _ nanoseconds: UInt64)
        -> Result<Acked, Problem>
    {
        let connector = Connector(
            surroundings: settings.surroundings, overrides: settings.overrides)
        guard let connected = connector.connect() else {
            return .failure(Problem(why: "no agent takes connections", isSent: false))
        }
        do {
            guard try connected.socket.send(bytes.span.bytes, wait: false) == bytes.count else {
                return .failure(Problem(why: "the agent is behind", isSent: false))
            }
        } catch {
            return .failure(Problem(why: "\(error)", isSent: false))
        }
        return awaitAck(connected.socket, nanoseconds)
            .map { Acked(offset: $0, isSystem: connected.isSystem) }
    }

    private static func awaitAck(_ socket: borrowing UnixSocket, _ nanoseconds: UInt64)
        -> Result<UInt64, Problem>
    {
        let deadline = Clocks.monotonic() + nanoseconds
        var frames = FrameBuffer()
        var received: [UInt8] = []
        while true {
            do {
                let now = Clocks.monotonic()
                guard now < deadline else { break }
                // In whole milliseconds: the kernel's poll knows no finer.
                guard try socket.wait(for: .readable, milliseconds: 1) else { continue }
                received.removeAll(keepingCapacity: true)
                guard try socket.receive(appendingTo: &received, limit: 4_096, wait: false) > 0
                else { return .failure(Problem(why: "the agent closed", isSent: true)) }
                frames.append(received)
                while let frame = try frames.next() {
                    if let answer = try answer(frame) { return answer }
                }
            } catch {
                return .failure(Problem(why: "\(error)", isSent: true))
            }
        }
        return .failure(Problem(why: "no ack in time", isSent: true))
    }

    private static func answer(_ frame: Frame) throws(BatchError) -> Result<UInt64, Problem>? {
        let body = frame.body.span.bytes
        switch frame.type {
        case .ack:
            let ack = try Ack(decoding: body)
            return ack.sequence >= 1 ? .success(ack.offset) : nil
        case .throttle:
            let throttle = try Throttle(decoding: body)
            return .failure(Problem(why: "throttled (\(throttle.reason))", isSent: false))
        case .error:
            let error = try ErrorFrame(decoding: body)
            return .failure(Problem(why: "refused: \(error.message)", isSent: true))
        default: return nil
        }
    }
}

/// A reference to an encoder.
///
/// Optimised Swift 6.3.1 destroys members of an encoder that lies in `OneShot` itself before its
/// initialiser has set them, and frees what was never allocated; behind a reference it does not.
private final class Recorder {
    var encoder: RecordEncoder

    @inline(never)
    init(resource: Resource) { encoder = RecordEncoder(resource: resource) }
}
