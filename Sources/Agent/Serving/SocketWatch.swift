internal import Logging
internal import Synchronization
internal import SystemIO

/// Keeps the sockets where clients look for them. `/run/user/<uid>` vanishes when its user logs out, and
/// comes back empty; an agent that lives on makes its sockets anew.
final class SocketWatch: Sendable {
    /// One of the agent's sockets.
    struct Socket: Sendable {
        /// What has its name now; nil if its name is not ours to care for.
        var state: @Sendable () -> SocketName.State?
        /// Where it belongs.
        var path: String
        /// Listens there anew.
        var listenAgain: @Sendable () throws -> Void
    }

    private static let pause = Duration.seconds(2)

    private let logger: Logger
    /// Guards the sentence: why nobody finds the agent, nil if all is well.
    private let lost = Mutex<String?>(nil)

    init(logger: Logger) {
        self.logger = logger
    }

    /// Why clients do not find the agent, a sentence each.
    var problems: [String] { lost.withLock { $0 }.map { [$0] } ?? [] }

    /// Returns when told to, or when another agent has taken the place: nobody can find this one any
    /// more, and it holds the log that the other may be waiting for.
    func run(_ stop: ThreadService.Stop, keeping sockets: [Socket]) {
        while !stop.wait(atMost: Self.pause) {
            for socket in sockets {
                // Without a name of its own it was not opened yet, or is a service manager's.
                guard let state = socket.state(), state != .ours else { continue }
                if somebodyListens(at: socket.path) {
                    logger.warning(
                        "somebody else listens at \(socket.path) now; this agent ends")
                    return
                }
                restore(socket)
            }
            if sockets.allSatisfy({ $0.state() == .ours }) { lost.withLock { $0 = nil } }
        }
    }

    private func restore(_ socket: Socket) {
        do {
            try StateDirectory.restoreSocketDirectory(of: socket.path)
            try socket.listenAgain()
        } catch {
            let sentence =
                "the socket \(socket.path) is gone and cannot be made again: \(error); clients keep "
                + "their records in the spool until its directory is back: log in again, or end this "
                + "agent (pid \(ThisProcess.pid)) and start one elsewhere with --socket"
            let isNew = lost.withLock { lost in
                defer { lost = sentence }
                return lost != sentence
            }
            if isNew { logger.error("\(sentence)") }
        }
    }

    private func somebodyListens(at path: String) -> Bool {
        do {
            _ = try UnixSocket.connect(path, blocking: false)
            return true
        } catch {
            return error.wouldBlock
        }
    }
}
