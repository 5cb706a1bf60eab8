import ByteCoding
package import SystemIO

/// What an exporter knows beyond its saved cursor, as `cursors/<exporter>.note` (segment-log.md, "meta, position,
/// checkpoints"): written in place after each answer of its sink, so that whoever goes on after the death of this
/// process does not repeat what was answered.
///
/// It is not synced: after loss of power it may be an older one, or none. It may run ahead of what the log
/// then has, because offsets are never used again.
package final class CursorNote {
    private static let magic: UInt64 = 0x3054_4F4E_4C54_5843
    private static let headerBytes = 40
    /// Two of them take turns: of one that was torn the other is whole.
    private static let slotBytes: UInt64 = 1 << 20
    /// What fits.
    package static let bodyBytesMax = Int(slotBytes) - headerBytes

    /// The newest that was written, empty if there is none for this log.
    package private(set) var body: [UInt8] = []
    private let file: any StorageFile
    private let logID: ID128
    private var sequence: UInt64 = 0

    /// Opens the note of an exporter, or makes one.
    package init(state: any Storage, exporter: String, logID: String) throws(SystemError) {
        self.logID = ID128(hex: logID) ?? .zero
        let cursors = try state.directory("cursors", create: true)
        file = try Self.open(cursors, Self.name(exporter))
        for slot in 0..<2 {
            guard let found = try read(slot) else { continue }
            if found.sequence > sequence {
                (sequence, body) = (found.sequence, found.logID == self.logID ? found.body : [])
            }
        }
    }

    /// Replaces the note. It survives the death of this process, not loss of power.
    package func write(_ body: [UInt8]) throws(SystemError) {
        precondition(body.count <= Self.bodyBytesMax)
        let next = sequence + 1
        var writer = ByteWriter(capacity: Self.headerBytes + body.count)
        writer.write(uint64: Self.magic)
        writer.write(uint64: next)
        writer.write(id: logID)
        writer.write(uint32: UInt32(body.count))
        writer.write(uint32: 0)
        writer.write(bytes: body)
        writer.patch(uint32: crc32c(writer.span), at: 36)
        try file.write(writer.span, at: (next & 1) * Self.slotBytes)
        // Where that failed, the next one has the same slot: the other holds the last that is whole.
        sequence = next
        self.body = body
    }

    /// Returns once the note survives loss of power.
    package func sync() throws(SystemError) { try file.sync() }

    /// Takes the note of an exporter away: what it knew holds no more.
    package static func remove(state: any Storage, exporter: String) throws(SystemError) {
        let cursors = try state.directory("cursors", create: true)
        try cursors.remove(name(exporter))
    }

    private static func name(_ exporter: String) -> String {
        fileName(ofExporter: exporter) + ".note"
    }

    private static func open(
        _ cursors: any Storage, _ name: String
    ) throws(SystemError) -> any StorageFile {
        do throws(SystemError) {
            return try cursors.open(name, .readWrite)
        } catch {
            guard error.isNotFound else { throw error }
            return try cursors.open(name, .createNew)
        }
    }

    private func read(
        _ slot: Int
    ) throws(SystemError) -> (sequence: UInt64, logID: ID128, body: [UInt8])? {
        let start = UInt64(slot) * Self.slotBytes
        var head = try read(Self.headerBytes, at: start)
        guard let found = Self.header(head), found.length <= Self.bodyBytesMax else { return nil }
        let body = try read(found.length, at: start + UInt64(Self.headerBytes))
        for index in 36..<40 { head[index] = 0 }
        guard body.count == found.length,
            crc32c(body.span.bytes, seed: crc32c(head.span.bytes)) == found.crc
        else { return nil }
        return (found.sequence, found.logID, body)
    }

    private static func header(
        _ head: [UInt8]
    ) -> (sequence: UInt64, logID: ID128, length: Int, crc: UInt32)? {
        var reader = ByteReader(head.span.bytes)
        do throws(ByteError) {
            guard try reader.readUInt64() == magic else { return nil }
            return (
                try reader.readUInt64(), try reader.readID128(), Int(try reader.readUInt32()),
                try reader.readUInt32()
            )
        } catch {
            return nil
        }
    }

    private func read(_ count: Int, at position: UInt64) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try file.read(into: &bytes, range: 0..<count, at: position)
        bytes.removeLast(count - got)
        return bytes
    }
}
