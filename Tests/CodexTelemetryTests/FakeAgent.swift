import ByteCoding
import Places
import Synchronization
import SystemIO
import TelemetryBatch

@testable import CodexTelemetry

/// An agent on a real socket, as small as it can be: keeps each producer's highest sequence, stores
/// batches in memory, answers as told. Its thread ends with `stop`.
final class FakeAgent: Sendable {
    /// What it does with the next batches.
    enum Manner: Sendable, Equatable {
        case acks
        /// Reads and stores, never answers.
        case silent
        /// Accepts, never reads.
        case stalls
        /// Stores and closes without an ack, this many times; then `acks`.
        case storesAndCloses(Int)
        /// Discards and closes, this many times; then `acks`.
        case throttles(Int)
        /// Refuses this sequence, acks the others.
        case refuses(UInt64)
    }

    struct State {
        var manner: Manner
        var batches: [[UInt8]] = []
        var highest: [ID128: UInt64] = [:]
        var hellos: [Hello] = []
        var duplicates = 0
        var connections = 0
        var stopped = false
    }

    let path: String
    let state: Monitor<State>
    private let threads = Mutex<[SystemThread]>([])
    private let listener: Int32

    init(_ path: String, _ manner: Manner = .acks) throws {
        self.path = path
        state = Monitor(State(manner: manner))
        listener = try UnixSocket.listen(path, mode: 0o600).release()
        let thread = try SystemThread.start(name: "fake-agent") { self.acceptLoop() }
        threads.withLock { $0.append(thread) }
    }

    /// Ends the threads and removes the socket.
    func stop() throws {
        state.update { $0.stopped = true }
        // The last connection wakes the accepting thread.
        _ = try? UnixSocket.connect(path)
        while let thread = threads.withLock({ $0.popLast() }) { thread.join() }
        _ = FileDescriptor(owning: listener)
        try Files.remove(path)
    }

    func set(_ manner: Manner) { state.update { $0.manner = manner } }

    /// Waits until the agent's state satisfies `condition`; false after 10 s.
    func wait(_ condition: (State) -> Bool) -> Bool {
        state.wait(until: Clocks.monotonic() + 10_000_000_000) { condition($0) ? true : nil }
            ?? false
    }

    /// All stored records' names, in order of storing.
    func names() throws -> [String] {
        try state.withLock { $0.batches }.flatMap { try Self.names($0) }
    }

    static func names(_ bytes: [UInt8]) throws -> [String] {
        let batch = try Batch(bytes)
        return batch.records.map { record in
            switch record {
            case .span(let span): batch.text(span.name)
            case .log(let log): batch.text(log.eventName)
            case .point(let point): batch.text(point.metric.name)
            case .unknown: "?"
            }
        }
    }

    func dropped() throws -> Int {
        try state.withLock { $0.batches }.reduce(0) { sum, bytes in
            let dropped = try Batch(bytes).header.dropped
            return sum + Int(dropped.spans + dropped.logs + dropped.points)
        }
    }

    private func acceptLoop() {
        let listening = UnixSocket(owning: listener, blocking: true)
        accept(on: listening)
        _ = listening.release()
    }

    private func accept(on listening: borrowing UnixSocket) {
        while !state.withLock({ $0.stopped }) {
            do {
                let number = try listening.accept().release()
                if state.withLock({ $0.stopped }) {
                    _ = FileDescriptor(owning: number)
                    return
                }
                state.update { $0.connections += 1 }
                let thread = try SystemThread.start(name: "fake-peer") { self.serve(number) }
                threads.withLock { $0.append(thread) }
            } catch {
                return
            }
        }
    }

    private func serve(_ number: Int32) {
        let socket = UnixSocket(owning: number, blocking: true)
        var frames = FrameBuffer()
        var bytes: [UInt8] = []
        do {
            while !state.withLock({ $0.stopped }) {
                if state.withLock({ $0.manner }) == .stalls {
                    _ = state.wait(until: nil) { $0.stopped || $0.manner != .stalls ? true : nil }
                    continue
                }
                guard try socket.wait(for: .readable, milliseconds: 20) else { continue }
                bytes.removeAll(keepingCapacity: true)
                guard try socket.receive(appendingTo: &bytes, limit: 65_536) > 0 else { return }
                frames.append(bytes)
                while let frame = try frames.next() {
                    guard try take(frame, socket) else { return }
                }
            }
        } catch {
            return
        }
    }

    /// A peer that has gone may still have left batches to read.
    private func answer(_ frame: Frame, _ socket: borrowing UnixSocket) {
        do { try socket.sendAll(frame.encoded.span.bytes) } catch { return }
    }

