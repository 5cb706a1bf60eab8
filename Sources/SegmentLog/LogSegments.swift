package import ByteCoding
import SystemIO

extension LogWriter {
    /// Opens the next segment. Its number is made safe ahead of time, so that this waits for no sync.
    func openSegment(_ now: UInt64) throws(LogError) {
        let before = stored
        do throws(SystemError) {
            while true {
                guard nextNumber <= UInt64(SegmentName.numberMax) else {
                    // Only a foreign `meta` can bring a log so far: no reader would see the segment.
                    throw SystemError(
                        errno: SystemError.outOfRange, operation: .open,
                        path: "\(nextNumber)\(SegmentName.suffix)")
                }
                if nextNumber >= safeNumbers {
                    meta.nextSegment = nextNumber + UInt64(LogLimits.numbersAhead)
                    try writeMeta()
                    safeNumbers = meta.nextSegment
                }
                if try create(SegmentNumber(truncatingIfNeeded: nextNumber), before, now) { return }
            }
        } catch {
            if error.isOutOfSpace || error.isShortage {
                fullness = error
                throw .full(error)
            }
            // Only in a directory that was removed nothing can be made.
            let reason = error.isNotFound ? SystemError.disowned(storage.place) : error
            poison = reason
            throw .io(reason)
        }
    }

    /// Writes `meta` as it is now.
    func writeMeta() throws(SystemError) {
        metaVersion += 1
        try metaFile.write(meta.encode(), version: metaVersion)
        savedBefore = .further(savedBefore, meta.before)
    }

    /// False if a file of this number is there already: the number is passed over.
    private func create(_ number: SegmentNumber, _ before: LogOrdinal, _ now: UInt64)
        throws(SystemError) -> Bool
    {
        let name = SegmentName.make(number)
        let header = SegmentHeader(
            logID: logID, number: number, nonce: random(), created: now, before: before)
        let file: any StorageFile
        do {
            file = try storage.open(name, .createNew)
        } catch {
            guard error.alreadyExists else { throw error }
            nextNumber += 1
            return false
        }
        nextNumber += 1
        var writer = ByteWriter(capacity: SegmentHeader.encodedBytes)
        header.encode(into: &writer)
        do {
            try file.write(writer.span, at: 0)
        } catch {
            try storage.remove(name)
            throw error
        }
        namesVersion += 1
        let end = UInt64(SegmentHeader.encodedBytes)
        active = Active(
            file: file,
            contents: SegmentContents(
                number: number, nonce: header.nonce, before: before,
                firstEntry: UInt32(SegmentHeader.encodedBytes),
                filter: TraceFilter(words: limits.filterWords)),
            end: end, allocatedEnd: end)
        meta.before = before
        // Soon more numbers than are safe may be needed: the next sync makes them so.
        if safeNumbers < nextNumber + UInt64(LogLimits.numbersAhead) / 2 {
            meta.nextSegment = nextNumber + UInt64(LogLimits.numbersAhead)
        }
        metaIsStale = true
        return true
    }

    /// Ends the segment that is written to. Its footer is written by the next sync, after its entries are
    /// safe; until then it is a segment like one after a crash.
    func rotate() {
        guard let ended = active else { return }
        active = nil
        segments.append(
            SegmentInfo(
                summary: ended.contents.summary, fileBytes: max(ended.end, ended.allocatedEnd),
                isSealed: false))
        sealedTotals.add(ended.contents.summary)
        let footer = ended.contents.footer(dedupe.snapshot)
        pendingSeals.append(
            PendingSeal(
                number: ended.contents.summary.number, file: ended.file, position: ended.end,
                footer: { footer }, marks: ended.marks))
        if unsyncedSince == nil { unsyncedSince = time.boottime() }
        enforceCap(ahead: UInt64(limits.segmentBytes))
    }

    /// Deletes the oldest segments while all of them, and `ahead` bytes more, pass the cap.
    func enforceCap(ahead: UInt64) {
        var total = segmentBytes + ahead
        while total > limits.capBytes, let oldest = segments.first {
            guard delete(oldest) else { return }
            total -= min(total, oldest.fileBytes)
        }
    }

    /// Bytes of all segment files.
    var segmentBytes: UInt64 {
        segments.reduce(active.map { max($0.end, $0.allocatedEnd) } ?? 0) { $0 + $1.fileBytes }
    }

