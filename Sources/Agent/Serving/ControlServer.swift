internal import Control
internal import Logging
internal import SegmentLog
internal import Synchronization
internal import SystemIO

/// Answers the command line on the control socket: a thread for each conversation, a small number of
/// them, with time limits, so that a peer that stalls costs nobody anything but its own answer.
final class ControlServer: Sendable {
    /// What the agent answers with.
    struct Answers: Sendable {
        /// The state of the agent.
        var status: @Sendable () -> AgentStatus
        /// Reads the configuration again: a sentence, or the problems.
        var reload: @Sendable () -> Result<String, ConfigProblems>
        /// Moves an exporter's cursor back: a sentence, or why not.
        var replay: @Sendable (ReplayQuestion) -> Result<String, ReplayProblem>
        /// Makes everything committed durable; false if it cannot.
        var sync: @Sendable () -> Bool
        /// Streams stored entries to `send` until it returns false or all is sent.
        var read:
            @Sendable (ReadQuestion, _ uid: UInt32?, _ send: (ControlKind, [UInt8]) -> Bool) -> Void
    }

    private static let conversationsMax = 32
    /// Of other users than root and ours: of each, and of all together. The owner always gets through.
    private static let conversationsPerGuestMax = 8
    private static let guestConversationsMax = 24
    /// How long a peer may take to put its question.
    private static let questionNanoseconds: UInt64 = 10_000_000_000
    private static let patienceMilliseconds: Int64 = 10_000

    private let socket: UnixSocket
    /// What ends the wait for the next peer: a handed socket is the service manager's and is not shut down.
    private let bell: Pipe
    /// The socket's name, nil if it is a service manager's. Guards it: it is made anew when it was lost.
    private let name: Mutex<SocketName?>
    private let answers: Answers
    private let heartbeat: Heartbeat
    private let logger: Logger
    private let open = Monitor(Conversations())
    private let lastAsked = Atomic<UInt64>(Clocks.monotonic())

    private struct Conversations: Sendable {
        var all = 0
        var guests: [UInt32: Int] = [:]

        mutating func enter(_ guest: UInt32?) -> Bool {
            guard all < conversationsMax else { return false }
            if let guest {
                let mine = guests[guest, default: 0]
                guard mine < conversationsPerGuestMax,
                    guests.values.reduce(0, +) < guestConversationsMax
                else { return false }
                guests[guest] = mine + 1
            }
            all += 1
            return true
        }

        mutating func leave(_ guest: UInt32?) {
            all -= 1
            guard let guest, let mine = guests[guest] else { return }
            guests[guest] = mine == 1 ? nil : mine - 1
        }
    }

    /// Answers on a listening socket.
    init(
        socket: consuming UnixSocket, name: SocketName? = nil, answers: Answers,
        heartbeat: Heartbeat, logger: Logger
    ) throws(SystemError) {
        bell = try Pipe()
        self.name = Mutex(name)
        self.socket = socket
        self.answers = answers
        self.heartbeat = heartbeat
        self.logger = logger
    }

    /// Monotonic nanoseconds of the last question: an on-demand agent that nobody asks may end.
    var lastQuestion: UInt64 { lastAsked.load(ordering: .relaxed) }

    /// Lets `run` look anew: it was told to stop, or has another socket.
    func wake() {
        do {
            let byte: [UInt8] = [0]
            try bell.writing.writeAll(byte.span.bytes)
        } catch {
            logger.warning("control socket", metadata: ["error": "\(error)"])
        }
    }

    /// What has the socket's name now, nil if it is not ours to care for.
    var nameState: SocketName.State? { name.withLock { $0 }?.state }

    /// Answers on another listening socket from now on: the name of the first is gone.
    func move(to other: consuming UnixSocket, name: SocketName) throws(SystemError) {
        try socket.become(other)
        self.name.withLock { $0 = name }
        wake()
    }

    private func removeName() {
        do {
            try name.withLock { $0 }?.remove()
        } catch {
            logger.warning("the control socket could not be removed: \(error)")
        }
    }

    /// Accepts until told to stop; then waits for the conversations under way.
    func run(_ stop: ThreadService.Stop) {
        while !stop.isRaised {
            do {
                let ready = try Readiness.wait(
                    forAnyOf: [(socket.number, .readable), (bell.reading.number, .readable)],
                    milliseconds: -1)
                if ready[1] {
                    var rung: [UInt8] = []
                    _ = try bell.reading.readSome(appendingTo: &rung, limit: 16)
                }
                guard ready[0] else { continue }
                heartbeat.begin()
                defer { heartbeat.end() }
                let peer = try socket.accept()
                try peer.setTimeLimits(
                    sendMilliseconds: Self.patienceMilliseconds,
                    receiveMilliseconds: Self.patienceMilliseconds)
                let uid = try peer.peer().uid
                let isOwner = uid == 0 || uid == ThisProcess.euid
                converse(with: peer.release(), guest: isOwner ? nil : uid, stop)
            } catch {
                logger.warning("control socket", metadata: ["error": "\(error)"])
                if stop.wait(atMost: .milliseconds(100)) { break }
            }
        }
        removeName()
        let deadline = Clocks.monotonic() + 2_000_000_000
        _ = open.wait(until: deadline) { $0.all == 0 ? true : nil }
    }

