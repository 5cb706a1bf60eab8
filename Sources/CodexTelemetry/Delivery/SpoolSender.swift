internal import ByteCoding
internal import Places
internal import SystemIO
internal import TelemetryBatch

/// Sends what this user's earlier processes spooled to the system's agent, which never opens users'
/// files (spool.md, "Who drains"). A user's own agent drains by itself.
///
/// Blocks, within its budget: for a thread of its own, or a command that can spare a millisecond. A file of
/// which not every batch is acked or refused stays, and the next attempt skips what the agent has of it.
struct SpoolSender {
    let surroundings: Surroundings
    /// Finds the agent; handed in, so that a test can be the system's.
    let connect: @Sendable () -> Connected?

    /// Sends to the agent that `connector` finds.
    init(_ connector: Connector) {
        surroundings = connector.surroundings
        connect = { connector.connect() }
    }

    init(surroundings: Surroundings, connect: @escaping @Sendable () -> Connected?) {
        self.surroundings = surroundings
        self.connect = connect
    }

    /// Sends whole files until the budget is used up; how many are done with.
    func send(budgetNanoseconds: UInt64) -> Int {
        let deadline = Clocks.monotonic() + budgetNanoseconds
        var sent = 0
        for directory in SpoolPlaces.candidates(surroundings: surroundings) {
            guard isPrivate(directory) else { continue }
            var names: [String]
            do { names = try Files.list(directory) } catch { continue }
            // A file that uses up the budget each time must not always be the first.
            names.shuffle()
            for name in names where name.hasSuffix(".spool") {
                guard Clocks.monotonic() < deadline else { return sent }
                do {
                    if try send(directory + "/" + name, deadline) { sent += 1 }
                } catch {
                    // Left for the next attempt: the agent is away or behind, or the file is not ours
                    // to read. Whoever can drains it.
                    continue
                }
            }
        }
        return sent
    }

    private func isPrivate(_ directory: String) -> Bool {
        do {
            let facts = try Files.facts(directory, following: false)
            return facts.kind == .directory && facts.uid == surroundings.euid
                && facts.mode & 0o077 == 0
        } catch {
            return false
        }
    }

    /// False if the file's writer lives, or the file is not as it must be.
    private func send(_ path: String, _ deadline: UInt64) throws -> Bool {
        let file = try Files.open(path, [.readWrite, .noFollow, .nonBlocking])
        guard try file.lock() else { return false }
        let facts = try Files.facts(file)
        guard facts.kind == .regular, facts.uid == surroundings.euid, facts.links == 1,
            facts.mode & 0o077 == 0, facts.size <= UInt64(Spool.fileBytesMax)
        else { return false }
        // Between open and lock another drainer may have taken the name away and a writer made it anew.
        guard try Files.facts(path, following: false).inode == facts.inode else { return false }
        var bytes = [UInt8](repeating: 0, count: Int(facts.size))
        let got = try file.read(into: &bytes, range: 0..<bytes.count, at: 0)
        bytes.removeLast(bytes.count - got)
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let content = Content(SpoolReader(bytes, name: name))
        // Whose batches these are, nobody says: it may not be ours.
        guard let hello = content.hello else { return false }
        var isWhole = content.isWhole
        if !content.batches.isEmpty {
            switch try hand(content, hello, deadline) {
            case .waiting: return false
            case .settled: break
            case .refused: isWhole = false
            }
        }
        // All that is sound is dealt with. What is not sound stays to be looked at.
        if isWhole { return try Files.remove(path) }
        _ = try SpoolAside.keep(path)
        return true
    }

    /// A spool file's sound frames.
    private struct Content {
        /// Nil if nothing says whose batches these are.
        var hello: Hello?
        var batches: [(sequence: UInt64, frame: [UInt8])] = []
        var isWhole = true

        init(_ content: SpoolReader) {
            var content = content
            while let part = content.next() {
                switch part {
                case .hello(let found): hello = found
                case .batch(let range): add(content.bytes(range))
                case .damaged, .torn: isWhole = false
                }
            }
            if hello == nil, let producer = content.producer { hello = Hello(producer: producer) }
        }

        private mutating func add(_ body: [UInt8]) {
            do {
                var reader = ByteReader(body.span.bytes)
                try reader.skip(24)
                let sequence = try reader.readUInt64()
                batches.append((sequence, Frame(type: .batch, body: body).encoded))
            } catch {
                // Too short for a batch: nothing that an agent would take.
                isWhole = false
            }
        }
    }

