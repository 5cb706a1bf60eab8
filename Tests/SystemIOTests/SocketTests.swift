import SystemIO
import Testing

@Suite struct SocketTests {
    @Test func `bytes go both ways, and the kernel says who the peer is`() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/socket"
        let listener = try UnixSocket.listen(path, mode: 0o600)
        #expect(try Files.facts(path).mode == 0o600)
        let client = try UnixSocket.connect(path)
        let server = try listener.accept()
        try client.sendAll(([1, 2, 3] as [UInt8]).span.bytes)
        var bytes: [UInt8] = []
        #expect(try server.receive(appendingTo: &bytes, limit: 100) == 3)
        #expect(bytes == [1, 2, 3])
        let peer = try server.peer()
        #expect(peer.uid == ThisProcess.euid && peer.pid == ThisProcess.pid)
        #expect(try !server.wait(for: .readable, milliseconds: 0))
        #expect(throws: SystemError.self) {
            try server.receive(appendingTo: &bytes, limit: 1, wait: false)
        }
        #expect(bytes.count == 3)
        client.finishSending()
        #expect(try server.wait(for: .readable, milliseconds: 1000))
        #expect(try server.receive(appendingTo: &bytes, limit: 100) == 0)
    }

    @Test func `sending to a closed peer is an error, not a signal`() throws {
        let scratch = try Scratch()
        let listener = try UnixSocket.listen(scratch.path + "/socket", mode: 0o600)
        let client = try UnixSocket.connect(scratch.path + "/socket")
        do { _ = try listener.accept() }
        do {
            for _ in 0..<3 { _ = try client.send(([1] as [UInt8]).span.bytes) }
            Issue.record("nobody was there")
        } catch {
            #expect(error.isDisconnected)
        }
    }

    @Test func `a path that is too long is said so`() throws {
        let path = "/tmp/" + String(repeating: "x", count: 103)
        #expect(UnixSocket.pathBytesMax == 107)
        #expect(UnixSocket.pathProblem(path)?.contains("108 bytes; at most 107") == true)
        #expect(UnixSocket.pathProblem("/tmp/socket") == nil)
        #expect(throws: SystemError.self) { _ = try UnixSocket.connect(path) }
    }

    @Test func `a stale socket is removed, a live one and a file never`() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/socket"
        do {
            let listener = try UnixSocket.listen(path, mode: 0o600)
            #expect(try !UnixSocket.removeStale(path))
            _ = listener.number
        }
        #expect(try UnixSocket.removeStale(path))
        #expect(!Files.exists(path))
        try Files.replace(path, with: [1])
        #expect(try !UnixSocket.removeStale(path))
        #expect(Files.exists(path))
    }

    @Test func `many datagrams go in one call, a large one as a memory file`() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/datagrams"
        let receiver = try UnixSocket.listen(path, mode: 0o600, kind: .datagram)
        let sender = try DatagramSender(path: path)
        let bytes: [UInt8] = [1, 2, 2, 3, 3, 3]
        #expect(try sender.send(bytes.span.bytes, starts: [0, 1, 3, 6]) == 3)
        for count in 1...3 {
            var message: [UInt8] = []
            #expect(try receiver.receive(appendingTo: &message, limit: 100) == count)
            #expect(message == [UInt8](repeating: UInt8(count), count: count))
        }
        #if os(Linux)
            let large = [UInt8](repeating: 5, count: 1 << 20)
            try sender.sendAsMemoryFile(large.span.bytes, name: "entry")
            var message: [UInt8] = []
            #expect(try receiver.receive(appendingTo: &message, limit: 10) == 0)
        #endif
    }
}
