import Logging
import SystemIO
import Testing

@testable import Agent
@testable import Control

/// A control server on a socket of its own, with answers made up for the test.
private final class Answering: Sendable {
    let path = "/tmp/control-tests-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max)).sock"
    private let stop = ThreadService.Stop()
    private let thread: SystemThread
    private let wake: @Sendable () -> Void

    init(reload: Result<String, ConfigProblems> = .success("done")) throws {
        let answers = ControlServer.Answers(
            status: {
                var status = AgentStatus()
                status.agent.version = "9.9"
                return status
            },
            reload: { reload },
            replay: {
                $0.exporter == "there"
                    ? .success("since \($0.since)") : .failure(ReplayProblem("there is none"))
            }, sync: { true },
            read: { question, _, send in
                for number in 0..<3 as Range<UInt8> {
                    guard send(.entry, [number, UInt8(truncatingIfNeeded: question.from)]) else {
                        return
                    }
                }
                _ = send(.caughtUp, [])
                _ = send(.done, [])
            })
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        let server = try ControlServer(
            socket: UnixSocket.listen(path, mode: 0o600), answers: answers,
            heartbeat: Heartbeat(), logger: quiet)
        let stop = self.stop
        wake = { server.wake() }
        thread = try SystemThread.start(name: "control") { server.run(stop) }
    }

    func end() throws {
        stop.raise()
        wake()
        thread.join()
        _ = try Files.remove(path)
    }
}

@Suite(.timeLimit(.minutes(1))) struct `The control socket` {
    @Test func `a question for the status gets it`() throws {
        let server = try Answering()
        var client = try ControlClient(path: server.path)
        let status = try client.status()
        #expect(status.agent.version == "9.9")
        try server.end()
    }

    @Test func `a reading comes entry by entry and ends`() throws {
        let server = try Answering()
        var client = try ControlClient(path: server.path)
        try client.read(ReadQuestion(from: 7, follow: false))
        var kinds: [ControlKind] = []
        var bodies: [[UInt8]] = []
        while let answer = try client.next() {
            kinds.append(answer.kind)
            bodies.append(answer.body)
        }
        #expect(kinds == [.entry, .entry, .entry, .caughtUp, .done])
        #expect(bodies[2] == [2, 7])
        try server.end()
    }

    @Test func `a reload that fails tells why and how to end`() throws {
        let problem = ConfigProblem(file: "a.yaml", line: 3, column: 1, message: "no")
        let server = try Answering(reload: .failure(ConfigProblems(problems: [problem])))
        do {
            var client = try ControlClient(path: server.path)
            _ = try client.reload()
            Issue.record("it was done")
        } catch {
            guard case .refused(let code, let sentence) = error else {
                Issue.record("\(error)")
                return
            }
            #expect(code == 78)
            #expect(sentence == "a.yaml:3:1: no")
        }
        try server.end()
    }

    @Test func `one conversation too many is told so`() throws {
        let server = try Answering()
        do {
            // Accepted in the order of connecting: the last one comes when all places are taken.
            var holders: [Int32] = []
            defer { for number in holders { _ = UnixSocket(owning: number, blocking: true) } }
            for _ in 0..<32 { holders.append(try UnixSocket.connect(server.path).release()) }
            var client = try ControlClient(path: server.path)
            do {
                _ = try client.status()
                Issue.record("it was answered")
            } catch {
                guard case .refused(1, let sentence) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(sentence.hasPrefix("too many conversations"))
            }
        }
        try server.end()
    }

    @Test(arguments: [[UInt8](repeating: 0xFF, count: 64), [9, 0, 0, 0], [0, 0, 0, 0, 0x77]])
    func `nonsense ends its own conversation only`(bytes: [UInt8]) throws {
        let server = try Answering()
        do {
            let rude = try UnixSocket.connect(server.path)
            try rude.sendAll(bytes.span.bytes)
        }
        var client = try ControlClient(path: server.path)
        let status = try client.status()
        #expect(status.agent.version == "9.9")
        try server.end()
    }
}
