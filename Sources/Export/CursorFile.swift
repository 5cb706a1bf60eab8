import ByteCoding
package import SegmentLog
package import SystemIO

/// An exporter's name as that of its files and folders: one as `otlp_http/backup` is no path.
package func fileName(ofExporter name: String) -> String { name.replacing("/", with: "-") }

/// An exporter's cursor as a checkpoint file (segment-log.md, "meta, position, checkpoints"). The body:
/// version u16 (0), flags u16 (bit 0 clean, bit 1 ordinal known), outcomes u32, ordinal batches u64 and
/// records u64, a u64 for each outcome, then the exporter's own state.
package final class CursorFile: CursorStore {
    private static let cleanBit: UInt16 = 1
    private static let ordinalBit: UInt16 = 2

    private let file: CheckpointFile
    package private(set) var setAside: String?

    /// The file `cursors/<exporter>.cursor` of a state directory.
    package init(state: any Storage, exporter: String) throws(SourceError) {
        do throws(SystemError) {
            file = try CheckpointFile.cursor(
                state: state, exporter: fileName(ofExporter: exporter))
        } catch {
            throw SourceError("the cursor cannot be kept: \(error)")
        }
    }

    package func load(logID: String, end: LogOffset?) throws(SourceError) -> SavedCursor? {
        do throws(SystemError) {
            let reason: String
            switch try file.read() {
            case .absent: return nil
            case .valid(let checkpoint) where checkpoint.logID.hex != logID:
                reason = "belongs to another log"
            case .valid(let checkpoint) where Self.isBeyond(checkpoint.offset, end):
                reason = "stands beyond the log's end"
            case .valid(let checkpoint):
                if let saved = Self.decode(checkpoint) { return saved }
                reason = "is not understood"
            case .damaged: reason = "is damaged"
            }
            try file.setAside()
            setAside = "the cursor \(file.place) \(reason) and has .bad behind its name now"
            return nil
        } catch {
            throw SourceError("the cursor cannot be read: \(error)")
        }
    }

    /// The next segment may be there before anything in it is committed, and be begun.
    private static func isBeyond(_ cursor: LogOffset, _ end: LogOffset?) -> Bool {
        guard let end else { return false }
        return cursor.isBeforeEntries ? cursor.segment > end.segment + 1 : cursor > end
    }

    package func save(_ cursor: SavedCursor, logID: String) throws(SourceError) {
        guard let id = ID128(hex: logID) else { throw SourceError("\(logID) is no log id") }
        do throws(SystemError) {
            try file.write(
                Checkpoint(logID: id, offset: cursor.cursor.offset, body: Self.encode(cursor)))
        } catch {
            throw SourceError("the cursor cannot be saved: \(error)")
        }
    }

    private static func encode(_ cursor: SavedCursor) -> [UInt8] {
        var writer = ByteWriter(capacity: 128 + cursor.state.count)
        let ordinal = cursor.cursor.ordinal
        writer.write(uint16: 0)
        writer.write(
            uint16: (cursor.isClean ? cleanBit : 0) | (ordinal != nil ? ordinalBit : 0))
        writer.write(uint32: UInt32(OutcomeCounts.outcomes))
        writer.write(uint64: ordinal?.batches ?? 0)
        writer.write(uint64: ordinal?.records ?? 0)
        for count in cursor.settled.inOrder { writer.write(uint64: count) }
        writer.write(bytes: cursor.state)
        return writer.bytes
    }

    private static func decode(_ checkpoint: Checkpoint) -> SavedCursor? {
        var reader = ByteReader(checkpoint.body.span.bytes)
        do throws(ByteError) {
            guard try reader.readUInt16() == 0 else { return nil }
            let flags = try reader.readUInt16()
            let outcomes = Int(try reader.readUInt32())
            guard OutcomeCounts.known.contains(outcomes) else { return nil }
            let batches = try reader.readUInt64()
            let records = try reader.readUInt64()
            var values: [UInt64] = []
            for _ in 0..<outcomes { values.append(try reader.readUInt64()) }
            guard let settled = OutcomeCounts(inOrder: values) else { return nil }
            let ordinal =
                flags & ordinalBit != 0 ? LogOrdinal(batches: batches, records: records) : nil
            let state = Array(checkpoint.body[(checkpoint.body.count - reader.remaining)...])
            return SavedCursor(
                cursor: LogPlace(offset: checkpoint.offset, ordinal: ordinal), settled: settled,
                isClean: flags & cleanBit != 0, state: state)
        } catch {
            return nil
        }
    }
}
