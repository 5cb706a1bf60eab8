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
        let telemetry = Telemetry(scratch.configuration(startsThread: false))
        for name in ["one", "two", "three"] as [AttributeKey] {
            telemetry.event(name)
            telemetry.flush(timeout: .seconds(5))
        }
        telemetry.shutdown()
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
        let socket = scratch.socket
        let sender = SpoolSender(surroundings: scratch.configuration().surroundings) {
            do {
                return Connected(try UnixSocket.connect(socket, blocking: false), isSystem: true)
            } catch { return nil }
        }
        #expect(sender.send(budgetNanoseconds: 5_000_000_000) == 1)
        #expect(try agent.names() == ["one", "three"])
        #expect(try Files.list(scratch.spool) == [name.dropLast(6) + ".damaged"])
        try agent.stop()
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
