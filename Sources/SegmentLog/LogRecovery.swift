import ByteCoding
import SystemIO

/// A segment as the writer knows it.
struct SegmentInfo: Sendable {
    var summary: SegmentSummary
    var fileBytes: UInt64
    var isSealed: Bool
}

/// What a directory turned out to hold.
struct RecoveredLog {
    var meta: LogMeta
    var segments: [SegmentInfo] = []
    var dedupe: DedupeTable
    /// The encoded table of the newest footer: it is the whole table of its moment, so that the older ones,
    /// which may be many and large, need not be read.
    var newestDedupe: [UInt8] = []
    var nextNumber: UInt64 = 1
    /// How far the last agent was, as it published it; nil if that is not known.
    var left: LogPosition?
    var report = RecoveryReport()
    /// The highest number of a file that is, or may be, a segment of this log.
    var highest: UInt64 = 0
    /// The newest segment's footer after an orderly end: it may be cut off and the segment continued.
    var resumable: SegmentFooter?
    /// Entries that could not be written again yet.
    var renewals: [Renewal] = []
    /// Segments without a footer, ended and ready for one.
    var toSeal: [(file: any StorageFile, contents: SegmentContents)] = []

    /// What the kept segments and those before them hold.
    var reached: LogOrdinal { segments.last?.summary.after ?? meta.before }
    /// All that was ever stored: more than `reached` if the log lost its end.
    var stored: LogOrdinal { .further(reached, left?.stored ?? LogOrdinal()) }

    /// What retention deleted, as far as is known: without `position` all that stood before what is there.
    var retention: LogPosition.Retention {
        let first = segments.first?.summary
        guard let known = left?.retention else {
            return LogPosition.Retention(
                first: first?.number ?? 0, expired: first?.before ?? meta.before)
        }
        // Told, and not done: the agent died between the two, or power failed.
        let undone = segments.map(\.summary).filter { $0.number < known.first }
        let count = undone.reduce(LogOrdinal()) {
            $0 + LogOrdinal(batches: $1.batches, records: $1.records)
        }
        return LogPosition.Retention(
            first: min(known.first, first?.number ?? known.first),
            expired: LogOrdinal.nearer(known.expired - count, first?.before ?? stored))
    }

    /// Whether bytes here were complete and safe before this start. If they are no entry now, that is
    /// damage: a torn tail lies above.
    func wasSafe(_ offset: LogOffset) -> Bool {
        guard let left else { return meta.clean }
        return offset < left.synced || meta.clean
    }

    /// Where the safe bytes of a segment end, as far as `position` says.
    func safeEnd(_ number: SegmentNumber) -> UInt64 {
        guard let synced = left?.synced, synced.segment == number else { return 0 }
        return UInt64(synced.position)
    }
}

/// Reads a log's directory after whatever happened. Memory is bounded by a window, the dedupe table and
/// one footer, whatever the log's size. Bad bytes never stop it; only an I/O error does.
struct LogRecovery {
    let storage: any Storage
    let quarantine: Quarantine
    let limits: LogLimits
    let random: RandomSource

    func run() throws(SystemError) -> RecoveredLog {
        var log = try start()
        let names = try storage.list()
        log.left = try LogPosition.read(storage)
        if log.left == nil, names.contains(LogPosition.name) {
            log.report.problems.append("position was damaged; made anew")
        }
        for name in names where name.hasSuffix(".tmp") { try storage.remove(name) }
        let numbers = names.compactMap(SegmentName.number).sorted()
        for (index, number) in numbers.enumerated() {
            try recover(number, isLast: index == numbers.count - 1, into: &log)
        }
        try merge(log.newestDedupe, into: &log)
        log.newestDedupe = []
        noteLostEnd(numbers, &log)
        try readCheckpoint(into: &log)
        for name in try quarantine.storage.list() {
            guard let place = Quarantine.place(name), place.0 <= UInt64(SegmentName.strayMin) else {
                continue
            }
            log.highest = max(log.highest, place.0)
        }
        let highest = max(log.highest, UInt64(log.left?.committed.segment ?? 0))
        log.nextNumber = max(log.meta.nextSegment, highest + 1)
        log.report.clean = log.meta.clean && log.toSeal.isEmpty
        // Where the newest segment ends, lost entries may have stood. A gap in the numbers keeps it from being
        // continued after an orderly end too, if nothing is stored until then.
        if !log.report.clean, !numbers.isEmpty { log.nextNumber = max(log.nextNumber, highest + 2) }
        if !log.report.clean || log.stored != log.reached { log.resumable = nil }
        return log
    }

    /// What was there when the last agent ended and is not any more.
    private func noteLostEnd(_ numbers: [SegmentNumber], _ log: inout RecoveredLog) {
        // If all that is there is above it, retention took it before the next sync was told.
        if let synced = log.left?.synced, synced.position > 0, !numbers.contains(synced.segment),
            numbers.first.map({ $0 < synced.segment }) ?? true
        {
            log.report.damaged.append(
                DamagedRange(
                    from: LogOffset(segment: synced.segment, position: 0),
                    count: UInt64(synced.position)))
            log.resumable = nil
        } else if log.toSeal.isEmpty {
            return
        }
        noteMissing(log.stored - log.reached, "at its end", &log)
    }