    private func delete(_ oldest: SegmentInfo) -> Bool {
        let number = oldest.summary.number
        guard isRememberedElsewhere(oldest.summary) else { return false }
        // The sync that it may have taken may have found it gone.
        guard segments.first?.summary.number == number else { return true }
        if segments.count == 1, active == nil {
            goBehindAll()
        }
        do {
            if segments.count == 1, active == nil {
                // With the last segment goes the only other place that knows how much was ever stored.
                meta.before = .further(oldest.summary.after, storedElsewhere)
                meta.nextSegment = max(meta.nextSegment, nextNumber)
                try writeMeta()
                safeNumbers = max(safeNumbers, meta.nextSegment)
            }
            guard try expire(oldest.summary) else {
                lose([number])
                return true
            }
        } catch {
            counters.removalsFailed += 1
            return false
        }
        segments.removeFirst()
        sealedTotals.remove(oldest.summary)
        pendingSeals.removeAll { $0.number == number }
        return true
    }

    /// Takes a segment's file away; false if somebody else did. `position` says so first: else it would look as
    /// if somebody else had.
    private func expire(_ summary: SegmentSummary) throws(SystemError) -> Bool {
        let before = retention
        retention = LogPosition.Retention(
            first: max(before.first, summary.number + 1),
            expired: before.expired
                + LogOrdinal(batches: summary.batches, records: summary.records))
        writePosition()
        var isDone = false
        defer {
            if !isDone {
                retention = before
                writePosition()
            }
        }
        isDone = try storage.remove(SegmentName.make(summary.number))
        return isDone
    }

    /// Without a segment the log goes on at the beginning of the next: a position in one that is gone would look
    /// like damage to the next start.
    func goBehindAll(isSynced: Bool = true) {
        committed = LogOffset(
            segment: SegmentNumber(truncatingIfNeeded: nextNumber), position: 0)
        if isSynced { synced = committed }
        writePosition()
    }

    /// Whether what only the oldest segment knows survives it: the sequences in its successor's footer or in the
    /// dedupe checkpoint, the counts in that footer or in `meta`. If not they are saved now, which waits for a
    /// sync: it comes to this only when the whole cap was written within one interval of syncs. A disk too full
    /// even for that is cleaned all the same.
    private func isRememberedElsewhere(_ oldest: SegmentSummary) -> Bool {
        let end = LogOffset(segment: oldest.number, position: oldest.entriesEnd)
        func isSafe() -> Bool {
            if segments.count > 1 { return segments[1].isSealed }
            return checkpointed >= end
                && (active == nil || savedBefore.batches >= oldest.after.batches)
        }
        if oldest.batches == 0 || isSafe() { return true }
        do throws(LogError) {
            try sync()
        } catch {
            if case .full(let reason) = error { return reason.isOutOfSpace }
            return false
        }
        if isSafe() { return true }
        let checkpoint = dedupeCheckpoint(upTo: synced)
        do {
            try dedupeFile.write(checkpoint.encode(.dedupe), version: dedupeVersion)
            checkpointed = max(checkpointed, synced)
            if segments.count == 1, active != nil { try writeMeta() }
        } catch {
            counters.postponed += 1
            return error.isOutOfSpace
        }
        return true
    }

    // MARK: Care

    /// Retention, rotation by age, the reserve, forgetting idle producers. Cheap; call it every few seconds.
    package func maintain() {
        guard !isClosed, poison == nil else { return }
        lookForRemovals()
        guard poison == nil else { return }
        let now = clock.now(wall: time.wall(), boottime: time.boottime())
        let age = limits.age.nanoseconds
        // A segment is deleted as a whole: none may span more than a part of the age.
        if let active, active.contents.summary.batches > 0,
            active.contents.summary.receivedFirst < now - min(now, age / 8)
        {
            rotate()
        }
        let oldestKept = now - min(now, age)
        while let oldest = segments.first, newestReceipt(upTo: oldest) < oldestKept {
            guard delete(oldest) else { break }
        }
        enforceCap(ahead: 0)
        // Who waited for this start comes soon; a clock that is wrong must not make it a stranger.
        if time.boottime() &- openedAt >= RetentionClock.settleNanoseconds {
            let idle = limits.dedupeAge.nanoseconds
            dedupe.forget(before: now - min(now, idle))
        }
        lookForRoom(now: time.wall())
        do {
            if fullness == nil { try reserve.hold() }
        } catch {
            counters.postponed += 1
        }
    }

    /// The age of the oldest segment. One that damage left without an entry stays as long as the next: what
    /// it lost must not look expired.
    private func newestReceipt(upTo oldest: SegmentInfo) -> UInt64 {
        if oldest.summary.batches > 0 { return oldest.summary.receivedLast }
        return segments.first { $0.summary.batches > 0 }?.summary.receivedLast ?? .max
    }

