import ByteCoding
import Places
import SystemIO
import TelemetryBatch
import Testing

@testable import CodexTelemetry

@Suite struct `The spool` {
    func frame(_ sequence: UInt64, bytes: Int = 100) -> [UInt8] {
        var body = [UInt8](repeating: 7, count: bytes)
        body[24] = UInt8(sequence)
        return Frame(type: .batch, body: body).encoded
    }

    func surroundings(_ directory: String) -> Surroundings {
        Surroundings(
            environment: { $0 == "CODEX_TELEMETRY_STATE_DIR" ? directory : nil },
            euid: ThisProcess.euid, ownsDirectory: { _ in false })
    }

    let hello = Hello(producer: ID128(high: 1, low: 2)).frame.encoded

    @Test func `the file is private, locked while it is written, and free after`() throws {
        let scratch = try Scratch()
        var spool = Spool(surroundings: surroundings(scratch.path))
        let outcome = spool.append(frame(1), producer: ID128(high: 1, low: 2), hello: hello)
        #expect(outcome == .stored)
        let path = spool.path ?? ""
        #expect(path.hasSuffix("/spool/00000000000000010000000000000002.spool"))
        #expect(try Files.facts(path).mode == 0o600)
        #expect(try Files.facts(scratch.path + "/spool").mode == 0o700)
        let drainer = try Files.open(path, [.readWrite])
        #expect(try !drainer.lock())
        spool.close()
        #expect(try drainer.lock())
        #expect(try Files.read(path, limit: 1 << 20) == hello + frame(1))
    }

    @Test func `a directory that others may enter is refused`() throws {
        let scratch = try Scratch()
        try Files.makeDirectory(scratch.path + "/spool")
        try Files.setMode(scratch.path + "/spool", 0o755)
        var spool = Spool(surroundings: surroundings(scratch.path))
        guard
            case .refused(let why) = spool.append(
                frame(1), producer: ID128(high: 1, low: 2), hello: hello)
        else {
            Issue.record("taken")
            return
        }
        #expect(why.contains("not private"))
    }

    @Test func `a directory that holds its cap takes no more`() throws {
        let scratch = try Scratch()
        try Files.makeDirectory(scratch.path + "/spool")
        let other = try Files.open(
            scratch.path + "/spool/other.spool", [.readWrite, .create])
        try other.setSize(Spool.directoryBytesMax)
        var spool = Spool(surroundings: surroundings(scratch.path))
        guard
            case .refused(let why) = spool.append(
                frame(1), producer: ID128(high: 1, low: 2), hello: hello)
        else {
            Issue.record("taken")
            return
        }
        #expect(why.contains("holds its"))
    }

    @Test func `a file that is full gives way to a new producer's`() throws {
        let scratch = try Scratch()
        let telemetry = Telemetry(scratch.configuration(startsThread: false))
        let text = String(repeating: "x", count: 60_000)
        for round in 0..<20 {
            for number in 0..<16 {
                telemetry.event("big") { $0.set("t", text + "\(round) \(number)") }
            }
            telemetry.flush(timeout: .seconds(5))
        }
        let statistics = telemetry.statistics
        telemetry.shutdown()
        let files = try scratch.spooled()
        #expect(files.count == 2)
        #expect(statistics.spooled.logs == 320)
        #expect(try files.values.flatMap { try $0.flatMap(FakeAgent.names) }.count == 320)
        for name in files.keys {
            let size = try Files.facts(scratch.spool + "/" + name).size
            #expect(size <= UInt64(Spool.fileBytesMax))
        }
    }

    @Test func `a torn end of a file is not sent, a living writer's file is left alone`() throws {
        let scratch = try Scratch()
        try Files.makeDirectory(scratch.path + "/spool")
        var spool = Spool(surroundings: surroundings(scratch.path))
        let outcome = spool.append(frame(1), producer: ID128(high: 1, low: 2), hello: hello)
        #expect(outcome == .stored)
        let sender = SpoolSender(
            Connector(
                surroundings: surroundings(scratch.path),
                overrides: PlaceOverrides(ingestSocket: scratch.socket)))
        #expect(sender.send(budgetNanoseconds: 100_000_000) == 0)
        spool.close()
        // No system's agent: the file stays.
        #expect(sender.send(budgetNanoseconds: 100_000_000) == 0)
        let path = scratch.path + "/spool/" + ID128(high: 1, low: 2).hex + ".spool"
        #expect(Files.exists(path))
        // Nothing whole in it: rubbish goes.
        let empty = scratch.path + "/spool/" + ID128(high: 1, low: 3).hex + ".spool"
        let file = try Files.open(empty, [.readWrite, .create, .exclusive])
        try file.writeAll(Array(hello.dropLast(1)).span.bytes)
        _ = consume file
        #expect(sender.send(budgetNanoseconds: 100_000_000) == 1)
        #expect(!Files.exists(empty))
    }

    @Test func `of a damaged file all but the damage is sent, and the file is kept`() throws {
        let scratch = try Scratch()
        spoolThree(scratch)
        let name = try #require(try Files.list(scratch.spool).first)
        let path = scratch.spool + "/" + name
        var bytes = try Files.read(path, limit: 1 << 20)
        var reader = SpoolReader(bytes, name: name)
        var bodies: [Range<Int>] = []
        while let part = reader.next() {
            if case .batch(let body) = part { bodies.append(body) }
        }
        #expect(bodies.count == 3)
        bytes[bodies[1].lowerBound - 12] ^= 0x80
        try Files.replace(path, with: bytes)
        let agent = try FakeAgent(scratch.socket)
        #expect(systemSender(scratch).send(budgetNanoseconds: 5_000_000_000) == 1)
        #expect(try agent.names() == ["one", "three"])
        #expect(try Files.list(scratch.spool) == [name.dropLast(6) + ".damaged"])
        try agent.stop()
    }