    /// Sends what the agent does not have yet and hears what becomes of it.
    private func hand(
        _ content: Content, _ hello: Hello, _ deadline: UInt64
    ) throws -> SpoolConversation.Outcome {
        guard let connected = connect(), connected.isSystem else { return .waiting }
        var hello = hello
        hello.readsAnswers = true
        var conversation = SpoolConversation(
            hello: hello.frame.encoded, batches: content.batches)
        var received: [UInt8] = []
        var canSend = true
        while conversation.outcome == .waiting, Clocks.monotonic() < deadline {
            if canSend, !conversation.toSend.isEmpty {
                canSend = try send(&conversation, on: connected.socket)
                // A peer that has gone is still read: it may have said why.
                if !canSend { conversation.stopSending() }
            }
            let what: Readiness =
                conversation.toSend.isEmpty ? .readable : [.readable, .writable]
            guard try connected.socket.wait(for: what, milliseconds: 1) else { continue }
            received.removeAll(keepingCapacity: true)
            do {
                guard
                    try connected.socket.receive(
                        appendingTo: &received, limit: 65_536, wait: false) > 0
                else { break }
            } catch {
                guard error.wouldBlock else { throw error }
            }
            try conversation.take(received)
        }
        return conversation.outcome
    }

    /// Sends what the kernel takes; false if the peer takes no more.
    private func send(
        _ conversation: inout SpoolConversation, on socket: borrowing UnixSocket
    ) throws(SystemError) -> Bool {
        do {
            let sent = try socket.send(conversation.toSend.span.bytes, wait: false)
            conversation.didSend(sent)
            return true
        } catch { return error.wouldBlock }
    }
}

/// What is said with the agent about one spool file, without its socket.
struct SpoolConversation {
    /// What has become of the file's batches.
    enum Outcome {
        /// Not all of them have their outcome: another time.
        case waiting
        /// Each is stored, or refused by itself.
        case settled
        /// The agent will never take this file.
        case refused
    }

    private(set) var outcome = Outcome.waiting
    /// What is to be sent next.
    private(set) var toSend: ArraySlice<UInt8>
    /// The batches that have no outcome yet, by sequence; a damaged file may hold one twice.
    private var unsettled: [UInt64: Int] = [:]
    private let batches: [(sequence: UInt64, frame: [UInt8])]
    private var nextBatch = 0
    private var stored: UInt64?
    private var frames = FrameBuffer()

    init(hello: [UInt8], batches: [(sequence: UInt64, frame: [UInt8])]) {
        toSend = hello[...]
        self.batches = batches
        for batch in batches { unsettled[batch.sequence, default: 0] += 1 }
    }

    mutating func didSend(_ count: Int) {
        toSend.removeFirst(count)
        refill()
    }

    mutating func stopSending() {
        toSend = []
        nextBatch = batches.count
    }

    /// Batches follow once the agent has said which of them it has.
    private mutating func refill() {
        guard let stored else { return }
        while toSend.isEmpty, nextBatch < batches.count {
            if batches[nextBatch].sequence > stored || batches[nextBatch].sequence == 0 {
                toSend = batches[nextBatch].frame[...]
            }
            nextBatch += 1
        }
    }

    /// Takes bytes of the agent's answers.
    mutating func take(_ bytes: [UInt8]) throws(BatchError) {
        frames.append(bytes)
        while outcome == .waiting, let frame = try frames.next() {
            let body = frame.body.span.bytes
            switch frame.type {
            case .welcome:
                let stored = try Welcome(decoding: body).storedSequence
                self.stored = stored
                settle { $0 <= stored && $0 != 0 }
                refill()
            case .ack:
                let sequence = try Ack(decoding: body).sequence
                settle { $0 <= sequence }
            case .throttle: return stopSending()
            case .error: refused(try ErrorFrame(decoding: body))
            default: break
            }
        }
    }

    private mutating func settle(where isSettled: (UInt64) -> Bool) {
        unsettled = unsettled.filter { !isSettled($0.key) }
        if unsettled.isEmpty { outcome = .settled }
    }

    /// A refused batch is dealt with; a fatal error that the content caused would come each time.
    private mutating func refused(_ error: ErrorFrame) {
        guard error.isFatal else {
            // The one that it is about, whatever became of those before it.
            let left = unsettled[error.sequence, default: 0] - 1
            unsettled[error.sequence] = left > 0 ? left : nil
            return settle { _ in false }
        }
        stopSending()
        switch WireError(rawValue: error.code) {
        case nil, .frameDeadline, .superseded: break
        default: outcome = .refused
        }
    }
}
