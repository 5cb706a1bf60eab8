package import ByteCoding
package import SystemIO

/// Reads the log's files, in the agent's process or in another, while the agent writes. Never repairs.
/// One thread at a time.
///
/// It never reads beyond the committed position, so that bytes below it which are no entry are damage,
/// and nothing is "half there". Its place is an offset and an open descriptor: a segment that retention
/// deletes is read to its end.
package final class LogReader {
    /// The log's name, nil until a segment was opened.
    package private(set) var logID: ID128?
    /// The next entry's offset: the cursor to save.
    package private(set) var cursor: LogOffset
    /// What was stored before the cursor; nil until the reader knows.
    package private(set) var ordinal: LogOrdinal?
    /// Asked on entering a segment that has a footer: false passes over it whole. For times
    /// (`$0.summary.latest`) and traces (`$0.filter`).
    package var segmentIsWanted: ((SegmentFooter) -> Bool)?

    private struct Current {
        let number: SegmentNumber
        let file: any StorageFile
        var ends: SegmentEnds
        var scanner: SegmentScanner
        var nonce: UInt64?
    }

    private let state: any Storage
    private let storage: any Storage
    private let committedSource: (@Sendable () -> LogOffset)?
    private var positionFile: (any StorageFile)?
    private var committedSeen: LogOffset = .none
    private var current: Current?
    private var lostPlace: MissedRange.Cause?
    /// In this call of `next` the cursor was found to stand where the entries of an unsealed segment end.
    private var isAtEnd = false

    /// A reader of `<state>/log`. `committed` tells how far the log is complete; nil reads it from the
    /// position file. Does not fail if there is no log yet.
    package init(
        state: any Storage, at start: ReadStart,
        committed: (@Sendable () -> LogOffset)? = nil
    ) throws(LogError) {
        committedSource = committed
        self.state = state
        switch start {
        case .beginning: cursor = .none
        case .end: cursor = .none
        case .offset(let offset, let known):
            cursor = offset
            ordinal = known
        }
        do {
            storage = try state.directory("log", create: false)
            if start == .end { cursor = try committedNow() ?? .none }
            if let bytes = try readWhole(storage, LogMeta.name, limit: LogMeta.encodedBytes) {
                // A damaged meta gives no name; the first segment will.
                logID = LogMeta.decode(bytes)?.logID
            }
        } catch {
            throw .io(error)
        }
    }

    /// The next item; nil if there is nothing yet. `isWanted` is asked before a payload is read: false
    /// passes over the entry. Does not wait. Throws only for an I/O error.
    package func next(where isWanted: ((Envelope) -> Bool)? = nil) throws(LogError) -> ReadItem? {
        isAtEnd = false
        do {
            while true {
                if current == nil {
                    guard try enter(after: cursor) else { return nil }
                    if let missed = noteEntry() { return .missed(missed) }
                    try findOrdinal()
                }
                guard let limit = try limit() else { return nil }
                if UInt64(cursor.position) < limit, !isAtEnd {
                    if let item = try read(limit, isWanted) { return item }
                    continue
                }
                guard try leave() else { return nil }
            }
        } catch {
            throw .io(error)
        }
    }

    /// Finds out now where the cursor stands and what was stored before it, as the first `next` would:
    /// for a cursor that is to be saved before anything was read. False if the segment that will tell is
    /// only just made. Throws only for an I/O error.
    package func locate() throws(LogError) -> Bool {
        do {
            guard current == nil else { return true }
            // A segment may be made, and the oldest be deleted, between one look and the next.
            for _ in 0..<3 {
                if try enter(after: cursor) {
                    if noteEntry() == nil { try findOrdinal() }
                    return true
                }
                guard ordinal == nil, cursor.position == 0 else { return true }
                // Without a segment `meta` knows how much there ever was.
                let bytes = try readWhole(storage, LogMeta.name, limit: LogMeta.encodedBytes)
                guard try segmentNumbers().isEmpty else { continue }
                ordinal = bytes.flatMap(LogMeta.decode)?.before
                return true
            }
            return false
        } catch {
            throw .io(error)
        }
    }

    /// Reads at the cursor; nil if the entry there is not wanted.
    private func read(_ limit: UInt64, _ isWanted: ((Envelope) -> Bool)?) throws(SystemError)
        -> ReadItem?
    {
        let position = UInt64(cursor.position)
        let nonce = current?.nonce
        guard let envelope = try current?.scanner.envelope(at: position, nonce: nonce, limit: limit)
        else { return try stepOver(limit) }
        let before = ordinal
        if isWanted?(envelope) ?? true {
            let payload = try current?.scanner.payload(envelope)
            advance(past: envelope)
            guard let payload else {
                return .damaged(
                    DamagedRange(
                        from: envelope.offset, count: UInt64(envelope.entryBytes),
                        envelope: envelope))
            }
            return .batch(StoredBatch(envelope: envelope, payload: payload, ordinal: before))
        }
        advance(past: envelope)
        return nil
    }

    private func advance(past envelope: Envelope) {
        cursor = envelope.next
        ordinal = ordinal.map { $0 + LogOrdinal(batches: 1, records: UInt64(envelope.records)) }
    }

    /// Passes over bytes that are no entry: to the next one, or to the segment's end.
    private func stepOver(_ limit: UInt64) throws(SystemError) -> ReadItem? {
        let position = UInt64(cursor.position)
        let nonce = current?.nonce
        if current?.ends.footer == nil {
            // What was read ahead of the committed position may be older than what stands there now.
            current?.scanner.forget()
            if try sealedMeanwhile() { return nil }
            if try current?.scanner.envelope(at: position, nonce: nonce, limit: limit) != nil {
                return nil
            }
        }
        let found = try current?.scanner.resynchronise(
            from: position + 8, nonce: nonce, limit: limit)
        let start = cursor
        if let found {
            cursor = LogOffset(segment: start.segment, position: UInt32(found))
            return .damaged(DamagedRange(from: start, count: found - position))
        }
        var damageEnd = limit
        if committedSeen.segment == start.segment {
            // Up to the committed position all bytes should be entries, zeros too.
            damageEnd = min(limit, try current?.file.size() ?? limit)
        } else if current?.ends.footer == nil {
            // Zeros that were made ready, or the footer that is being written, end the entries. The cursor
            // stays: there the footer will stand.
            let isFooter = try current?.scanner.isFooter(at: position) ?? false
            damageEnd = try current?.scanner.contentEnd(position..<limit) ?? position
            if isFooter || damageEnd == position {
                current?.scanner.forget()
                isAtEnd = true
                return nil
            }
        }
        current?.scanner.forget()
        cursor = LogOffset(segment: start.segment, position: UInt32(min(limit, UInt64(UInt32.max))))
        if damageEnd <= position { return nil }
        return .damaged(DamagedRange(from: start, count: damageEnd - position))
    }

    /// Whether the current segment, unsealed when it was entered, has a footer now.
    private func sealedMeanwhile() throws(SystemError) -> Bool {
        guard let segment = current, segment.ends.footer == nil else { return false }
        let ends = try SegmentEnds.read(segment.file, number: segment.number)
        guard let end = ends.footer?.summary.entriesEnd else { return false }
        current?.ends = ends
        isAtEnd = end <= cursor.position
        return true
    }

    // MARK: Segments

    /// Up to where the current segment may be read; nil if not at all yet.
    private func limit() throws(SystemError) -> UInt64? {
        guard let segment = current else { return nil }
        if committedSeen <= cursor { committedSeen = try committedNow() ?? committedSeen }
        if committedSeen.segment == segment.number { return UInt64(committedSeen.position) }
        if committedSeen.segment < segment.number {
            // Without a position file (a copied directory, say) the file itself must tell.
            return committedSeen == .none ? try fileLimit() : nil
        }
        return try fileLimit()
    }

    private func fileLimit() throws(SystemError) -> UInt64 {
        if let footer = current?.ends.footer { return UInt64(footer.summary.entriesEnd) }
        return try current?.file.size() ?? 0
    }

    /// Goes from the end of the current segment to the next; false if there is none yet.
    private func leave() throws(SystemError) -> Bool {
        guard let segment = current else { return true }
        guard committedSeen.segment > segment.number || committedSeen == .none else {
            return false
        }
        // Once there is a later segment this one grows no more: what was read of it before may be too old.
        let numbers = try segmentNumbers()
        // The footer may be new, or be gone because the segment was continued after an orderly end.
        let ends = try SegmentEnds.read(segment.file, number: segment.number)
        let end = ends.footer?.summary.entriesEnd
        if end != segment.ends.footer?.summary.entriesEnd {
            current?.ends = ends
            current?.scanner.forget()
            if UInt64(cursor.position) < end.map(UInt64.init) ?? ends.fileBytes {
                isAtEnd = false
                return true
            }
        }
        guard numbers.contains(where: { $0 > segment.number }) else { return false }
        if ends.footer == nil, committedSeen == .none {
            current?.scanner.forget()
            let limit = ends.fileBytes
            if try current?.scanner.envelope(
                at: UInt64(cursor.position), nonce: segment.nonce, limit: limit) != nil
            {
                isAtEnd = false
                return true
            }
        }
        lostPlace = try lossCause(of: segment.number, numbers)
        cursor = LogOffset(segment: segment.number + 1, position: 0)
        current = nil
        isAtEnd = false
        return true
    }

    /// Opens the segment of the cursor, or the first behind it; false if there is none yet.
    private func enter(after place: LogOffset) throws(SystemError) -> Bool {
        committedSeen = try committedNow() ?? committedSeen
        while true {
            let numbers = try segmentNumbers()
            guard let number = numbers.first(where: { $0 >= place.segment }) else { return false }
            if number != place.segment, place.position > 0 {
                lostPlace = try lossCause(of: place.segment, numbers)
            } else if place == .none, ordinal != nil {
                lostPlace = .expired
            }
            let file: any StorageFile
            do {
                file = try storage.open(SegmentName.make(number), .read)
            } catch {
                // Deleted since the list was made: look again.
                if error.isNotFound { continue }
                throw error
            }
            let ends = try SegmentEnds.read(file, number: number)
            var scanner = SegmentScanner(file, number: number)
            var nonce = ends.nonce
            if nonce == nil {
                nonce = try scanner.nonceOfFirstEntry(
                    from: ends.firstEntry, limit: ends.fileBytes)
            }
            if nonce == nil, ends.fileBytes < UInt64(SegmentHeader.encodedBytes) {
                // Just made: its header is not written yet.
                if committedSeen.segment <= number { return false }
            }
            let first = LogOffset(segment: number, position: UInt32(ends.firstEntry))
            if number != place.segment || place < first { cursor = first }
            current = Current(
                number: number, file: file, ends: ends, scanner: scanner,
                nonce: nonce)
            return true
        }
    }

    /// Why a segment is not there, nil if it is. The log says what retention took; what a start took for
    /// damage as a whole lies in the quarantine.
    private func lossCause(of number: SegmentNumber, _ numbers: [SegmentNumber])
        throws(SystemError) -> MissedRange.Cause?
    {
        if numbers.contains(number) { return nil }
        guard let retention = try LogPosition.read(storage)?.retention else {
            return numbers.contains { $0 < number } ? .damaged : .expired
        }
        if number < retention.first { return .expired }
        do {
            let copies = Quarantine(
                storage: try state.directory("quarantine", create: false), bytesMax: 0)
            let start = LogOffset(segment: number, position: 0)
            return try copies.holds(start) ? .damaged : .removed
        } catch {
            guard error.isNotFound else { throw error }
            return .removed
        }
    }

    /// Takes note of a new segment's counts; what was missed, if the reader can tell.
    private func noteEntry() -> MissedRange? {
        guard let segment = current else { return nil }
        logID = segment.ends.header?.logID ?? logID
        let first = LogOffset(segment: segment.number, position: UInt32(segment.ends.firstEntry))
        let before = segment.ends.header?.before ?? segment.ends.footer?.summary.before
        var missed: MissedRange?
        if cursor == first, let before {
            if let ordinal, ordinal.batches < before.batches {
                missed = MissedRange(
                    cause: lostPlace ?? .damaged, to: first, count: before - ordinal)
            } else if let lostPlace, ordinal == nil {
                missed = MissedRange(cause: lostPlace, to: first, count: nil)
            }
            ordinal = before
        }
        lostPlace = nil
        if let footer = segment.ends.footer, cursor == first, let segmentIsWanted,
            committedSeen.segment > segment.number, !segmentIsWanted(footer)
        {
            cursor = LogOffset(segment: segment.number, position: footer.summary.entriesEnd)
            ordinal = footer.summary.after
        }
        return missed
    }

    /// A reader that begins inside a segment learns its ordinal by walking the envelopes before it, once.
    private func findOrdinal() throws(SystemError) {
        guard ordinal == nil, let segment = current,
            let before = segment.ends.header?.before ?? segment.ends.footer?.summary.before
        else { return }
        var count = before
        var position = segment.ends.firstEntry
        let limit = UInt64(cursor.position)
        while position < limit {
            if let envelope = try current?.scanner.envelope(
                at: position, nonce: segment.nonce, limit: limit)
            {
                count = count + LogOrdinal(batches: 1, records: UInt64(envelope.records))
                position += UInt64(envelope.entryBytes)
            } else {
                // What damage hides is counted at the next segment, as for a reader that came through it.
                guard
                    let next = try current?.scanner.resynchronise(
                        from: position + 8, nonce: segment.nonce, limit: limit)
                else { break }
                position = next
            }
        }
        ordinal = count
    }

    private func segmentNumbers() throws(SystemError) -> [SegmentNumber] {
        do {
            return try storage.list().compactMap(SegmentName.number).sorted()
        } catch {
            if error.isNotFound { return [] }
            throw error
        }
    }

    /// How far the log is complete; nil if nobody says.
    private func committedNow() throws(SystemError) -> LogOffset? {
        if let committedSource { return committedSource() }
        if positionFile == nil {
            do {
                positionFile = try storage.open(LogPosition.name, .read)
            } catch {
                if error.isNotFound { return nil }
                throw error
            }
        }
        guard let positionFile else { return nil }
        var bytes = [UInt8](repeating: 0, count: LogPosition.encodedBytes)
        for _ in 0..<3 {
            // A wrong checksum may be a write that we overtook: read again.
            guard
                try positionFile.read(into: &bytes, range: 0..<bytes.count, at: 0) == bytes.count
            else { return nil }
            if let position = LogPosition.decode(bytes) { return position.committed }
        }
        return nil
    }

    // MARK: Looking around

    /// The segments there are, oldest first, each with its footer if it is sealed. Reads every footer.
    package func segments() throws(LogError) -> [(number: SegmentNumber, footer: SegmentFooter?)] {
        do {
            return try readSegments()
        } catch {
            throw .io(error)
        }
    }

    private func readSegments() throws(SystemError) -> [(
        number: SegmentNumber, footer: SegmentFooter?
    )] {
        var found: [(number: SegmentNumber, footer: SegmentFooter?)] = []
        for number in try segmentNumbers() {
            do throws(SystemError) {
                let file = try storage.open(SegmentName.make(number), .read)
                let size = try file.size()
                found.append(
                    (number, try SegmentEnds.readFooter(file, number: number, size: size)))
            } catch {
                guard error.isNotFound else { throw error }
            }
        }
        return found
    }

    /// Moves to the place from which on at least `count` records pass `isWanted` (by their envelopes), or to the
    /// beginning if there are fewer. Reads envelopes only, from the newest segment back.
    package func moveBack(records count: Int, where isWanted: (Envelope) -> Bool = { _ in true })
        throws(LogError)
    {
        do {
            var found = 0
            var start: LogOffset = .none
            for number in try segmentNumbers().reversed() where found < count {
                current = nil
                cursor = LogOffset(segment: number, position: 0)
                ordinal = nil
                isAtEnd = false
                var places: [(LogOffset, Int)] = []
                while try enterOnly(number) {
                    guard let limit = try limit(), UInt64(cursor.position) < limit else { break }
                    let nonce = current?.nonce
                    if let envelope = try current?.scanner.envelope(
                        at: UInt64(cursor.position), nonce: nonce, limit: limit)
                    {
                        if isWanted(envelope) {
                            places.append((envelope.offset, Int(envelope.records)))
                        }
                        cursor = envelope.next
                    } else {
                        _ = try stepOver(limit)
                        if isAtEnd { break }
                    }
                }
                for (offset, records) in places.reversed() where found < count {
                    start = offset
                    found += records
                }
            }
            current = nil
            ordinal = nil
            cursor = found < count ? .none : start
        } catch {
            throw .io(error)
        }
    }

    private func enterOnly(_ number: SegmentNumber) throws(SystemError) -> Bool {
        if current == nil { return try enter(after: cursor) && current?.number == number }
        return true
    }
}
