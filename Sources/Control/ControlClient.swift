package import SystemIO

/// Why an agent could not answer.
package enum ControlError: Error, Sendable, CustomStringConvertible {
    /// Nobody listens there.
    case notRunning(path: String)
    /// The socket could not be used.
    case socket(SystemError)
    /// The socket's owner is neither us, nor root, nor the service's user.
    case foreignOwner(path: String, uid: UInt32)
    /// The agent refused or failed: the exit code it suggests, and its sentence.
    case refused(exitCode: UInt8, String)
    /// What came is not an answer: another version of the program.
    case protocolMismatch

    /// A sentence: what happened and what to do.
    package var description: String {
        switch self {
        case .notRunning(let path): "no agent answers at \(path)"
        case .socket(let error) where error.wouldBlock:
            "the agent does not answer in time; it may be stopped or busy (\(error))"
        case .socket(let error): "\(error)"
        case .foreignOwner(let path, let uid):
            "the agent at \(path) runs as uid \(uid), which is neither you nor a service"
        case .refused(_, let sentence): sentence
        case .protocolMismatch:
            "the agent speaks another control protocol; restart it with this version"
        }
    }
}

/// A conversation with an agent over its control socket. Blocking; not for the cooperative pool.
package struct ControlClient: ~Copyable {
    /// One answer.
    package typealias Answer = ControlMessage

    private let socket: UnixSocket
    private var buffer = ControlBuffer(bodyBytesMax: ControlLimits.answerBytesMax)

    /// Connects to the socket at `path`; answers are waited for at most `seconds`.
    package init(path: String, seconds: Int64 = 10) throws(ControlError) {
        socket = try Self.connect(path, milliseconds: seconds * 1000)
    }

    private static func connect(_ path: String, milliseconds: Int64) throws(ControlError)
        -> UnixSocket
    {
        do {
            let socket = try UnixSocket.unconnected(kind: .stream, blocking: true)
            // Before it connects: where the agent accepts nobody any more, that waits too.
            try socket.setTimeLimits(
                sendMilliseconds: milliseconds, receiveMilliseconds: milliseconds)
            try socket.connect(to: path)
            return socket
        } catch {
            if error.isNotFound || error.isDisconnected { throw .notRunning(path: path) }
            throw .socket(error)
        }
    }

    /// Who runs the agent.
    package borrowing func peer() throws(ControlError) -> PeerCredentials {
        do { return try socket.peer() } catch { throw .socket(error) }
    }

    /// Asks for the status.
    package mutating func status() throws(ControlError) -> AgentStatus {
        let answer = try ask(.status)
        do { return try AgentStatus(json: answer.body) } catch { throw .protocolMismatch }
    }

    /// Asks to read the configuration again; the agent's sentence.
    package mutating func reload() throws(ControlError) -> String {
        String(decoding: try ask(.reload).body, as: UTF8.self)
    }

    /// Asks to move an exporter's cursor back; the agent's sentence.
    package mutating func replay(_ question: ReplayQuestion) throws(ControlError) -> String {
        try send(controlFrame(.replay, question.encoded()))
        guard let answer = try next() else { throw .protocolMismatch }
        return String(decoding: answer.body, as: UTF8.self)
    }

    /// Asks to make everything committed durable.
    package mutating func sync() throws(ControlError) {
        _ = try ask(.sync)
    }

    /// Begins a reading; `next` gives what comes.
    package mutating func read(_ question: ReadQuestion) throws(ControlError) {
        try send(controlFrame(.read, question.encoded()))
    }

    /// The next answer, nil at the end of the conversation. To wait no longer than some time, ask
    /// `isReadable` first.
    package mutating func next() throws(ControlError) -> Answer? {
        while true {
            if let answer = try buffer.next() {
                if answer.kind == .failed {
                    throw .refused(
                        exitCode: answer.body.first ?? 1,
                        String(decoding: answer.body.dropFirst(), as: UTF8.self))
                }
                return answer
            }
            do {
                if try buffer.receive(from: socket) == 0 { return nil }
            } catch { throw .socket(error) }
        }
    }

    /// Whether something is there to read within `milliseconds`.
    package borrowing func isReadable(milliseconds: Int32) throws(ControlError) -> Bool {
        do { return try socket.wait(for: .readable, milliseconds: milliseconds) } catch {
            throw .socket(error)
        }
    }

    private mutating func ask(_ kind: ControlKind) throws(ControlError) -> Answer {
        try send(controlFrame(kind))
        guard let answer = try next() else { throw .protocolMismatch }
        return answer
    }

    private borrowing func send(_ bytes: [UInt8]) throws(ControlError) {
        do { try socket.sendAll(bytes.span.bytes) } catch {
            // An agent that turned us away has said why before it closed: the answer tells.
            if !error.isDisconnected { throw .socket(error) }
        }
    }
}