    /// A file's frames, of batches that say no more than their sequence.
    func put(_ scratch: Scratch, _ name: String, _ bytes: [UInt8]) throws {
        try Files.makeDirectories(scratch.spool)
        try Files.setMode(scratch.spool, 0o700)
        try Files.replace(scratch.spool + "/" + name, with: bytes)
        try Files.setMode(scratch.spool + "/" + name, 0o600)
    }

    /// Leaves three batches, of an event each, in a spool file.
    func spoolThree(_ scratch: Scratch) {
        let telemetry = Telemetry(scratch.configuration(startsThread: false))
        for name in ["one", "two", "three"] as [AttributeKey] {
            telemetry.event(name)
            telemetry.flush(timeout: .seconds(5))
        }
        telemetry.shutdown()
    }

    func systemSender(_ scratch: Scratch) -> SpoolSender {
        let socket = scratch.socket
        return SpoolSender(surroundings: scratch.configuration().surroundings) {
            do {
                return Connected(try UnixSocket.connect(socket, blocking: false), isSystem: true)
            } catch { return nil }
        }
    }

    @Test(arguments: [UInt64(1), 2, 3])
    func `a refused batch is dealt with, wherever it stands`(_ refused: UInt64) throws {
        let scratch = try Scratch()
        spoolThree(scratch)
        let agent = try FakeAgent(scratch.socket, .refuses(refused))
        #expect(systemSender(scratch).send(budgetNanoseconds: 5_000_000_000) == 1)
        #expect(try agent.names().count == 2)
        #expect(try Files.list(scratch.spool).isEmpty)
        try agent.stop()
    }

    @Test func `a file whose name and begin say nothing of its producer is left alone`() throws {
        let scratch = try Scratch()
        try put(scratch, "other.spool", frame(1))
        try put(scratch, "empty.spool", [])
        let agent = try FakeAgent(scratch.socket)
        #expect(systemSender(scratch).send(budgetNanoseconds: 5_000_000_000) == 0)
        #expect(try Files.list(scratch.spool).sorted() == ["empty.spool", "other.spool"])
        try agent.stop()
    }

    func conversation(_ sequences: [UInt64]) -> SpoolConversation {
        SpoolConversation(hello: hello, batches: sequences.map { ($0, frame($0)) })
    }

    func welcome(_ stored: UInt64) -> [UInt8] {
        Welcome(
            logID: ID128(high: 1, low: 1), storedSequence: stored, windowBytes: 1 << 20, synced: 0
        ).frame.encoded
    }

    func error(_ code: WireError, _ sequence: UInt64) -> [UInt8] {
        ErrorFrame(code, isFatal: sequence == 0, sequence: sequence, message: "no").frame.encoded
    }

    func ack(_ sequence: UInt64) -> [UInt8] {
        Ack(sequence: sequence, offset: 8, synced: 0).frame.encoded
    }

    @Test func `a refusal says nothing of the batches before it`() throws {
        var talk = conversation([1, 2, 3])
        try talk.take(welcome(0) + error(.countMismatch, 3))
        #expect(talk.outcome == .waiting)
        try talk.take(ack(1))
        #expect(talk.outcome == .waiting)
        try talk.take(ack(2))
        #expect(talk.outcome == .settled)
    }

    @Test func `what the agent has is not sent again`() throws {
        var talk = conversation([1, 2, 3])
        #expect(Array(talk.toSend) == hello)
        talk.didSend(hello.count)
        #expect(talk.toSend.isEmpty)
        try talk.take(welcome(2))
        #expect(Array(talk.toSend) == frame(3))
        try talk.take(ack(3))
        #expect(talk.outcome == .settled)
    }

    @Test func `a fatal error that the content caused ends it for good, others for now`() throws {
        for code in [WireError.badMagic, .unsupportedVersion, .frameTooLarge, .badValue] {
            var talk = conversation([1])
            try talk.take(error(code, 0))
            #expect(talk.outcome == .refused && talk.toSend.isEmpty)
        }
        for code in [WireError.superseded, .frameDeadline] {
            var talk = conversation([1])
            try talk.take(error(code, 0))
            #expect(talk.outcome == .waiting && talk.toSend.isEmpty)
        }
    }

    @Test func `the next process sends what was spooled to the system's agent, once`() throws {
        let scratch = try Scratch()
        for name in ["one", "two", "three"] {
            var shot = OneShot(scratch.configuration())
            shot.event(name)
            guard case .spooled = shot.deliver() else {
                Issue.record("not spooled")
                return
            }
        }
        let agent = try FakeAgent(scratch.socket)
        let path = scratch.socket
        let around = scratch.configuration().surroundings
        let sender = SpoolSender(surroundings: around) {
            do {
                return Connected(try UnixSocket.connect(path, blocking: false), isSystem: true)
            } catch { return nil }
        }
        #expect(sender.send(budgetNanoseconds: 5_000_000_000) == 3)
        #expect(try agent.names().sorted() == ["one", "three", "two"])
        #expect(try Files.list(scratch.spool).isEmpty)
        #expect(sender.send(budgetNanoseconds: 5_000_000_000) == 0)
        // A user's own agent drains by itself.
        var shot = OneShot(scratch.configuration(["CODEX_TELEMETRY_SOCKET": path + "x"]))
        shot.event("four")
        _ = shot.deliver()
        let own = SpoolSender(surroundings: around) {
            do {
                return Connected(try UnixSocket.connect(path, blocking: false), isSystem: false)
            } catch { return nil }
        }
        #expect(own.send(budgetNanoseconds: 100_000_000) == 0)
        #expect(try Files.list(scratch.spool).count == 1)
        try agent.stop()
    }
}