    private func turnAway(_ peer: consuming UnixSocket) {
        let sentence = "too many conversations are open; try again in a moment"
        do {
            _ = try peer.send(
                controlFrame(.failed, [1] + Array(sentence.utf8)).span.bytes, wait: false)
        } catch {
            // It has gone already.
            return
        }
    }

    private func converse(with number: Int32, guest: UInt32?, _ stop: ThreadService.Stop) {
        let admitted = open.update { $0.enter(guest) }
        guard admitted else {
            turnAway(UnixSocket(owning: number, blocking: true))
            return
        }
        do {
            let thread = try SystemThread.start(name: "control-peer") {
                let conversation = Conversation(
                    socket: UnixSocket(owning: number, blocking: true), answers: self.answers,
                    questionDeadline: Clocks.monotonic() + Self.questionNanoseconds, stop: stop)
                self.lastAsked.store(Clocks.monotonic(), ordering: .relaxed)
                conversation.run()
                self.open.update { $0.leave(guest) }
            }
            thread.detach()
        } catch {
            _ = UnixSocket(owning: number, blocking: true)
            open.update { $0.leave(guest) }
            logger.warning("control socket", metadata: ["error": "\(error)"])
        }
    }
}

/// One peer of the control socket.
private struct Conversation: ~Copyable {
    let socket: UnixSocket
    let answers: ControlServer.Answers
    let questionDeadline: UInt64
    let stop: ThreadService.Stop

    func run() {
        guard let (kind, body) = question() else { return }
        do {
            let peer = try socket.peer()
            let isOwner = peer.uid == 0 || peer.uid == ThisProcess.euid
            switch kind {
            case .status: try answerStatus()
            case .read: answerRead(body, uid: isOwner ? nil : peer.uid)
            case .reload, .sync, .replay:
                guard isOwner else {
                    return fail("only root and uid \(ThisProcess.euid) may do that")
                }
                switch kind {
                case .reload: answerReload()
                case .replay: answerReplay(body)
                default: answerSync()
                }
            default: fail("this is no question")
            }
        } catch {
            // The peer left before its answer.
            return
        }
    }

    private func question() -> (ControlKind, [UInt8])? {
        var buffer = ControlBuffer(bodyBytesMax: ControlLimits.questionBytesMax)
        // Byte by byte it would be nobody's turn for hours.
        while Clocks.monotonic() < questionDeadline, !stop.isRaised {
            do {
                if try buffer.receive(from: socket) == 0 { return nil }
                if let question = try buffer.next() { return (question.kind, question.body) }
            } catch { return nil }
        }
        return nil
    }

    private func answerStatus() throws {
        _ = send(.json, try answers.status().json())
    }

    private func answerReload() {
        switch answers.reload() {
        case .success(let sentence): _ = send(.done, Array(sentence.utf8))
        case .failure(let problems): fail("\(problems)", exitCode: 78)
        }
    }

    private func answerReplay(_ body: [UInt8]) {
        guard let question = ReplayQuestion(untrusted: body) else {
            return fail("the question is too short")
        }
        switch answers.replay(question) {
        case .success(let sentence): _ = send(.done, Array(sentence.utf8))
        case .failure(let problem): fail(problem.sentence)
        }
    }

    private func answerSync() {
        if answers.sync() { _ = send(.done, []) } else { fail("the log cannot be synced") }
    }

    private func answerRead(_ body: [UInt8], uid: UInt32?) {
        guard let question = ReadQuestion(untrusted: body) else {
            return fail("the question is too short")
        }
        answers.read(question, uid) { kind, body in
            !stop.isRaised && send(kind, body)
        }
    }

    private func fail(_ sentence: String, exitCode: UInt8 = 1) {
        _ = send(.failed, [exitCode] + Array(sentence.utf8))
    }

    /// False once the peer is gone or has stalled past its time limit.
    private func send(_ kind: ControlKind, _ body: [UInt8]) -> Bool {
        do {
            try socket.sendAll(controlFrame(kind, body).span.bytes)
            return true
        } catch { return false }
    }
}
