import ByteCoding
import SystemIO

/// A segment whose entries are complete and whose footer is still to be written.
struct PendingSeal: Sendable {
    let number: SegmentNumber
    let file: any StorageFile
    let position: UInt64
    /// Encodes it when its turn comes: after the loss of all footers there are as many as segments, and
    /// each holds the whole dedupe table.
    let footer: @Sendable () -> [UInt8]
    /// See `LogWriter.Active`.
    var marks: [DedupeKey: DedupeMark] = [:]
}

/// What must be done so that everything up to `target` survives loss of power. May be performed on any
/// thread; the result goes back to the writer.
package struct SyncJob: Sendable {
    let storage: any Storage
    let target: LogOffset
    let ownership: Ownership
    let active: (number: SegmentNumber, file: any StorageFile)?
    let entrySync: EntrySync
    let renewals: [Renewal]
    let seals: [PendingSeal]
    let names: UInt64?
    let meta: LogMeta?
    let metaFile: VersionedFile
    let metaVersion: UInt64
    let checkpoint: Checkpoint?
    let dedupeFile: VersionedFile
    let dedupeVersion: UInt64
    let bytes: Int

    /// Does it. Blocks as long as the device takes.
    package func perform() -> SyncOutcome {
        var outcome = SyncOutcome(target: target, names: names, bytes: bytes)
        do {
            try ownership.check()
            try renew(&outcome)
        } catch {
            guard error.isOutOfSpace else {
                outcome.failure = error
                return outcome
            }
            outcome.postponed += 1
            outcome.shortage = error
            return outcome
        }
        do {
            try entrySync.run { () throws(SystemError) in
                if names != nil { try storage.syncNames() }
                for seal in seals { try seal.file.sync() }
                try active?.file.sync()
                outcome.gone = try files.withoutName()
            }
            outcome.isSynced = true
        } catch {
            // What the device then has on it is unknown, and a second sync would not tell.
            guard error.isShortage else {
                outcome.failure = error
                return outcome
            }
            // Without a descriptor for the directory no sync was tried: the next one does it.
            outcome.postponed += 1
            outcome.shortage = error
            return outcome
        }
        // Only now: a footer says that the entries before it are there.
        for seal in seals where !outcome.gone.contains(seal.number) {
            var end: UInt64 = 0
            attempt(&outcome) { () throws(SystemError) in
                let footer = seal.footer()
                try seal.file.write(footer.span.bytes, at: seal.position)
                try seal.file.setSize(seal.position + UInt64(footer.count))
                try seal.file.sync()
                end = seal.position + UInt64(footer.count)
            } onSuccess: {
                $0.sealed.append((seal.number, end))
            }
        }
        if let meta {
            attempt(&outcome) { () throws(SystemError) in
                try metaFile.write(meta.encode(), version: metaVersion)
            } onSuccess: {
                $0.meta = meta
            }
        }
        if let checkpoint {
            attempt(&outcome) { () throws(SystemError) in
                try dedupeFile.write(checkpoint.encode(.dedupe), version: dedupeVersion)
            } onSuccess: {
                $0.checkpointed = checkpoint.offset
            }
        }
        return outcome
    }

    /// The files that entries are in.
    private var files: [(number: SegmentNumber, file: any StorageFile)] {
        seals.map { ($0.number, $0.file) } + (active.map { [$0] } ?? [])
    }

    private func renew(_ outcome: inout SyncOutcome) throws(SystemError) {
        for renewal in renewals {
            do {
                try renewal.perform()
            } catch {
                guard error.isOutOfSpace else { throw error }
                outcome.wantsReserve = true
                try storage.remove(Reserve.name)
                try renewal.perform()
            }
        }
    }

    /// Cleaning up must be possible on a full disk: a failure for want of space is tried again without the
    /// reserve. What fails still is done with the next sync.
    private func attempt(
        _ outcome: inout SyncOutcome, _ body: () throws(SystemError) -> Void,
        onSuccess: (inout SyncOutcome) -> Void
    ) {
        do {
            do {
                try body()
            } catch {
                guard error.isOutOfSpace else { throw error }
                outcome.wantsReserve = true
                try storage.remove(Reserve.name)
                try body()
            }
            onSuccess(&outcome)
        } catch {
            outcome.postponed += 1
        }
    }
}

