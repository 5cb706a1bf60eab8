#if Journald && os(Linux)
    import SystemIO
    import Testing

    @testable import JournalExport

    @Suite struct JournalSocketTests {
        @Test func `a send to journald reaches its places`() throws {
            let path = "/tmp/journal-socket-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max))"
            defer { #expect(throws: Never.self) { try Files.remove(path) } }
            let receiver = try UnixSocket.listen(path, mode: 0o600, kind: .datagram)
            let points = Failpoints()
            let socket = try JournalSocket(path: path, failpoints: points)
            guard case .sent(1) = socket.send(Array("MESSAGE=x\n".utf8), starts: [0, 10]) else {
                Issue.record("nothing was sent")
                return
            }
            #expect(
                points.reached == [.init(.journalSend, .before), .init(.journalSend, .after)])
            _ = consume receiver
        }
    }
#endif
