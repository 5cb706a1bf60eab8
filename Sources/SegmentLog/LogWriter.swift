package import ByteCoding
package import SystemIO

/// The log's only writer: one owner, one thread at a time. Appending waits for no sync; syncs are jobs that another
/// thread may do (`beginSync`, `finishSync`).
///
/// States: *writing* → *full* (nothing stored, each append tries again) → *writing*; any →
/// *poisoned* (an I/O error; for good); any → *closed*.
package final class LogWriter {
    /// What opening found.
    package let recovery: RecoveryReport
    /// The log's name.
    package let logID: ID128
    /// Everything below is complete in the file.
    package internal(set) var committed: LogOffset
    /// Everything below survives loss of power.
    package internal(set) var synced: LogOffset
    /// The figures in force.
    package let limits: LogLimits

    /// The segment that is written to. A class, so that its filter is changed in place: a copy that is held
    /// during the change would cost 128 KiB for each batch.
    final class Active {
        let file: any StorageFile
        var contents: SegmentContents
        var end: UInt64
        /// Up to where the file was made ready.
        var allocatedEnd: UInt64
        /// Up to where that was tried.
        var triedEnd: UInt64
        /// What dedupe knew before this segment of those who are in it; bounded as it is.
        var marks: [DedupeKey: DedupeMark] = [:]

        init(
            file: any StorageFile, contents: SegmentContents, end: UInt64, allocatedEnd: UInt64
        ) {
            self.file = file
            self.contents = contents
            self.end = end
            self.allocatedEnd = allocatedEnd
            triedEnd = allocatedEnd
        }
    }

    /// The state directory, as long as it is ours: for all who replace files in it.
    package let state: any Storage
    let ownership: Ownership
    let storage: any Storage
    let quarantine: Quarantine
    let time: any TimeSource
    let random: RandomSource
    let dedupe: SharedDedupe
    var meta: LogMeta
    /// All that was stored, as far as no segment says it: the log lost its end.
    var storedElsewhere: LogOrdinal
    /// What retention deleted.
    var retention: LogPosition.Retention
    /// Reads what lay in sealed segments at this start: for a thread that has time.
    package let scrub: SealedScrub
    /// To be told.
    package internal(set) var news: [LogNews] = []
    let metaFile: VersionedFile
    let dedupeFile: VersionedFile
    let entrySync = EntrySync()
    /// Done by the next sync; until it is, nothing new counts as synced.
    var renewals: [Renewal]
    /// Of the newest copy of `meta` that was handed out to be written.
    var metaVersion: UInt64 = 0
    /// What the `before` of `meta` on the device says at least.
    var savedBefore = LogOrdinal()
    /// Of the newest copy of the dedupe table that was handed out to be written.
    var dedupeVersion: UInt64 = 0
    var nextNumber: UInt64
    /// No number below it will be used again after loss of power: what `meta` on the device says.
    var safeNumbers: UInt64 = 0
    var active: Active?
    var segments: [SegmentInfo]
    var sealedTotals = KeptTotals()
    var pendingSeals: [PendingSeal] = []
    var clock: RetentionClock
    var reserve: Reserve
    var poison: SystemError?
    var fullness: SystemError?
    var isClosed = false
    var isSyncing = false
    var unsyncedBytes = 0
    var unsyncedSince: UInt64?
    /// The boottime before which no sync is due: the last could not be tried.
    var syncNotBefore: UInt64 = 0
    var namesVersion: UInt64 = 1
    var namesSynced: UInt64 = 0
    var metaIsStale = false
    var checkpointed: LogOffset
    var checkpointAt: UInt64
    /// The boottime of this opening.
    let openedAt: UInt64
    var counters = WriterCounters()

    private var positionFile: any StorageFile
    private var positionBytes = ByteWriter(capacity: LogPosition.encodedBytes)
    private var staging = ByteWriter(capacity: 64 << 10)
    private var staged: [Envelope] = []
    private var stagedIndices: [Int] = []
    private var inGroup: [DedupeKey: UInt64] = [:]

    static let stagingBytesMax = 1 << 20

    /// Opens the log in a state directory, after whatever happened to it. Throws `locked` if another agent
    /// runs, `io` if the device fails; never for what the bytes are. Durable on return: what was recovered.
    package init(
        state given: any Storage, limits givenLimits: LogLimits? = nil,
        time: any TimeSource = SystemTime(), random: @escaping RandomSource = systemRandom
    ) throws(LogError) {
        ownership = Ownership(try LogWriter.lock(given), of: given.place)
        state = OwnedStorage(given, ownership)
        do throws(SystemError) {
            let directory = try given.directory("log", create: true)
            ownership.keep(directory)
            storage = OwnedStorage(directory, ownership)
            if let givenLimits {
                limits = givenLimits
            } else {
                limits = LogLimits.standard(for: try state.space())
            }
            quarantine = Quarantine(
                storage: try state.directory("quarantine", create: true),
                bytesMax: limits.quarantineBytesMax)
            self.time = time
            self.random = random
            reserve = try Reserve(storage, bytes: limits.reserveBytes)
            let log = try LogRecovery(
                storage: storage, quarantine: quarantine, limits: limits, random: random
            ).run()
            recovery = log.report
            logID = log.meta.logID
            meta = log.meta
            storedElsewhere = log.stored
            retention = log.retention
            scrub = SealedScrub(
                storage: storage, quarantine: quarantine,
                segments: log.segments.filter(\.isSealed).map(\.summary).map {
                    SealedScrub.Sealed(
                        number: $0.number, nonce: $0.nonce, entriesEnd: UInt64($0.entriesEnd))
                })
            metaFile = VersionedFile(storage, LogMeta.name)
            dedupeFile = VersionedFile(storage, "dedupe")
            nextNumber = log.nextNumber
            segments = log.segments
            dedupe = SharedDedupe(log.dedupe)
            renewals = log.renewals
            let wall = time.wall()
            let boottime = time.boottime()
            clock = RetentionClock(
                wall: wall, boottime: boottime,
                newest: log.segments.map(\.summary.receivedLast).max() ?? 0)
            checkpointAt = boottime
            openedAt = boottime
            committed = LogWriter.end(of: log)
            synced = .none
            checkpointed = .none
            positionFile = try LogWriter.openOrCreate(storage, LogPosition.name)
            try start(log)
        } catch {
            throw .io(error)
        }
    }

    private static func openOrCreate(_ storage: any Storage, _ name: String) throws(SystemError)
        -> any StorageFile
    {
        do {
            return try storage.open(name, .readWrite)
        } catch {
            guard error.isNotFound else { throw error }
            return try storage.open(name, .createNew)
        }
    }

    private static func lock(_ state: any Storage) throws(LogError) -> any StorageFile {
        let file: any StorageFile
        let isOurs: Bool
        do {
            file = try openOrCreate(state, "lock")
            isOurs = try file.lock()
        } catch {
            throw .io(error)
        }
        guard isOurs else { throw .locked(state.place) }
        let pid = Array("\(ThisProcess.pid)\n".utf8)
        do {
            try file.setSize(0)
            try file.write(pid.span.bytes, at: 0)
        } catch {
            // Information only; a full disk must not stop the start.
            guard error.isOutOfSpace else { throw .io(error) }
        }
        return file
    }

    /// Behind the newest entry. Without any, or if the log lost its end: where the next segment will
    /// begin, so that the committed position never goes back.
    private static func end(of log: RecoveredLog) -> LogOffset {
        if let last = log.segments.last?.summary {
            let end = LogOffset(segment: last.number, position: last.entriesEnd)
            if end >= log.left?.committed ?? .none { return end }
        }
        return LogOffset(
            segment: SegmentNumber(truncatingIfNeeded: log.nextNumber), position: 0)
    }

    /// Makes what was recovered durable, and the running agent visible as such.
    private func start(_ log: RecoveredLog) throws(SystemError) {
        for info in segments { sealedTotals.add(info.summary) }
        let dedupe = log.dedupe
        for (file, contents) in log.toSeal {
            pendingSeals.append(
                PendingSeal(
                    number: contents.summary.number, file: file,
                    position: UInt64(contents.summary.entriesEnd),
                    footer: { contents.footer(dedupe) }))
        }
        // From here on the end counts as unclean until `close` says otherwise.
        meta.clean = false
        meta.nextSegment = nextNumber + UInt64(LogLimits.numbersAhead)
        try tolerant { () throws(SystemError) in
            try self.writeMeta()
            self.safeNumbers = self.meta.nextSegment
        }
        for range in recovery.damaged { counters.note(range) }
        // Without `meta` saying so on the device, a next start would take this life's offsets for unused.
        if let footer = log.resumable, safeNumbers > 0, let last = segments.last {
            try resume(footer, last)
        }
        // What was safe before is still.
        synced = renewals.isEmpty ? .none : min(log.left?.synced ?? .none, committed)
        if let job = beginSync(force: true) { finishSync(job.perform()) }
        writePosition()
        maintain()
    }

    /// Continues the newest segment after an orderly end, so that frequent starts do not make a file each.
    private func resume(_ footer: SegmentFooter, _ info: SegmentInfo) throws(SystemError) {
        let end = UInt64(footer.summary.entriesEnd)
        guard end < UInt64(limits.segmentBytes / 2), nextNumber == UInt64(info.summary.number) + 1
        else { return }
        let file = try storage.open(SegmentName.make(info.summary.number), .readWrite)
        try file.setSize(end)
        segments.removeLast()
        sealedTotals.remove(info.summary)
        active = Active(
            file: file, contents: SegmentContents(footer), end: end, allocatedEnd: end)
    }

    /// Runs what a full disk must not prevent: once more after letting the reserve go, then leaves it.
    func tolerant(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        do throws(SystemError) {
            try body()
        } catch {
            guard error.isOutOfSpace else { throw error }
            reserve.release()
            do throws(SystemError) {
                try body()
            } catch {
                guard error.isOutOfSpace else { throw error }
                counters.postponed += 1
            }
        }
    }

    // MARK: Append

    /// Appends batches in order, with one write for the group (a large group takes several). What is
    /// `stored` survives the death of the agent. After one failure the rest of the group fails too.
    /// Blocks for the write, never for a sync.
    package func append(_ requests: [AppendRequest]) -> [Result<AppendOutcome, LogError>] {
        var results = [Result<AppendOutcome, LogError>](
            repeating: .failure(.closed), count: requests.count)
        if !isClosed, poison == nil {
            do { try ownership.check() } catch { poison = error }
        }
        if let refusal = isClosed ? LogError.closed : poison.map(LogError.poisoned) {
            fail(requests, refusal, &results)
            return results
        }
        inGroup.removeAll(keepingCapacity: true)
        let received = time.wall()
        for index in requests.indices {
            do {
                try stage(requests, index, received, &results)
            } catch {
                fail(requests, error, &results)
                break
            }
        }
        do {
            try flush(&results)
        } catch {
            fail(requests, error, &results)
        }
        writePosition()
        return results
    }

    /// Whether these go into the segment as it is, without another file or more space for it.
    func hasRoom(for requests: [AppendRequest]) -> Bool {
        guard let active, fullness == nil else { return false }
        let bytes = requests.reduce(0) {
            $0 + Envelope.aligned(Envelope.encodedBytes + $1.payload.count)
        }
        return bytes <= LogWriter.stagingBytesMax
            && active.end + UInt64(bytes) <= min(active.allocatedEnd, UInt64(limits.segmentBytes))
    }

    /// Puts one request into the staging buffer, or decides that it does not belong there.
    private func stage(
        _ requests: [AppendRequest], _ index: Int, _ received: UInt64,
        _ results: inout [Result<AppendOutcome, LogError>]
    ) throws(LogError) {
        let request = requests[index]
        if let stream = request.stream, stream.isBroken {
            results[index] = .failure(.interrupted)
            return
        }
        guard request.payload.count <= Envelope.payloadBytesMax else {
            // Refused for good: its producer drops it, and goes on.
            results[index] = .failure(.tooLarge(bytes: request.payload.count))
            return
        }
        let key = DedupeKey(uid: request.peer.uid ?? .max, producer: request.producer)
        if !request.producer.isZero {
            let highest = max(inGroup[key] ?? 0, dedupe.highest(key))
            if request.sequence <= highest {
                results[index] = .success(.duplicate)
                counters.duplicates =
                    counters.duplicates
                    + LogOrdinal(batches: 1, records: UInt64(request.records))
                return
            }
            if requests.count > 1 { inGroup[key] = request.sequence }
        }
        let bytes = Envelope.aligned(Envelope.encodedBytes + request.payload.count)
        if let active, active.end + UInt64(staging.count + bytes) > UInt64(limits.segmentBytes),
            active.contents.summary.batches > 0 || !staged.isEmpty
        {
            try flush(&results)
            rotate()
        }
        if active == nil { try openSegment(received) }
        guard let active else { throw .closed }
        let position = active.end + UInt64(staging.count)
        let envelope = Envelope(
            offset: LogOffset(
                segment: active.contents.summary.number, position: UInt32(position)),
            nonce: active.contents.summary.nonce, payloadBytes: request.payload.count,
            payloadCRC: request.payloadCRC, received: received, peer: request.peer,
            receiver: request.receiver.rawValue, flags: request.rewritten ? 1 : 0,
            producer: request.producer, sequence: request.sequence, records: request.records,
            spans: request.spans, logs: request.logs, earliest: request.earliest,
            latest: request.latest)
        envelope.encode(into: &staging)
        staging.write(bytes: request.payload)
        staging.write(zeros: bytes - Envelope.encodedBytes - request.payload.count)
        active.contents.filter.insert(request.traceIDs)
        staged.append(envelope)
        stagedIndices.append(index)
        if staging.count >= LogWriter.stagingBytesMax { try flush(&results) }
    }

    /// Writes the staging buffer. On an error nothing of it counts, and the file is cut back so that no
    /// complete entry of it can be found there.
    private func flush(_ results: inout [Result<AppendOutcome, LogError>]) throws(LogError) {
        guard let active, !staged.isEmpty else { return }
        defer {
            staged.removeAll(keepingCapacity: true)
            stagedIndices.removeAll(keepingCapacity: true)
            if staging.capacity > 4 * LogWriter.stagingBytesMax {
                staging = ByteWriter(capacity: 64 << 10)
            }
            staging.removeAll()
        }
        allocateAhead(staging.count)
        do {
            try active.file.write(staging, at: active.end)
        } catch {
            throw writeFailed(error, active)
        }
        fullness = nil
        let count = staging.count
        active.end += UInt64(count)
        for envelope in staged { active.contents.add(envelope) }
        dedupe.note(staged, marks: &active.marks)
        for (index, envelope) in zip(stagedIndices, staged) {
            results[index] = .success(.stored(envelope.offset))
        }
        committed = staged[staged.count - 1].next
        unsyncedBytes += count
        if unsyncedSince == nil { unsyncedSince = time.boottime() }
        counters.groups += 1
    }

    private func writeFailed(_ error: SystemError, _ active: Active) -> LogError {
        do {
            try active.file.setSize(active.end)
            // What was refused must not come back, at an offset that the next entry gets, after loss of
            // power: the cut is made durable before anyone hears of the refusal.
            try active.file.sync()
            active.allocatedEnd = active.end
            active.triedEnd = active.end
        } catch {
            poison = error
            return .io(error)
        }
        if error.isOutOfSpace {
            fullness = error
            return .full(error)
        }
        poison = error
        return .io(error)
    }

    /// Reserves space ahead of the writes. That it fails says nothing: the write will tell.
    private func allocateAhead(_ count: Int) {
        guard let active, active.end + UInt64(count) > active.triedEnd else { return }
        let start = max(active.end, active.triedEnd)
        let end = active.end + UInt64(count) + UInt64(limits.allocationBytes)
        do {
            try active.file.allocate(start..<end)
            active.allocatedEnd = end
        } catch {
            counters.allocationsFailed += 1
        }
        active.triedEnd = end
    }

    /// Gives every request that is not stored the error. A duplicate of something in this very group that
    /// was not stored is none.
    private func fail(
        _ requests: [AppendRequest], _ error: LogError,
        _ results: inout [Result<AppendOutcome, LogError>]
    ) {
        for (index, request) in requests.enumerated() {
            switch results[index] {
            case .success(.stored), .failure(.tooLarge), .failure(.interrupted): continue
            case .success(.duplicate):
                let key = DedupeKey(uid: request.peer.uid ?? .max, producer: request.producer)
                if dedupe.highest(key) >= request.sequence { continue }
            case .failure: break
            }
            results[index] = .failure(error)
            request.stream?.breakOff()
            if case .full = error {
                counters.refusedFull =
                    counters.refusedFull
                    + LogOrdinal(batches: 1, records: UInt64(request.records))
            }
        }
    }

    /// Publishes how far the log is. Its failure delays readers of other processes, nothing else.
    func writePosition() {
        positionBytes.removeAll()
        LogPosition(
            committed: committed, synced: synced, heartbeat: time.boottime(), stored: stored,
            retention: retention
        )
        .encode(into: &positionBytes)
        do {
            try positionFile.write(positionBytes, at: 0)
        } catch {
            counters.positionsFailed += 1
        }
    }

    /// Makes the position file again.
    func renewPosition() {
        do {
            positionFile = try LogWriter.openOrCreate(storage, LogPosition.name)
        } catch {
            counters.positionsFailed += 1
        }
        writePosition()
    }
}
