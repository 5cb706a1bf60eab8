import SystemIO

/// What somebody has to be told of the log, once.
package enum LogNews: Sendable, Equatable {
    /// A segment's file was removed, and not by the log: this many batches and records were in it.
    case removed(SegmentNumber, LogOrdinal)
    /// A reader met bytes that are no entry; whether there is a copy of them in the quarantine.
    case damaged(DamagedRange, isCopied: Bool)
}

/// Why nothing is written.
package struct LogFailure: Sendable, Equatable {
    /// Why.
    package let sentence: String
    /// What an operator does about it, where that is known.
    package let remedy: String?
    /// It is want of space, and passes by itself.
    package let isFull: Bool
}

/// Files that somebody else took away while they were in use.
extension LogWriter {
    /// At most this many are kept until somebody asks; the counters have them all.
    static let newsMax = 64

    func tell(_ what: LogNews) {
        if news.count < LogWriter.newsMax { news.append(what) }
    }

    /// Looks whether all files are there that should be, and the directory is ours.
    func lookForRemovals() {
        let names: Set<String>
        do {
            try ownership.check()
            names = Set(try storage.list())
        } catch {
            if error.isDisowned { poison = error }
            return
        }
        var gone = segments.map(\.summary.number)
        if let active { gone.append(active.contents.summary.number) }
        lose(Set(gone.filter { !names.contains(SegmentName.make($0)) }))
        if !names.contains(LogMeta.name) { metaIsStale = true }
        if poison == nil, !names.contains(LogPosition.name) { renewPosition() }
    }

    /// These segments have no file any more: what was in them is lost, and counted so. If that is where the log
    /// ended, it goes on in a new segment; no offset is used again.
    func lose(_ numbers: Set<SegmentNumber>) {
        guard !numbers.isEmpty else { return }
        storedElsewhere = stored
        let newest = active?.contents.summary.number ?? segments.last?.summary.number ?? 0
        if let lost = active, numbers.contains(lost.contents.summary.number) {
            active = nil
            forget(lost.marks)
            noteLoss(lost.contents.summary)
        }
        for seal in pendingSeals.reversed() where numbers.contains(seal.number) {
            forget(seal.marks)
        }
        pendingSeals.removeAll { numbers.contains($0.number) }
        for info in segments where numbers.contains(info.summary.number) {
            sealedTotals.remove(info.summary)
            noteLoss(info.summary)
        }
        segments.removeAll { numbers.contains($0.summary.number) }
        // Sequences may stand in the checkpoint whose batches are gone.
        checkpointed = .none
        checkpointAt = 0
        guard numbers.contains(newest) else { return writePosition() }
        // A segment before it may have ended just now, and not be synced.
        goBehindAll(isSynced: pendingSeals.isEmpty)
        do {
            try openSegment(time.wall())
        } catch {
            // It has noted why.
            counters.postponed += 1
        }
    }

    private func noteLoss(_ summary: SegmentSummary) {
        let count = LogOrdinal(batches: summary.batches, records: summary.records)
        counters.removedSegments += 1
        counters.removed = counters.removed + count
        tell(.removed(summary.number, count))
    }

    /// A producer that sends again what was lost before it heard of an ack must not be told that it is there.
    private func forget(_ marks: [DedupeKey: DedupeMark]) { dedupe.goBack(marks) }
}
