internal import ByteCoding
internal import Places
internal import SystemIO
internal import TelemetryBatch

/// Sends what this user's earlier processes spooled to the system's agent, which never opens users'
/// files (spool.md, "Who drains"). A user's own agent drains by itself.
///
/// Blocks, within its budget: for a thread of its own, or a command that can spare a millisecond. A file that
/// is not sent and acked whole stays; the agent drops the part of it that it has.
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
            let names: [String]
            do { names = try Files.list(directory) } catch { continue }
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
        if let hello = content.hello, !content.batches.isEmpty {
            guard try hand(content, hello, deadline) else { return false }
        }
        // All that is sound is in the log. What is not sound stays to be looked at.
        if content.isWhole { return try Files.remove(path) }
        _ = try SpoolAside.keep(path)
        return true
    }

    /// A spool file's sound frames.
    private struct Content {
        /// Nil if nothing says whose batches these are.
        var hello: Hello?
        var batches: [[UInt8]] = []
        var last: UInt64 = 0
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
            if hello == nil { isWhole = false }
        }

        private mutating func add(_ body: [UInt8]) {
            do {
                var reader = ByteReader(body.span.bytes)
                try reader.skip(24)
                last = max(last, try reader.readUInt64())
                batches.append(Frame(type: .batch, body: body).encoded)
            } catch {
                // Too short for a batch: nothing that an agent would take.
                isWhole = false
            }
        }
    }

    /// True once the agent has dealt with all of it.
    private func hand(_ content: Content, _ hello: Hello, _ deadline: UInt64) throws -> Bool {
        guard let connected = connect(), connected.isSystem else { return false }
        var hello = hello
        hello.readsAnswers = true
        try send(hello.frame.encoded, on: connected.socket, deadline)
        for batch in content.batches { try send(batch, on: connected.socket, deadline) }
        var frames = FrameBuffer()
        var received: [UInt8] = []
        while Clocks.monotonic() < deadline {
            guard try connected.socket.wait(for: .readable, milliseconds: 1) else { continue }
            received.removeAll(keepingCapacity: true)
            guard
                try connected.socket.receive(
                    appendingTo: &received, limit: 4_096, wait: false) > 0
            else { return false }
            frames.append(received)
            while let frame = try frames.next() {
                switch frame.type {
                case .ack:
                    if try Ack(decoding: frame.body.span.bytes).sequence >= content.last {
                        return true
                    }
                case .throttle: return false
                default: break
                }
            }
        }
        return false
    }

    /// Sends all of it; throws once the deadline is over.
    private func send(
        _ bytes: [UInt8], on socket: borrowing UnixSocket, _ deadline: UInt64
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            do {
                let rest = bytes.span.bytes.extracting(done..<bytes.count)
                done += try socket.send(rest, wait: false)
            } catch {
                guard error.wouldBlock, Clocks.monotonic() < deadline else { throw error }
                _ = try socket.wait(for: .writable, milliseconds: 1)
            }
        }
    }
}