    /// What the agent and the spool have together: a batch that is in both counts once, as for a drainer.
    func names(with scratch: Scratch) throws -> [String] {
        var seen: Set<String> = []
        let spooled = try scratch.spooled().values.flatMap { $0 }
        return try (state.withLock { $0.batches } + spooled).flatMap { bytes -> [String] in
            let header = try Batch(bytes).header
            let isNew = seen.insert("\(header.producer.hex) \(header.sequence)").inserted
            return isNew ? try Self.names(bytes) : []
        }
    }

    /// False: close.
    private func take(_ frame: Frame, _ socket: borrowing UnixSocket) throws -> Bool {
        switch frame.type {
        case .hello:
            let hello = try Hello(decoding: frame.body.span.bytes)
            let (stored, isSilent) = state.update { state in
                state.hellos.append(hello)
                return (state.highest[hello.producer] ?? 0, state.manner == .silent)
            }
            guard hello.readsAnswers, !isSilent else { return true }
            answer(
                Welcome(
                    logID: ID128(high: 1, low: 1), storedSequence: stored, windowBytes: 1 << 20,
                    synced: 0
                ).frame, socket)
            return true
        case .batch: return try take(batch: frame.body, socket)
        default: return true
        }
    }

    private func take(batch bytes: [UInt8], _ socket: borrowing UnixSocket) throws -> Bool {
        let header = try Batch(bytes).header
        let answer: (frame: Frame?, goesOn: Bool) = state.update { state in
            switch state.manner {
            case .throttles(let left):
                state.manner = left > 1 ? .throttles(left - 1) : .acks
                return (Throttle(.storageFull, delayMilliseconds: 20).frame, false)
            case .refuses(header.sequence):
                return (
                    ErrorFrame(
                        .badValue, isFatal: false, sequence: header.sequence, message: "no"
                    ).frame, true
                )
            default: break
            }
            if header.sequence > state.highest[header.producer] ?? 0 {
                state.highest[header.producer] = header.sequence
                state.batches.append(bytes)
            } else {
                state.duplicates += 1
            }
            if case .storesAndCloses(let left) = state.manner {
                state.manner = left > 1 ? .storesAndCloses(left - 1) : .acks
                return (nil, false)
            }
            if state.manner == .silent || state.manner == .stalls { return (nil, true) }
            return (Ack(sequence: header.sequence, offset: 8, synced: 0).frame, true)
        }
        if let frame = answer.frame { self.answer(frame, socket) }
        return answer.goesOn
    }
}

/// A directory of the test's own, removed with it.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = "/tmp/cxt-\(ThisProcess.pid)-\(UInt32.random(in: 0...UInt32.max))"
        try Files.makeDirectory(path)
    }

    var socket: String { path + "/ingest.sock" }
    var spool: String { path + "/state/spool" }

    /// A configuration that looks nowhere else, with telemetry on.
    func configuration(
        startsThread: Bool = true, _ environment: [String: String] = [:],
        change: (inout Telemetry.Configuration) -> Void = { _ in }
    ) -> Telemetry.Configuration {
        var configuration = Telemetry.Configuration()
        var environment = environment
        environment["CODEX_TELEMETRY_SOCKET"] = environment["CODEX_TELEMETRY_SOCKET"] ?? socket
        environment["CODEX_TELEMETRY_STATE_DIR"] = path + "/state"
        environment["CODEX_OTEL_ENABLED"] = environment["CODEX_OTEL_ENABLED"] ?? "1"
        let variables = environment
        configuration.surroundings = Surroundings(
            environment: { variables[$0] }, euid: ThisProcess.euid, ownsDirectory: { _ in false })
        configuration.variableNames = { Array(variables.keys) }
        configuration.startsThread = startsThread
        change(&configuration)
        return configuration
    }

    /// The batches of all spool files, by the file's producer id.
    func spooled() throws -> [String: [[UInt8]]] {
        guard Files.exists(spool) else { return [:] }
        var files: [String: [[UInt8]]] = [:]
        for name in try Files.list(spool) {
            var frames = FrameBuffer()
            frames.append(try Files.read(spool + "/" + name, limit: 32 << 20))
            var batches: [[UInt8]] = []
            var isFirst = true
            while let frame = try frames.next() {
                if isFirst {
                    let hello = try Hello(decoding: frame.body.span.bytes)
                    precondition(hello.producer.hex + ".spool" == name && !hello.readsAnswers)
                } else if frame.type == .batch {
                    batches.append(frame.body)
                }
                isFirst = false
            }
            files[name] = batches
        }
        return files
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        // A test's rubbish that cannot be removed is no failure of the test.
        for name in (try? Files.list(path)) ?? [] {
            let inner = path + "/" + name
            if (try? Files.facts(inner, following: false).kind) == .directory {
                remove(inner)
            } else {
                _ = try? Files.remove(inner)
            }
        }
        _ = try? Files.removeDirectory(path)
    }
}
