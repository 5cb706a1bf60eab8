import ByteCoding
package import SegmentLog
package import SystemIO

/// Tells how far the log is. Each is asked for itself: the offsets many times a second.
package struct LogProgress: Sendable {
    /// Everything below it is complete in the file.
    package let committed: @Sendable () -> LogOffset
    /// Everything below it survives power loss.
    package let synced: @Sendable () -> LogOffset
    /// Records stored since the log was made.
    package let storedRecords: @Sendable () -> UInt64
    /// Everything from here on was stored by this process.
    let ownFrom: LogOffset

    /// All given. Make it in the process that writes the log.
    package init(
        committed: @escaping @Sendable () -> LogOffset, synced: @escaping @Sendable () -> LogOffset,
        storedRecords: @escaping @Sendable () -> UInt64
    ) {
        self.committed = committed
        self.synced = synced
        self.storedRecords = storedRecords
        ownFrom = committed()
    }
}

/// The segment log as an exporter's runner reads it.
package final class LogSource: ExportSource {
    private let state: any Storage
    private let progress: LogProgress?
    private let reportDamage: (@Sendable (DamagedRange) -> Void)?
    private var reader: LogReader
    /// The log's id.
    package let logID: String

    /// Reads the log of a state directory. `progress` tells how far the log is; nil reads the position
    /// file. `reportDamage` is told of damaged ranges.
    package init(
        state: any Storage, progress: LogProgress?,
        reportDamage: (@Sendable (DamagedRange) -> Void)? = nil
    ) throws(SourceError) {
        self.state = state
        self.reportDamage = reportDamage
        self.progress = progress
        reader = try Self.open(state, .end, progress)
        if reader.logID == nil {
            // A damaged `meta` has no name; a segment has one.
            reader = try Self.open(state, .beginning, progress)
            _ = try Self.locate(reader)
        }
        guard let logID = reader.logID else { throw SourceError("there is no log yet") }
        self.logID = logID.hex
    }

    package func seek(to place: LogPlace) throws(SourceError) {
        reader = try Self.open(state, .offset(place.offset, ordinal: place.ordinal), progress)
    }

    package func seek(to start: StartPlace) throws(SourceError) -> LogPlace {
        reader = try Self.open(state, start == .end ? .end : .beginning, progress)
        // What retention deletes before the first batch is read must count as expired.
        guard try Self.locate(reader) else {
            throw SourceError("the log's next segment is being made")
        }
        return LogPlace(offset: reader.cursor, ordinal: reader.ordinal)
    }

    /// The oldest batch that may hold a record of a time, or of a later one; nil if there is none.
    package static func place(
        since nanoseconds: UInt64, state: any Storage, progress: LogProgress?
    ) throws(SourceError) -> LogPlace? {
        let reader = try open(state, .beginning, progress)
        reader.segmentIsWanted = {
            max($0.summary.latest, $0.summary.receivedLast) >= nanoseconds
        }
        guard let offset = try first(in: reader, since: nanoseconds) else { return nil }
        // What the reader passed over whole it may not have counted.
        let exact = try open(state, .offset(offset, ordinal: nil), progress)
        guard try locate(exact) else { throw SourceError("the log's next segment is being made") }
        return LogPlace(offset: exact.cursor, ordinal: exact.ordinal)
    }

    private static func first(
        in reader: LogReader, since nanoseconds: UInt64
    ) throws(SourceError) -> LogOffset? {
        do throws(LogError) {
            while let item = try reader.next(where: { max($0.latest, $0.received) >= nanoseconds })
            {
                if case .batch(let found) = item { return found.offset }
            }
            return nil
        } catch {
            throw SourceError("the log cannot be read: \(error)")
        }
    }

    package func next() throws(SourceError) -> SourceItem {
        do throws(LogError) {
            guard let item = try reader.next() else { return .nothing }
            switch item {
            case .batch(let found): return .batch(batch(found))
            case .damaged(let range):
                reportDamage?(range)
                // Where the envelope is right its records are known; else they come as missed, once the
                // reader is at a place whose count it knows.
                return .lost(
                    .damaged, records: Int(range.envelope?.records ?? 0), end: reader.cursor,
                    ordinal: reader.ordinal)
            case .missed(let range):
                let cause: LossCause =
                    switch range.cause {
                    case .expired: .expired
                    case .damaged: .damaged
                    case .removed: .removed
                    }
                return .lost(
                    cause, records: Int(range.count?.records ?? 0), end: range.to,
                    ordinal: reader.ordinal)
            }
        } catch {
            throw SourceError("the log cannot be read: \(error)")
        }
    }

    package func synced() throws(SourceError) -> LogOffset {
        if let progress { return progress.synced() }
        return try Self.position(state).synced
    }

    package func end() throws(SourceError) -> LogOffset? {
        if let progress { return progress.committed() }
        return try Self.readPosition(state)?.committed
    }

    package func backlogRecords() throws(SourceError) -> UInt64? {
        guard let stored = progress?.storedRecords(), let read = reader.ordinal?.records else {
            return nil
        }
        return stored > read ? stored - read : 0
    }

    private func batch(_ found: StoredBatch) -> SourceBatch {
        let records = found.envelope.records
        let ordinal = found.ordinal.map {
            LogOrdinal(batches: $0.batches + 1, records: $0.records + UInt64(records))
        }
        return SourceBatch(
            offset: found.offset, end: found.next, ordinal: ordinal, records: Int(records),
            receiptNanoseconds: found.envelope.received, peer: found.envelope.peer,
            payload: found.payload, isOwn: progress.map { found.offset >= $0.ownFrom } ?? false)
    }

    private static func open(
        _ state: any Storage, _ start: ReadStart, _ progress: LogProgress?
    ) throws(SourceError) -> LogReader {
        do throws(LogError) {
            guard let progress else { return try LogReader(state: state, at: start) }
            return try LogReader(state: state, at: start, committed: progress.committed)
        } catch {
            throw SourceError("the log cannot be opened: \(error)")
        }
    }

    private static func locate(_ reader: LogReader) throws(SourceError) -> Bool {
        do throws(LogError) {
            return try reader.locate()
        } catch {
            throw SourceError("the log cannot be read: \(error)")
        }
    }

    private static func position(_ state: any Storage) throws(SourceError) -> LogPosition {
        if let position = try readPosition(state) { return position }
        throw SourceError("the log's position cannot be read")
    }

    private static func readPosition(_ state: any Storage) throws(SourceError) -> LogPosition? {
        do throws(SystemError) {
            return try LogPosition.read(try state.directory("log", create: false))
        } catch {
            throw SourceError("the log's position cannot be read: \(error)")
        }
    }
}
