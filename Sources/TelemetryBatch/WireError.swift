import ByteCoding

/// The error codes of contrib/protocol/wire.md, "Codes".
package enum WireError: UInt16, Error, Sendable, CaseIterable {
    /// The first frame is not a hello, or its magic is wrong.
    case badMagic = 0x01
    /// A frame, hello or batch of another version.
    case unsupportedVersion = 0x02
    /// A frame's length is above its limit.
    case frameTooLarge = 0x03
    /// The CRC32C of a body differs.
    case badChecksum = 0x04
    /// A second hello, or an agent's frame from a client.
    case unexpectedFrame = 0x05
    /// A hello, or the rest of a frame, did not come in time.
    case frameDeadline = 0x06
    /// A newer connection said hello with this producer id.
    case superseded = 0x07
    /// A field, a section or a record runs past its end.
    case truncated = 0x10
    /// A varint longer than 10 bytes or above 64 bits.
    case badVarint = 0x12
    /// Section kinds do not rise.
    case badSection = 0x13
    /// An index above its table's count, or of the wrong kind.
    case badReference = 0x14
    /// Text that is not UTF-8.
    case badText = 0x15
    /// An unknown value tag, a reserved bit, an enumeration out of range, a zero id or sequence.
    case badValue = 0x16
    /// One of the limits of batch.md.
    case limitExceeded = 0x17
    /// The header's record count is not the number of records.
    case countMismatch = 0x18
    /// The batch's producer id is not the hello's.
    case wrongProducer = 0x19
    /// The log cannot take more.
    case storageFull = 0x20
    /// Too many connections, of this uid or in all.
    case tooManyConnections = 0x21
    /// The agent ends; another will listen.
    case shuttingDown = 0x22
    /// This peer may not use this agent.
    case notPermitted = 0x23
    /// The log cannot be written.
    case storageFailed = 0x24

    /// The name that the specification, the vectors and counters use.
    package var name: String {
        switch self {
        case .badMagic: "bad_magic"
        case .unsupportedVersion: "unsupported_version"
        case .frameTooLarge: "frame_too_large"
        case .badChecksum: "bad_checksum"
        case .unexpectedFrame: "unexpected_frame"
        case .frameDeadline: "frame_deadline"
        case .superseded: "superseded"
        case .truncated: "truncated"
        case .badVarint: "bad_varint"
        case .badSection: "bad_section"
        case .badReference: "bad_reference"
        case .badText: "bad_text"
        case .badValue: "bad_value"
        case .limitExceeded: "limit_exceeded"
        case .countMismatch: "count_mismatch"
        case .wrongProducer: "wrong_producer"
        case .storageFull: "storage_full"
        case .tooManyConnections: "too_many_connections"
        case .shuttingDown: "shutting_down"
        case .notPermitted: "not_permitted"
        case .storageFailed: "storage_failed"
        }
    }

    /// Whether the agent answers with a throttle instead of an error.
    package var isThrottle: Bool { rawValue & 0xF0 == 0x20 }

    /// Whether the connection ends with it. A batch's own errors are not fatal.
    package var isFatal: Bool { rawValue < 0x10 }
}

/// Why a batch, or the body of another frame, is refused.
package struct BatchError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The wire's code.
    package let code: WireError
    /// The byte in the body at which the offending field begins, or near it.
    package let position: Int
    /// The field, in the specification's words.
    package let what: StaticString

    /// An error at a position.
    package init(_ code: WireError, at position: Int, _ what: StaticString) {
        self.code = code
        self.position = position
        self.what = what
    }

    init(_ error: ByteError, _ what: StaticString) {
        switch error {
        case .truncated(let position): self.init(.truncated, at: position, what)
        case .badVarint(let position): self.init(.badVarint, at: position, what)
        }
    }

    /// One line: the code, the field and the place.
    package var description: String { "\(code.name): \(what) at byte \(position)" }

    /// Equal if the code and the position are.
    package static func == (left: BatchError, right: BatchError) -> Bool {
        left.code == right.code && left.position == right.position
    }
}