    private func noteMissing(_ count: LogOrdinal, _ place: String, _ log: inout RecoveredLog) {
        guard count.batches > 0 else { return }
        log.report.problems.append(
            "\(count.batches) batches of \(count.records) records are missing \(place)")
    }

    /// The log's name: from `meta`, else from a segment, else new.
    private func start() throws(SystemError) -> RecoveredLog {
        let dedupe = DedupeTable(perUIDMax: limits.dedupePerUIDMax, max: limits.dedupeMax)
        let bytes = try readWhole(storage, LogMeta.name, limit: 4096)
        if let bytes, let meta = LogMeta.decode(bytes) {
            return RecoveredLog(meta: meta, dedupe: dedupe)
        }
        var found: ID128?
        for name in try storage.list() {
            guard found == nil, let number = SegmentName.number(name) else { continue }
            found = try SegmentEnds.read(storage.open(name, .read), number: number).header?.logID
        }
        let meta = LogMeta(
            logID: found ?? ID128(high: random(), low: random() | 1), nextSegment: 1, clean: false,
            before: LogOrdinal())
        var log = RecoveredLog(meta: meta, dedupe: dedupe)
        log.report.created = bytes == nil && found == nil
        if bytes != nil {
            log.report.problems.append("meta was damaged; made anew")
        } else if found != nil {
            log.report.problems.append("meta was missing; made anew")
        }
        return log
    }

    private func recover(_ number: SegmentNumber, isLast: Bool, into log: inout RecoveredLog)
        throws(SystemError)
    {
        let name = SegmentName.make(number)
        let file = try storage.open(name, .readWrite)
        let ends = try SegmentEnds.read(file, number: number)
        if number <= SegmentName.strayMin || ends.header?.logID == log.meta.logID {
            log.highest = max(log.highest, UInt64(number))
        }
        if let header = ends.header, header.logID != log.meta.logID {
            log.report.problems.append("\(name) belongs to another log; left alone")
            return
        }
        if let before = ends.header?.before, let last = log.segments.last, !last.isSealed {
            noteMissing(before - last.summary.after, "before \(name)", &log)
        }
        let before = log.segments.last?.summary.after ?? ends.header?.before ?? log.meta.before
        if ends.header == nil, ends.footer != nil {
            // It stays damaged: told of once, when it is copied.
            let range = DamagedRange(
                from: LogOffset(segment: number, position: 0), count: ends.firstEntry)
            if try !quarantine.holds(range.from) { try noteDamage(range, file, into: &log) }
        }
        if let footer = ends.footer {
            log.segments.append(
                SegmentInfo(summary: footer.summary, fileBytes: ends.fileBytes, isSealed: true))
            log.newestDedupe = footer.dedupe
            log.resumable = isLast ? footer : nil
            return
        }
        try scan(file, ends, number: number, before: ends.header?.before ?? before, into: &log)
    }

    /// Reads a segment that was not sealed, cuts its torn tail, notes its damage.
    private func scan(
        _ file: any StorageFile, _ ends: SegmentEnds, number: SegmentNumber, before: LogOrdinal,
        into log: inout RecoveredLog
    ) throws(SystemError) {
        let size = ends.fileBytes
        var scanner = SegmentScanner(file, number: number)
        var nonce = ends.nonce
        if nonce == nil {
            nonce = try scanner.nonceOfFirstEntry(from: ends.firstEntry, limit: size)
        }
        guard let nonce else {
            try setAside(file, number: number, size: size, into: &log)
            return
        }
        var contents = SegmentContents(
            number: number, nonce: nonce, before: before, firstEntry: UInt32(ends.firstEntry),
            filter: TraceFilter(words: 0))
        // What is no entry counts as damage only if an entry follows; else it is the torn tail.
        var unsure: [DamagedRange] = []
        var position = ends.firstEntry
        if ends.header == nil {
            // The file stays, whatever follows.
            let header = LogOffset(segment: number, position: 0)
            try noteDamage(
                DamagedRange(from: header, count: ends.firstEntry), file, into: &log)
        }
        while let at = try nextEntry(&scanner, from: position, nonce, size, &unsure, number) {
            guard let envelope = try scanner.envelope(at: at, nonce: nonce, limit: size) else {
                break
            }
            if try scanner.payloadIsRight(envelope) {
                for range in unsure { try noteDamage(range, file, into: &log) }
                unsure = []
                contents.add(envelope)
                log.report.scannedBatches += 1
                if !envelope.producer.isZero {
                    log.dedupe.note(
                        DedupeKey(
                            uid: envelope.peer.uid ?? .max, producer: envelope.producer),
                        sequence: envelope.sequence, received: envelope.received)
                }
            } else {
                unsure.append(
                    DamagedRange(
                        from: envelope.offset, count: UInt64(envelope.entryBytes),
                        envelope: envelope))
            }
            position = at + UInt64(envelope.entryBytes)
        }
        try renew(file, contents.summary, into: &log)
        try cut(file, &scanner, size: size, contents: contents, into: &log)
    }

