package import ByteCoding
package import SystemIO

/// A cursor, or a fold's state, saved durably (segment-log.md, checkpoints).
package struct Checkpoint: Sendable, Equatable {
    /// Whose it is.
    package enum Kind: UInt64, Sendable {
        /// The dedupe table, `CXTLDED0`.
        case dedupe = 0x3044_4544_4C54_5843
        /// An exporter's cursor, `CXTLCUR0`.
        case cursor = 0x3052_5543_4C54_5843
    }

    static let headerBytes = 48
    static let bodyBytesMax = 8 << 20

    /// The log it belongs to.
    package var logID: ID128
    /// Everything below it is reflected.
    package var offset: LogOffset
    /// The owner's bytes.
    package var body: [UInt8]

    /// All of it.
    package init(logID: ID128, offset: LogOffset, body: [UInt8]) {
        self.logID = logID
        self.offset = offset
        self.body = body
    }

    /// As in the file.
    func encode(_ kind: Kind) -> [UInt8] {
        var writer = ByteWriter(capacity: Checkpoint.headerBytes + body.count)
        writer.write(uint64: kind.rawValue)
        writer.write(uint16: 0)
        writer.write(uint16: 0)
        writer.write(uint32: UInt32(body.count))
        writer.write(uint32: crc32c(body.span.bytes))
        writer.write(uint32: 0)
        writer.write(id: logID)
        writer.write(uint64: offset.rawValue)
        let crc = crc32c(writer.span)
        writer.patch(uint32: crc, at: 20)
        writer.write(bytes: body)
        return writer.bytes
    }

    /// Of the header with its own checksum taken as zero.
    private static func checksum(ofHeader bytes: [UInt8]) -> UInt32 {
        let span = bytes.span.bytes
        let head = crc32c(span.extracting(0..<20))
        let zero: [UInt8] = [0, 0, 0, 0]
        let middle = crc32c(zero.span.bytes, seed: head)
        return crc32c(span.extracting(24..<headerBytes), seed: middle)
    }

    static func decode(_ bytes: [UInt8], _ kind: Kind) -> Checkpoint? {
        var reader = ByteReader(bytes.span.bytes)
        do {
            guard try reader.readUInt64() == kind.rawValue, try reader.readUInt16() == 0 else {
                return nil
            }
            try reader.skip(2)
            let count = Int(try reader.readUInt32())
            let crc = try reader.readUInt32()
            let headerCRC = try reader.readUInt32()
            let logID = try reader.readID128()
            let offset = LogOffset(rawValue: try reader.readUInt64())
            let body = try reader.readSpan(count)
            guard crc32c(body) == crc, headerCRC == checksum(ofHeader: bytes) else { return nil }
            return Checkpoint(
                logID: logID, offset: offset, body: body.withUnsafeBytes { [UInt8]($0) })
        } catch {
            return nil
        }
    }
}

/// What a checkpoint file turned out to be.
package enum CheckpointState: Sendable, Equatable {
    /// There is none.
    case absent
    /// A right one.
    case valid(Checkpoint)
    /// Its bytes are wrong; it was set aside if the caller asked for that.
    case damaged
}

/// One checkpoint file.
package struct CheckpointFile: Sendable {
    private let storage: any Storage
    private let name: String
    private let kind: Checkpoint.Kind

    /// The file `name` in a directory.
    package init(_ storage: any Storage, name: String, kind: Checkpoint.Kind) {
        self.storage = storage
        self.name = name
        self.kind = kind
    }

    /// An exporter's cursor in `<state>/cursors`, which is made if it is missing.
    package static func cursor(state: any Storage, exporter: String) throws(SystemError)
        -> CheckpointFile
    {
        let cursors = try state.directory("cursors", create: true)
        return CheckpointFile(cursors, name: exporter + ".cursor", kind: .cursor)
    }

    /// Its path, for people.
    package var place: String { storage.place + "/" + name }

    /// Reads it. Never blocks on bad bytes: they are `damaged`.
    package func read() throws(SystemError) -> CheckpointState {
        let limit = Checkpoint.headerBytes + Checkpoint.bodyBytesMax
        guard let bytes = try readWhole(storage, name, limit: limit) else { return .absent }
        return Checkpoint.decode(bytes, kind).map { .valid($0) } ?? .damaged
    }

    /// Replaces it; durable on return. The caller must not pass an offset beyond the synced position.
    package func write(_ checkpoint: Checkpoint) throws(SystemError) {
        try replaceWhole(storage, name, checkpoint.encode(kind))
    }

    /// Renames a file that cannot be used to `<name>.bad`, over an older one.
    package func setAside() throws(SystemError) { try storage.rename(name, to: name + ".bad") }

    /// Takes it away; false if there was none.
    @discardableResult
    package func remove() throws(SystemError) -> Bool { try storage.remove(name) }
}
