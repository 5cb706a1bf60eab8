internal import ByteCoding

/// One message on the control socket: `length u32, kind u8, body`. The length counts the body.
///
/// The conversation is private to one version of the program: both ends are the same binary, and
/// `hello` refuses another one clearly.
package enum ControlKind: UInt8, Sendable {
    /// Question: the state of the agent; answered by `json`.
    case status = 0x01
    /// Question: read the configuration again; answered by `done` or `failed`.
    case reload = 0x02
    /// Question: stored entries from an offset on; answered by `entry`…, `caughtUp`, `done`.
    case read = 0x03
    /// Question: make everything committed durable; answered by `done`.
    case sync = 0x04
    /// Question: move an exporter's cursor back (body: since u64, its name); answered by `done` or `failed`.
    case replay = 0x05
    /// Answer: one JSON object.
    case json = 0x81
    /// Answer: one stored entry: envelope and payload as they stand in the log.
    case entry = 0x82
    /// Answer: all that was committed has been sent (body: next offset u64); a follower goes on.
    case caughtUp = 0x83
    /// Answer: it is done; the body is a sentence.
    case done = 0x84
    /// Answer: it could not be done: exit code u8, then a sentence.
    case failed = 0x85
}

/// Limits of the control socket.
package enum ControlLimits {
    /// Largest body of a question.
    package static let questionBytesMax = 4096
    /// Largest body of an answer: an entry with a batch of 4 MiB and its envelope.
    package static let answerBytesMax = 4 * 1024 * 1024 + 65_536
    /// Bytes before the body.
    package static let headerBytes = 5
}

/// What `read` asks for.
package struct ReadQuestion: Sendable, Equatable {
    /// Where to begin: an offset, 0 for the oldest, `UInt64.max` for the end.
    package var from: UInt64
    /// Whether to stay and send what comes.
    package var follow: Bool

    /// Begins at `from`.
    package init(from: UInt64, follow: Bool) {
        self.from = from
        self.follow = follow
    }

    /// The question's body.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(uint64: from)
        writer.write(uint8: follow ? 1 : 0)
        return writer.bytes
    }

    /// Reads a body that a peer sent; nil if it is too short.
    package init?(untrusted body: [UInt8]) {
        var reader = ByteReader(body.span.bytes)
        do {
            from = try reader.readUInt64()
            follow = try reader.readUInt8() & 1 == 1
        } catch { return nil }
    }
}

/// What `replay` asks for.
package struct ReplayQuestion: Sendable, Equatable {
    /// From which record's time on, nanoseconds since 1970.
    package var since: UInt64
    /// The exporter.
    package var exporter: String

    /// Both given.
    package init(since: UInt64, exporter: String) {
        self.since = since
        self.exporter = exporter
    }

    /// The question's body.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(uint64: since)
        writer.write(utf8: exporter)
        return writer.bytes
    }

    /// Reads a body that a peer sent; nil if it is not that.
    package init?(untrusted body: [UInt8]) {
        var reader = ByteReader(body.span.bytes)
        do { since = try reader.readUInt64() } catch { return nil }
        guard let name = String(validating: body.dropFirst(8), as: UTF8.self) else { return nil }
        exporter = name
    }
}

/// A message's bytes.
package func controlFrame(_ kind: ControlKind, _ body: [UInt8] = []) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(uint32: UInt32(body.count))
    writer.write(uint8: kind.rawValue)
    writer.write(bytes: body)
    return writer.bytes
}
