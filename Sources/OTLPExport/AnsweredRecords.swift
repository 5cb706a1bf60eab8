import ByteCoding
import Export
import OTLPCodec
import SegmentLog

/// A place between two records of the log.
struct AnsweredPlace: Comparable {
    /// The batch.
    var offset: UInt64
    /// The next record in it.
    var index: UInt32

    /// The first record of a batch of so many that is not below it.
    func begin(in offset: UInt64, of count: Int) -> Int {
        if offset != self.offset { return offset < self.offset ? count : 0 }
        return min(Int(index), count)
    }

    static func < (left: AnsweredPlace, right: AnsweredPlace) -> Bool {
        (left.offset, left.index) < (right.offset, right.index)
    }
}

/// Which records beyond the saved cursor are dealt with. Requests of a signal are answered in the log's
/// order, so one place for each signal says it, and how many of a batch were refused.
struct AnsweredRecords {
    /// Refusals that the saved cursor does not know: what bounds the note.
    static let refusalsMax = 4096

    struct Refusal: Equatable {
        let signal: OTLPSignal
        let offset: UInt64
        var records: UInt32
        /// Nil until the batch comes again after a restart.
        var ticket: ExportLedger.Ticket?
    }

    /// Of each signal, everything below it is dealt with.
    private(set) var places: [OTLPSignal: AnsweredPlace] = [:]
    private(set) var refusals: [Refusal] = []

    init() {}

    /// Whether another batch may be taken.
    var hasRoom: Bool { refusals.count < Self.refusalsMax }

    /// Where a signal's next record is.
    func place(_ signal: OTLPSignal) -> AnsweredPlace {
        places[signal] ?? AnsweredPlace(offset: 0, index: 0)
    }

    /// Records of a part are dealt with, so many of them by a refusal.
    mutating func settle(_ signal: OTLPSignal, _ part: RequestPart, refused: Int) {
        // After a death a part comes again as a whole.
        guard let end = part.end else { return }
        places[signal] = end
        let refused = refused + part.refusedBefore
        guard refused > 0 else { return }
        if let last = refusals.lastIndex(where: { $0.signal == signal && $0.offset == end.offset })
        {
            refusals[last].records += UInt32(refused)
        } else {
            refusals.append(
                Refusal(
                    signal: signal, offset: end.offset, records: UInt32(refused),
                    ticket: part.ticket))
        }
    }

    /// How many records of a batch that comes again were refused.
    mutating func refused(
        _ signal: OTLPSignal, _ offset: UInt64, ticket: ExportLedger.Ticket
    ) -> Int {
        guard
            let found = refusals.firstIndex(where: { $0.signal == signal && $0.offset == offset })
        else { return 0 }
        refusals[found].ticket = ticket
        return Int(refusals[found].records)
    }

    /// The saved cursor knows what there was up to a batch.
    mutating func forget(upTo ticket: ExportLedger.Ticket) {
        refusals.removeAll { $0.ticket.map { $0 <= ticket } ?? false }
    }

    // MARK: The note

    private static let version: UInt8 = 1

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + refusals.count * 13)
        writer.write(uint8: Self.version)
        for signal in OTLPSignal.allCases {
            writer.write(uint64: place(signal).offset)
            writer.write(uint32: place(signal).index)
        }
        writer.write(uint32: UInt32(refusals.count))
        for refusal in refusals {
            writer.write(uint8: UInt8(OTLPSignal.allCases.firstIndex(of: refusal.signal) ?? 0))
            writer.write(uint64: refusal.offset)
            writer.write(uint32: refusal.records)
        }
        return writer.bytes
    }

    /// Reads a note; what stands below the cursor is in its counts already. Nothing is known from another version's.
    init(_ note: [UInt8], cursor: LogOffset) {
        var reader = ByteReader(note.span.bytes)
        do throws(ByteError) {
            guard try reader.readUInt8() == Self.version else { return }
            var places: [OTLPSignal: AnsweredPlace] = [:]
            for signal in OTLPSignal.allCases {
                places[signal] = AnsweredPlace(
                    offset: try reader.readUInt64(), index: try reader.readUInt32())
            }
            var refusals: [Refusal] = []
            for _ in 0..<(try reader.readUInt32()) {
                let signal = Int(try reader.readUInt8())
                let (offset, records) = (try reader.readUInt64(), try reader.readUInt32())
                guard offset >= cursor.rawValue, OTLPSignal.allCases.indices.contains(signal)
                else { continue }
                refusals.append(
                    Refusal(
                        signal: OTLPSignal.allCases[signal], offset: offset, records: records,
                        ticket: nil))
            }
            (self.places, self.refusals) = (places, refusals)
        } catch {
            // Its checksum was right, so it is another version's.
            return
        }
    }
}