    /// Finds out whether a full disk has room again, though nobody sends anything: what is shown as full
    /// must be.
    private func lookForRoom(now: UInt64) {
        guard fullness != nil else { return }
        guard let active else {
            do {
                try openSegment(now)
                fullness = nil
            } catch {
                // It has noted why.
                counters.postponed += 1
            }
            return
        }
        let end = active.end + UInt64(limits.allocationBytes)
        do {
            try active.file.allocate(active.end..<end)
            active.allocatedEnd = end
            active.triedEnd = end
            fullness = nil
        } catch {
            // No room yet, or a file system that cannot reserve: the next batch will tell.
            counters.allocationsFailed += 1
            giveBack(active)
        }
    }

    /// A reservation that failed may have taken the last bytes of the file system: they are not ours alone.
    private func giveBack(_ active: Active) {
        do {
            try active.file.setSize(active.end)
            active.allocatedEnd = active.end
            active.triedEnd = active.end
        } catch {
            counters.allocationsFailed += 1
        }
    }

    /// Copies a damaged range that a reader met to the quarantine and counts it.
    package func keepDamaged(_ range: DamagedRange) throws(LogError) {
        counters.note(range)
        var isCopied = false
        var isKnown = false
        defer { if !isKnown { tell(.damaged(range, isCopied: isCopied)) } }
        do {
            isKnown = try quarantine.holds(range.from)
            if isKnown { return }
            let file = try storage.open(SegmentName.make(range.from.segment), .read)
            isCopied = try quarantine.keep(file, from: range.from, count: range.count)
        } catch {
            // Retention may have been faster; then there is nothing left to keep.
            if !error.isNotFound { throw .io(error) }
        }
    }

    /// Ends in order: everything durable, the segment sealed, `clean` set. Nothing can be appended after.
    /// Throws if that could not be done; the next start then recovers.
    package func close() throws(LogError) {
        guard !isClosed else { return }
        defer { isClosed = true }
        if poison == nil {
            do { try ownership.check() } catch { poison = error }
        }
        if let poison { throw .poisoned(poison) }
        discardEmpty()
        rotate()
        if let job = beginSync(force: true) { finishSync(job.perform()) }
        if let poison { throw .poisoned(poison) }
        // Begun in the place of one that was removed.
        discardEmpty()
        guard pendingSeals.isEmpty else {
            throw .full(fullness ?? SystemError(errno: SystemError.noSpace, operation: .write))
        }
        meta.clean = true
        meta.nextSegment = nextNumber
        meta.before = stored
        do {
            try writeMeta()
        } catch {
            throw LogError(error)
        }
    }

    private func discardEmpty() {
        guard let empty = active, empty.contents.summary.batches == 0 else { return }
        active = nil
        // Retention may have taken the segment of the position.
        if segments.isEmpty { goBehindAll() }
        do {
            try storage.remove(SegmentName.make(empty.contents.summary.number))
        } catch {
            counters.removalsFailed += 1
        }
    }

    /// The highest stored sequence of a producer, 0 if none.
    package func highestSequence(uid: UInt32?, producer: ID128) -> UInt64 {
        dedupe.highest(DedupeKey(uid: uid ?? .max, producer: producer))
    }

    /// All that was ever stored.
    var stored: LogOrdinal {
        .further(
            active?.contents.summary.after ?? segments.last?.summary.after ?? meta.before,
            storedElsewhere)
    }

    /// Where the log stands.
    package var statistics: LogStatistics {
        var now = LogStatistics()
        now.logID = logID
        now.committed = committed
        now.synced = synced
        var kept = sealedTotals
        if let summary = active?.contents.summary { kept.add(summary) }
        now.kept = kept.count
        now.keptSpans = kept.spans
        now.keptLogs = kept.logs
        now.stored = stored
        now.expired = retention.expired
        now.removed = counters.removed
        now.removedSegments = counters.removedSegments
        now.lost = now.stored - now.expired - now.kept
        now.duplicates = counters.duplicates
        now.refusedFull = counters.refusedFull
        now.tornTails = UInt64(recovery.tornTails.count)
        now.damagedRanges = counters.damagedRanges
        now.damagedBytes = counters.damagedBytes
        now.damage = counters.damage
        now.segments = segments.count + (active == nil ? 0 : 1)
        now.bytes = segmentBytes
        now.oldestReceived =
            segments.first?.summary.receivedFirst ?? active?.contents.summary.receivedFirst ?? 0
        (now.producers, now.producersForgotten) = dedupe.count
        now.syncs = counters.syncs
        now.groups = counters.groups
        now.reserveHeld = reserve.isHeld
        now.failure = poison.map(\.description) ?? fullness.map(\.description)
        now.remedy = (poison ?? fullness)?.remedy
        now.isFull = poison == nil && fullness != nil
        return now
    }
}
