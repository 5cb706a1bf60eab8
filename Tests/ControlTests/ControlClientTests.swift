import SystemIO
import Testing

@testable import Control

@Suite(.timeLimit(.minutes(1))) struct `A question to an agent` {
    @Test func `has an end where nobody accepts connections any more`() throws {
        let path = "/tmp/control-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max)).sock"
        let listener = try UnixSocket.listen(path, mode: 0o600)
        defer { _ = try? Files.remove(path) }
        var crowd: [Int32] = []
        defer { for number in crowd { _ = FileDescriptor(owning: number) } }
        do {
            while true { crowd.append(try UnixSocket.connect(path, blocking: false).release()) }
        } catch {
            #expect(error.wouldBlock)
        }
        do {
            _ = try ControlClient(path: path, seconds: 1)
            Issue.record("connected")
        } catch {
            #expect("\(error)".contains("does not answer in time"))
        }
        _ = listener.release()
    }
}
