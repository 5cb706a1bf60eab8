package import SegmentLog
import SystemIO

/// The newest wanted records, found from the end: newer segments first, and without filters only
/// envelopes are read on the way.
package struct LastRecords {
    /// The records, oldest first.
    package private(set) var records: [StoredRecord] = []
    /// Where a follower goes on.
    package private(set) var next: LogOffset = .none
    /// What could not be shown, a sentence each.
    package private(set) var gaps: [String] = []

    private let directory: String
    private let filter: RecordFilter
    private let count: Int

    /// Finds the last `count` wanted records of the log in `<state>/log`.
    package init(_ count: Int, state directory: String, filter: RecordFilter) throws(SourceError) {
        self.directory = directory
        self.filter = filter
        self.count = count
        let end: LogPosition?
        let oldest: SegmentNumber
        do throws(SystemError) {
            let log = try DirectoryStorage(opening: directory).directory("log", create: false)
            end = try LogPosition.read(log)
            oldest = try Self.segments(log).min() ?? 1
        } catch {
            throw .files(error)
        }
        // No position yet: an agent that has only just made its log.
        guard let end else { return }
        next = end.committed
        guard count > 0 else { return }
        var first = end.committed.segment
        var step: SegmentNumber = 1
        while true {
            records = []
            gaps = []
            if filter.isUnrestricted {
                try readNewest(from: first, upTo: end.committed)
            } else {
                try readAll(from: first, upTo: end.committed)
            }
            records = Array(records.suffix(count))
            guard records.count < count, first > oldest else { return }
            first = first > step + oldest ? first - step : oldest
            step *= 2
        }
    }

    /// Every batch of the newest segments is read, and the last wanted records kept.
    private mutating func readAll(
        from first: SegmentNumber, upTo end: LogOffset
    ) throws(SourceError) {
        let selection = RecordSelection(filter)
        let source = try RecordSource(
            state: directory, at: Self.start(of: first), filter: filter)
        while let item = try source.next() {
            switch item {
            case .gap(let sentence): gaps.append(sentence)
            case .entry(let entry):
                guard entry.envelope.offset < end else { return }
                keep(selection.records(of: entry))
            }
        }
    }

    /// Envelopes say how many records a batch holds: only the last batches are read.
    private mutating func readNewest(
        from first: SegmentNumber, upTo end: LogOffset
    ) throws(SourceError) {
        var places: [(offset: LogOffset, records: Int)] = []
        var held = 0
        var dropped = 0
        let count = count
        do throws(LogError) {
            let reader = try LogReader(
                state: DirectoryStorage(opening: directory), at: Self.start(of: first))
            let look: (Envelope) -> Bool = { envelope in
                guard envelope.offset < end else { return false }
                places.append((envelope.offset, Int(envelope.records)))
                held += Int(envelope.records)
                while held - places[dropped].records >= count {
                    held -= places[dropped].records
                    dropped += 1
                }
                return false
            }
            while let item = try reader.next(where: look) {
                switch item {
                case .batch: continue
                case .damaged(let range): gaps.append(GapLine.text(range))
                case .missed(let range): gaps.append(GapLine.text(range))
                }
            }
        } catch {
            throw .log(error)
        }
        guard dropped < places.count else { return }
        let selection = RecordSelection(filter)
        let source = try RecordSource(
            state: directory, at: .offset(places[dropped].offset, ordinal: nil), filter: filter)
        while let item = try source.next() {
            guard case .entry(let entry) = item else { continue }
            guard entry.envelope.offset < end else { return }
            keep(selection.records(of: entry))
        }
    }

    private mutating func keep(_ new: [StoredRecord]) {
        records += new.suffix(count)
        // Twice the number wanted is kept, so that the front is cut rarely.
        if records.count > 2 * count { records.removeFirst(records.count - count) }
    }

    private static func start(of segment: SegmentNumber) -> ReadStart {
        .offset(LogOffset(segment: segment, position: 0), ordinal: nil)
    }

    private static func segments(_ log: any Storage) throws(SystemError) -> [SegmentNumber] {
        try log.list().compactMap { name in
            name.hasSuffix(".segment") ? SegmentNumber(name.dropLast(".segment".count)) : nil
        }
    }
}
