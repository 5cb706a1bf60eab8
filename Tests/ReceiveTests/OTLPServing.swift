import Foundation
import Logging
import SegmentLog
import ServiceLifecycle
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

/// An OTLP receiver on a socket of the file system, over a log in a directory of its own.
final class OTLPServing: Sendable {
    let directory: String
    let log: GroupCommit
    let ledger = IntakeLedger()
    let admission: Admission
    let server: OTLPServer
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    var socket: String { directory + "/otlp.sock" }

    init(
        _ limits: OTLPLimits = OTLPLimits(), intake: IntakeLimits = IntakeLimits(),
        places: [OTLPServer.Place] = [], ownUID: UInt32? = nil
    ) async throws {
        directory = "/tmp/otlp-tests-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectory(directory, mode: 0o700)
        log = try GroupCommit(state: DirectoryStorage(creating: directory + "/state"))
        admission = Admission(limits: intake)
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        server = OTLPServer(
            places: places + [.path(directory + "/otlp.sock", mode: 0o600)], ownUID: ownUID,
            log: log, admission: admission, ledger: ledger, limits: limits, logger: quiet)
        group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [server], logger: quiet))
        let group = self.group
        running = Task { try await group.run() }
        while server.status.last?.problem != nil { try await Task.sleep(for: .milliseconds(2)) }
    }

    /// Lets it begin to end.
    func beginEnd() async { await group.triggerGracefulShutdown() }

    /// Ends in order and says how many records the log has.
    func end() async throws -> UInt64 {
        await group.triggerGracefulShutdown()
        try await running.value
        log.shutdown()
        let stored = log.statistics.stored.records
        try FileManager.default.removeItem(atPath: directory)
        return stored
    }

    func client() throws -> HTTPClient { try HTTPClient(socket: socket) }
}

/// The other end, blocking, with a time limit so that a test that hangs fails.
final class HTTPClient {
    struct Answer: Equatable {
        var status = 0
        var headers: [String: String] = [:]
        var body: [UInt8] = []
    }

    private let socket: UnixSocket
    private var received: [UInt8] = []

    init(socket path: String) throws {
        socket = try UnixSocket.connect(path)
        try socket.setTimeLimits(sendMilliseconds: 20_000, receiveMilliseconds: 20_000)
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws { try socket.sendAll(bytes.span.bytes) }

    /// A request with its body at once.
    func post(_ body: [UInt8], path: String = "/v1/traces", _ headers: String...) throws {
        var head = "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(body.count)\r\n"
        if !headers.contains(where: { $0.hasPrefix("Content-Type") }) {
            head += "Content-Type: application/x-protobuf\r\n"
        }
        for header in headers { head += header + "\r\n" }
        try send(Array((head + "\r\n").utf8) + body)
    }

    /// The next answer; nil when the agent has closed.
    func answer() throws -> Answer? {
        while true {
            if let end = received.firstRange(of: Array("\r\n\r\n".utf8)) {
                var answer = Self.head(received[..<end.lowerBound])
                let count = Int(answer.headers["content-length"] ?? "0") ?? 0
                if received.count >= end.upperBound + count {
                    answer.body = Array(received[end.upperBound..<(end.upperBound + count)])
                    received.removeFirst(end.upperBound + count)
                    return answer
                }
            }
            guard try receive() else { return nil }
        }
    }

    /// Whether the agent has closed, without another byte.
    func isClosed() throws -> Bool { try received.isEmpty && !receive() }

    private func receive() throws -> Bool {
        do throws(SystemError) {
            return try socket.receive(appendingTo: &received, limit: 65_536) > 0
        } catch {
            if error.isDisconnected { return false }
            throw error
        }
    }

    private static func head(_ bytes: ArraySlice<UInt8>) -> Answer {
        var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        var answer = Answer()
        answer.status = Int(lines.removeFirst().split(separator: " ")[1]) ?? 0
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            answer.headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " })
        }
        return answer
    }
}

/// A request of one resource with this many spans, in protobuf.
func spans(_ count: Int, padding: Int = 0) -> [UInt8] {
    var list: [UInt8] = []
    for number in 0..<count {
        let trace = [UInt8](repeating: 7, count: 16)
        let id = withUnsafeBytes(of: UInt64(number + 1)) { Array($0) }
        let name = Array("span \(number)".utf8) + [UInt8](repeating: 0x78, count: padding)
        let times = [UInt8(0x39)] + id + [0x41] + id
        list += field(0x12, field(0x0A, trace) + field(0x12, id) + field(0x2A, name) + times)
    }
    return field(0x0A, field(0x12, list))
}

func field(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
    var length: [UInt8] = []
    var rest = content.count
    while rest >= 0x80 {
        length.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
    }
    return [tag] + length + [UInt8(rest)] + content
}
