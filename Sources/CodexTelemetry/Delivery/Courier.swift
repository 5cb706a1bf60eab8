internal import ByteCoding
internal import Places
internal import SystemIO
internal import TelemetryBatch

/// What became of a producer's records so far.
package struct DeliveryStatistics: Sendable, Equatable {
    /// Batches made, and their bytes without frame headers.
    package var sealedBatches = 0
    package var sealedBytes = 0
    /// Batches and records that an agent acknowledged.
    package var ackedBatches = 0
    package var acked = RecordCounts()
    /// Records that stand in spool files.
    package var spooled = RecordCounts()
    /// Records that an agent refused for good.
    package var refused = RecordCounts()
    /// Records for which there was no room: in memory, in the spool, in a busy moment.
    package var dropped = RecordCounts()
    /// Connections after the first.
    package var reconnects = 0
    /// Why the spool last refused, nil if it never did.
    package var spoolProblem: String?
}

/// The shell around `DeliveryStateMachine`: owns the socket and the spool file, does what the machine
/// says, tells it what happened. Never blocks, but for writing to the spool's file.
struct Courier: ~Copyable {
    private(set) var machine: DeliveryStateMachine
    private(set) var statistics = DeliveryStatistics()
    private let connector: Connector
    private let properties: [Hello.Property]
    private var socket: Connected?
    private var frames = FrameBuffer()
    private var spool: Spool
    private var received: [UInt8] = []

    init(
        limits: DeliveryStateMachine.Limits, surroundings: Surroundings, overrides: PlaceOverrides,
        properties: [Hello.Property]
    ) {
        machine = DeliveryStateMachine(
            limits: limits, seed: UInt64.random(in: 1...UInt64.max),
            freshProducer: { ID128.random() })
        connector = Connector(surroundings: surroundings, overrides: overrides)
        spool = Spool(surroundings: surroundings)
        self.properties = properties
    }

    /// The socket's descriptor and what to wait for on it; nil without a connection.
    var interest: (number: Int32, what: Readiness)? {
        guard let number = socket?.socket.number else { return nil }
        return (number, machine.isBlocked ? [.readable, .writable] : .readable)
    }

    /// Descriptors that a forked child must let go of.
    var descriptorNumbers: (socket: Int32, spool: Int32) {
        (socket?.socket.number ?? -1, spool.descriptorNumber)
    }

    /// Connected to an agent that does not drain this user's spool.
    var isWithSystemAgent: Bool { machine.connection == .ready && socket?.isSystem ?? false }

    /// Takes a sealed batch of `machine.producer` and `machine.sequence`. False: no room, counted.
    mutating func enqueue(_ batch: OutgoingBatch) -> Bool { machine.enqueue(batch) }

    /// The process ends.
    mutating func end() { machine.end() }

    /// Does what can be done now; the time before which nothing more is to do, nil for ever.
    mutating func pump() -> UInt64? {
        machine.writable()
        receive()
        var hasTried = false
        while true {
            let now = Clocks.monotonic()
            switch machine.next(now: now) {
            case .wait(let until): return until
            case .connect:
                // Once a call, however short the pauses: the caller's time is bounded.
                if hasTried { return now }
                hasTried = true
                connect(now: now)
            case .close: disconnect()
            case .send(let sequence, let from): send(sequence, from: from, now: now)
            case .spool(let sequence): spool(sequence, now: now)
            }
        }
    }

    /// Closes everything; what is unsent is lost, so `end` and `pump` come first.
    mutating func close() {
        if let socket {
            // Best effort: an agent counts a connection that ends without it the same.
            _ = try? socket.socket.send(
                Frame(type: .goodbye, body: []).encoded.span.bytes, wait: false)
        }
        disconnect()
        spool.close()
    }

    private mutating func connect(now: UInt64) {
        guard let found = connector.connect() else {
            machine.connectFailed(now: now)
            return
        }
        machine.connected(now: now)
        spool.close()
        let hello = hello(readsAnswers: true)
        do {
            guard try found.socket.send(hello.span.bytes, wait: false) == hello.count else {
                machine.disconnected(now: now)
                return
            }
        } catch {
            machine.disconnected(now: now)
            return
        }
        frames = FrameBuffer()
        socket = found
    }

    private func hello(readsAnswers: Bool) -> [UInt8] {
        Hello(
            producer: machine.producer, nextSequence: machine.sequence, readsAnswers: readsAnswers,
            properties: properties
        ).frame.encoded
    }

    private mutating func disconnect() {
        socket = nil
        frames = FrameBuffer()
    }

    private mutating func send(_ sequence: UInt64, from: Int, now: UInt64) {
        guard let batch = machine.batch(sequence), let socket else {
            machine.disconnected(now: now)
            return
        }
        do {
            let bytes = batch.frame.span.bytes
            let count = try socket.socket.send(
                bytes.extracting(from..<bytes.byteCount), wait: false)
            machine.sent(bytes: count, now: now)
        } catch {
            if error.wouldBlock { return machine.sendBlocked() }
            // What the agent said before it closed is still there: acks, and how long to wait.
            receive()
            if !machine.isAway { machine.disconnected(now: now) }
        }
    }

    private mutating func spool(_ sequence: UInt64, now: UInt64) {
        guard let batch = machine.batch(sequence) else { return }
        let hello = hello(readsAnswers: false)
        switch spool.append(batch.frame, producer: machine.producer, hello: hello) {
        case .stored:
            statistics.spooled += batch.records
            machine.spooled()
            if spool.isFileFull, machine.spoolFileFull() { spool.close() }
        case .refused(let why):
            statistics.spoolProblem = why
            machine.spoolRefused(now: now)
        }
    }

    private mutating func receive() {
        while socket != nil, !machine.isAway {
            received.removeAll(keepingCapacity: true)
            let now = Clocks.monotonic()
            do {
                guard
                    let count = try socket?.socket.receive(
                        appendingTo: &received, limit: 16_384, wait: false), count > 0
                else {
                    machine.disconnected(now: now)
                    return
                }
                frames.append(received)
                while let frame = try frames.next() { try take(frame, now: now) }
                if count < 16_384 { return }
            } catch let error as SystemError {
                if !error.wouldBlock { machine.disconnected(now: now) }
                return
            } catch {
                // Bytes that are no frame: whoever this is, it does not speak our protocol.
                machine.rejected(now: now)
                return
            }
        }
    }

    private mutating func take(_ frame: Frame, now: UInt64) throws(BatchError) {
        let body = frame.body.span.bytes
        switch frame.type {
        case .welcome:
            let welcome = try Welcome(decoding: body)
            machine.welcomed(
                stored: welcome.storedSequence, windowBytes: welcome.windowBytes, now: now)
        case .ack:
            let ack = try Ack(decoding: body)
            machine.acked(upTo: ack.sequence, now: now)
        case .throttle:
            let throttle = try Throttle(decoding: body)
            machine.throttled(milliseconds: throttle.delayMilliseconds, now: now)
        case .error:
            let error = try ErrorFrame(decoding: body)
            if error.sequence != 0 { _ = machine.refused(sequence: error.sequence, now: now) }
            if error.code == WireError.superseded.rawValue {
                machine.superseded(now: now)
            } else if error.isFatal {
                machine.rejected(now: now)
            }
        default: break
        }
    }

    /// The statistics, with what the machine counts itself.
    var report: DeliveryStatistics {
        var report = statistics
        report.ackedBatches = machine.ackedBatches
        report.acked = machine.acked
        report.refused = machine.refused
        report.dropped = machine.dropped
        report.reconnects = machine.reconnects
        return report
    }
}