    /// Writes again what no sync was ever known to have brought to the device.
    private func renew(
        _ file: any StorageFile, _ summary: SegmentSummary, into log: inout RecoveredLog
    ) throws(SystemError) {
        let synced = try LogPosition.read(storage)?.synced ?? .none
        guard synced.segment <= summary.number else { return }
        let start = synced.segment == summary.number ? UInt64(synced.position) : 0
        guard start < UInt64(summary.entriesEnd) else { return }
        let renewal = Renewal(file: file, range: start..<UInt64(summary.entriesEnd))
        do {
            try renewal.perform()
        } catch {
            // Nothing counts as synced before it is done.
            guard error.isOutOfSpace else { throw error }
            log.report.problems.append("no space to write the end of a segment again")
            log.renewals.append(renewal)
        }
    }

    private func nextEntry(
        _ scanner: inout SegmentScanner, from position: UInt64, _ nonce: UInt64, _ size: UInt64,
        _ unsure: inout [DamagedRange], _ number: SegmentNumber
    ) throws(SystemError) -> UInt64? {
        guard let at = try scanner.resynchronise(from: position, nonce: nonce, limit: size) else {
            return nil
        }
        if at > position {
            unsure.append(
                DamagedRange(
                    from: LogOffset(segment: number, position: UInt32(position)),
                    count: at - position))
        }
        return at
    }

    /// Copies what follows the last right entry aside, then cuts it off.
    private func cut(
        _ file: any StorageFile, _ scanner: inout SegmentScanner, size: UInt64,
        contents: SegmentContents, into log: inout RecoveredLog
    ) throws(SystemError) {
        let number = contents.summary.number
        let end = UInt64(contents.summary.entriesEnd)
        let contentEnd = size > end ? try scanner.contentEnd(end..<size) : end
        let from = LogOffset(segment: number, position: UInt32(end))
        // After an unclean end it may be a footer that was not written to its end: no entry was lost.
        let mayBeFooter = !log.meta.clean && log.safeEnd(number) <= end
        let isFooter = mayBeFooter ? try scanner.isFooter(at: end) : false
        if log.wasSafe(from), !isFooter, max(contentEnd, log.safeEnd(number)) > end {
            let lostEnd = max(contentEnd, log.safeEnd(number))
            try noteDamage(DamagedRange(from: from, count: lostEnd - end), file, into: &log)
        } else if contentEnd > end {
            let range = DamagedRange(from: from, count: contentEnd - end)
            let kept = try quarantine.keep(file, from: range.from, count: range.count)
            log.report.tornTails.append(range)
            if !kept { log.report.problems.append("no space for a copy of \(range)") }
        }
        if size > end { try file.setSize(end) }
        log.segments.append(
            SegmentInfo(summary: contents.summary, fileBytes: end, isSealed: false))
        log.toSeal.append((file, contents))
        log.report.sealedSegments.append(number)
    }

    private func noteDamage(
        _ range: DamagedRange, _ file: any StorageFile, into log: inout RecoveredLog
    ) throws(SystemError) {
        let kept = try quarantine.keep(file, from: range.from, count: range.count)
        if !kept { log.report.problems.append("no space for a copy of \(range)") }
        log.report.damaged.append(range)
    }

    /// A file in which not one entry can be recognised: its content goes to the quarantine.
    private func setAside(
        _ file: any StorageFile, number: SegmentNumber, size: UInt64, into log: inout RecoveredLog
    ) throws(SystemError) {
        var scanner = SegmentScanner(file, number: number)
        let end = max(try scanner.contentEnd(0..<size), log.safeEnd(number))
        let from = LogOffset(segment: number, position: 0)
        if end > 0 || log.wasSafe(from) {
            let range = DamagedRange(from: from, count: end)
            guard try quarantine.keep(file, from: range.from, count: end) else {
                log.report.problems.append("no space for a copy of \(range); left in its place")
                return
            }
            // Not even a whole header: the agent died when it made the file.
            if end <= UInt64(SegmentHeader.encodedBytes) {
                log.report.tornTails.append(range)
            } else {
                log.report.damaged.append(range)
            }
        }
        try storage.remove(SegmentName.make(number))
    }

    private func merge(_ entries: [UInt8], into log: inout RecoveredLog) throws(SystemError) {
        var reader = ByteReader(entries.span.bytes)
        do {
            try log.dedupe.merge(&reader, count: entries.count / DedupeTable.entryBytes)
        } catch {
            log.report.problems.append("a dedupe table ends too early")
        }
    }

    private func readCheckpoint(into log: inout RecoveredLog) throws(SystemError) {
        let file = CheckpointFile(storage, name: "dedupe", kind: .dedupe)
        switch try file.read() {
        case .absent: break
        case .valid(let checkpoint) where checkpoint.logID == log.meta.logID:
            try merge(checkpoint.body, into: &log)
        case .valid:
            log.report.problems.append("the dedupe checkpoint is another log's; set aside")
            try file.setAside()
        case .damaged:
            log.report.problems.append("the dedupe checkpoint was damaged; set aside")
            try file.setAside()
        }
    }
}