/// What came of a sync job.
package struct SyncOutcome: Sendable {
    let target: LogOffset
    let names: UInt64?
    let bytes: Int
    var isSynced = false
    /// Segments that have no name any more: what was synced there is lost all the same.
    var gone: Set<SegmentNumber> = []
    var failure: SystemError?
    /// What was short, so that nothing was tried.
    var shortage: SystemError?
    /// Numbers, and the bytes of the sealed files.
    var sealed: [(number: SegmentNumber, bytes: UInt64)] = []
    var meta: LogMeta?
    var checkpointed: LogOffset?
    var wantsReserve = false
    var postponed: UInt64 = 0

    init(target: LogOffset, names: UInt64?, bytes: Int) {
        self.target = target
        self.names = names
        self.bytes = bytes
    }
}

extension LogWriter {
    /// What a sync would have to do now; nil if nothing, or if a job is not finished yet.
    package func beginSync(force: Bool = false) -> SyncJob? {
        guard !isSyncing, !isClosed, poison == nil else { return nil }
        let needsCheckpoint =
            checkpointed < committed
            && (force || time.boottime() &- checkpointAt >= limits.checkpointInterval.nanoseconds)
        guard
            force || synced < committed || !pendingSeals.isEmpty || namesSynced < namesVersion
                || metaIsStale || needsCheckpoint
        else { return nil }
        isSyncing = true
        var checkpoint: Checkpoint?
        if needsCheckpoint {
            checkpoint = dedupeCheckpoint(upTo: committed)
        }
        if metaIsStale { metaVersion += 1 }
        let job = SyncJob(
            storage: storage, target: committed, ownership: ownership,
            active: active.map { ($0.contents.summary.number, $0.file) }, entrySync: entrySync,
            renewals: renewals, seals: pendingSeals,
            names: namesSynced < namesVersion ? namesVersion : nil,
            meta: metaIsStale ? meta : nil, metaFile: metaFile, metaVersion: metaVersion,
            checkpoint: checkpoint, dedupeFile: dedupeFile, dedupeVersion: dedupeVersion,
            bytes: unsyncedBytes)
        unsyncedSince = nil
        return job
    }

    /// The dedupe table as it is now, to be saved; everything below `offset` is in it.
    func dedupeCheckpoint(upTo offset: LogOffset) -> Checkpoint {
        dedupeVersion += 1
        var writer = ByteWriter()
        dedupe.snapshot.encode(into: &writer)
        return Checkpoint(logID: logID, offset: offset, body: writer.bytes)
    }

    /// Takes back what came of the job that `beginSync` gave. A failed sync poisons the writer.
    package func finishSync(_ outcome: SyncOutcome) {
        isSyncing = false
        counters.postponed += outcome.postponed
        if outcome.wantsReserve { reserve.release() }
        if let failure = outcome.failure {
            poison = failure
            return
        }
        guard outcome.isSynced else {
            let now = time.boottime()
            if unsyncedSince == nil { unsyncedSince = now }
            // What is short now is short in a microsecond too.
            syncNotBefore = now &+ limits.syncRetryDelay.nanoseconds
            return
        }
        syncNotBefore = 0
        renewals = []
        counters.syncs += 1
        synced = max(synced, outcome.target)
        unsyncedBytes -= min(unsyncedBytes, outcome.bytes)
        if unsyncedBytes > 0, unsyncedSince == nil { unsyncedSince = time.boottime() }
        if let names = outcome.names { namesSynced = max(namesSynced, names) }
        if let written = outcome.meta {
            safeNumbers = max(safeNumbers, written.nextSegment)
            savedBefore = .further(savedBefore, written.before)
            if written == meta { metaIsStale = false }
        }
        if let offset = outcome.checkpointed {
            checkpointed = max(checkpointed, offset)
            checkpointAt = time.boottime()
        }
        for (number, bytes) in outcome.sealed { markSealed(number, bytes) }
        lose(outcome.gone)
        writePosition()
    }

    private func markSealed(_ number: SegmentNumber, _ bytes: UInt64) {
        guard let index = pendingSeals.firstIndex(where: { $0.number == number }) else { return }
        pendingSeals.remove(at: index)
        guard let place = segments.firstIndex(where: { $0.summary.number == number }) else {
            return
        }
        segments[place].isSealed = true
        segments[place].fileBytes = bytes
    }

    /// Makes everything committed survive loss of power. Blocks. Throws `poisoned` if it cannot, `full` if it
    /// cannot now for want of descriptors or space.
    package func sync() throws(LogError) {
        var shortage: SystemError?
        let removed = counters.removedSegments
        if isSyncing {
            // The job on the other thread may have begun before the newest entries: it is no answer.
            shortage = syncBeside()
        } else if let job = beginSync() {
            let outcome = job.perform()
            shortage = outcome.shortage
            finishSync(outcome)
        }
        if let poison { throw .poisoned(poison) }
        if let shortage { throw .full(shortage) }
        // What was to be safe is gone; what comes now is not.
        if removed != counters.removedSegments {
            throw .io(SystemError(errno: SystemError.notFound, operation: .sync, path: place))
        }
    }

    private var place: String { storage.place }

    /// Syncs the entries while a job is under way; footers, `meta` and checkpoints are left to that job.
    private func syncBeside() -> SystemError? {
        guard !isClosed, poison == nil, synced < committed else { return nil }
        guard renewals.isEmpty else {
            return SystemError(errno: SystemError.noSpace, operation: .write)
        }
        var gone: Set<SegmentNumber> = []
        do {
            try ownership.check()
            try entrySync.run { () throws(SystemError) in
                if namesSynced < namesVersion { try storage.syncNames() }
                var files: [(number: SegmentNumber, file: any StorageFile)] = pendingSeals.map {
                    ($0.number, $0.file)
                }
                if let active { files.append((active.contents.summary.number, active.file)) }
                for (_, file) in files { try file.sync() }
                gone = try files.withoutName()
            }
        } catch {
            if error.isShortage { return error }
            poison = error
            return nil
        }
        namesSynced = namesVersion
        synced = committed
        lose(gone)
        writePosition()
        return nil
    }

    /// Whether a thread has what another may have to wait for now: a file that both write, or the syncing of
    /// entries. For those who simulate threads.
    package var isWaitedFor: Bool { metaFile.isBusy || dedupeFile.isBusy || entrySync.isBusy }

    /// Nanoseconds of `boottime` at which a sync is due; nil if nothing waits for one.
    package var syncDue: UInt64? {
        guard !isSyncing, poison == nil, let since = unsyncedSince else { return nil }
        let due =
            unsyncedBytes >= limits.syncBytes ? since : since &+ limits.syncDelay.nanoseconds
        return max(due, syncNotBefore)
    }
}

extension [(number: SegmentNumber, file: any StorageFile)] {
    /// Those whose file was removed, or replaced.
    func withoutName() throws(SystemError) -> Set<SegmentNumber> {
        var gone: Set<SegmentNumber> = []
        for (number, file) in self where try !file.isNamed() { gone.insert(number) }
        return gone
    }
}

extension StorageFile {
    /// Writes what a writer holds.
    func write(_ writer: borrowing ByteWriter, at position: UInt64) throws(SystemError) {
        try write(writer.span, at: position)
    }
}
