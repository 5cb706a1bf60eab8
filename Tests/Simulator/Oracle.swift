import ByteCoding
import SegmentLog

/// A batch that was handed to the log.
struct SentBatch {
    let key: DedupeKey
    let sequence: UInt64
    let payload: [UInt8]
    let records: Int
    /// The time that really passed, when it was handed over.
    let trueTime: UInt64

    init(_ request: AppendRequest, at trueTime: UInt64) {
        self.trueTime = trueTime
        key = DedupeKey(uid: request.peer.uid ?? .max, producer: request.producer)
        sequence = request.sequence
        payload = request.payload
        records = Int(request.records)
    }

    func isSame(_ other: SentBatch) -> Bool {
        key == other.key && sequence == other.sequence && payload == other.payload
    }
}

/// What must be in the log, by what was said about it: the model that everything is compared with.
struct Oracle {
    struct Entry {
        let batch: SentBatch
        /// Power failed before it was safe, and it is gone.
        var isLost = false
    }

    /// What stands, or stood, at each offset that was ever used.
    private(set) var entries: [LogOffset: Entry] = [:]
    /// The offsets of what is stored (kept or deleted by retention), rising.
    private(set) var order: [LogOffset] = []
    /// Records before each of `order`.
    private(set) var recordsBefore: [UInt64] = []
    private(set) var records: UInt64 = 0
    /// The highest sequence of each producer that is stored, and when it was last heard of.
    private(set) var highest: [DedupeKey: (sequence: UInt64, trueTime: UInt64)] = [:]
    /// Sequences that dedupe may know of, or not.
    private(set) var doubtful: [DedupeKey: UInt64] = [:]
    private var stored: [DedupeKey: Set<UInt64>] = [:]
    /// Above every offset that was ever given out.
    private(set) var highestOffset = LogOffset.none
    /// The highest position that the log said is safe from loss of power.
    var synced = LogOffset.none
    /// How many batches loss of power took: a later segment's header that survived them counts them still.
    private(set) var lostCount: UInt64 = 0
    private(set) var lostRecords: UInt64 = 0
    /// What they were: a later batch that survived hides that they did not.
    private(set) var lostNames: [DedupeKey: Set<UInt64>] = [:]
    /// Batches of an append under way that a reader has met already.
    var ahead: [LogOffset: SentBatch] = [:]
    /// What was under way when a process died or a write failed: it may be in the log, or not.
    var unsure: [SentBatch] = []
    /// Files that the agent removed.
    var removed: Set<SegmentNumber> = []
    /// Files that somebody else removed, among `removed`.
    private(set) var taken: Set<SegmentNumber> = []
    /// Files that it removed and that may have held nothing any more.
    var removedInDoubt: Set<SegmentNumber> = []
    /// Entries in whose envelope or payload a bit was flipped.
    var destroyed: Set<LogOffset> = []
    /// Segments with a flipped header, or with none any more.
    var headersFlipped: Set<SegmentNumber> = []
    /// Where bits were flipped.
    var flips: [LogOffset] = []
    /// Damaged ranges that somebody reported.
    var reported: [DamagedRange] = []

    /// Takes note of a stored batch; what is wrong about it, nil if nothing.
    mutating func note(_ batch: SentBatch, at offset: LogOffset) -> String? {
        if let known = entries[offset] {
            if known.isLost { return "offset \(offset) was used before a loss of power, and again" }
            return known.batch.isSame(batch) ? nil : "another batch stands at \(offset)"
        }
        guard offset > highestOffset else {
            return "offset \(offset) is not above \(highestOffset), which was used before"
        }
        if let met = ahead[offset], !met.isSame(batch) {
            return "a reader met another at \(offset)"
        }
        highestOffset = offset
        entries[offset] = Entry(batch: batch)
        order.append(offset)
        recordsBefore.append(records)
        records += UInt64(batch.records)
        hear(batch, at: offset)
        return nil
    }

    private mutating func hear(_ batch: SentBatch, at offset: LogOffset) {
        guard !batch.key.producer.isZero else { return }
        if taken.contains(offset.segment) {
            // Dedupe may know of it still, or not.
            stored[batch.key, default: []].insert(batch.sequence)
            doubtful[batch.key] = max(doubtful[batch.key] ?? 0, batch.sequence)
            return
        }
        stored[batch.key, default: []].insert(batch.sequence)
        if let known = highest[batch.key], known.sequence >= batch.sequence {
            // It was forgotten: dedupe begins again, until a start finds the old entries.
            doubtful[batch.key] = max(doubtful[batch.key] ?? 0, known.sequence)
        }
        highest[batch.key] = (batch.sequence, batch.trueTime)
    }

    /// The highest sequence of a producer that dedupe may have heard of.
    func highestPossible(_ key: DedupeKey) -> UInt64 {
        max(highest[key]?.sequence ?? 0, doubtful[key] ?? 0)
    }

    /// Whether a batch of this name is stored, or was until retention deleted it.
    func isStored(_ key: DedupeKey, _ sequence: UInt64) -> Bool {
        stored[key]?.contains(sequence) ?? false
    }

    /// The process is gone, and a reader had met these: they were given out.
    mutating func settleAhead() {
        if let last = ahead.keys.max(), last > highestOffset { highestOffset = last }
        ahead = [:]
    }

    /// These may have been stored for a moment.
    mutating func doubt(_ batches: [SentBatch]) {
        lostCount += UInt64(batches.count)
        lostRecords += batches.reduce(0) { $0 + UInt64($1.records) }
        for batch in batches { lostNames[batch.key, default: []].insert(batch.sequence) }
    }

    /// Power failed: these are gone.
    mutating func lose(_ lost: Set<LogOffset>) {
        guard !lost.isEmpty else { return }
        lostCount += UInt64(lost.count)
        for offset in lost {
            guard let batch = entries[offset]?.batch else { continue }
            lostRecords += UInt64(batch.records)
            lostNames[batch.key, default: []].insert(batch.sequence)
        }
        let kept = order.filter { !lost.contains($0) }
        for offset in lost {
            entries[offset]?.isLost = true
            // Retention had deleted it, or a flipped bit has hidden that it was safe: its sequence may
            // have been saved, or not.
            guard
                wasRemoved(offset.segment) || destroyed.contains(offset),
                let batch = entries[offset]?.batch
            else {
                continue
            }
            doubtful[batch.key] = max(doubtful[batch.key] ?? 0, batch.sequence)
        }
        rebuild(kept)
    }

    /// Whether the agent removed its file, or what may have been left of it.
    func wasRemoved(_ segment: SegmentNumber) -> Bool {
        removed.contains(segment) || removedInDoubt.contains(segment)
    }

    /// One that was taken for lost is there.
    mutating func comesBack(_ offset: LogOffset) {
        entries[offset]?.isLost = false
        rebuild((order + [offset]).sorted())
    }

    /// Somebody removed a segment's file: what is in it, and comes into it until that is noticed, is lost.
    mutating func take(_ segment: SegmentNumber) {
        taken.insert(segment)
        removed.insert(segment)
        rebuild(order)
    }

    /// Batches in files that somebody removed.
    var batchesTaken: UInt64 { taken.reduce(0) { $0 + UInt64(entries(of: $1).count) } }

    private mutating func rebuild(_ kept: [LogOffset]) {
        order = []
        recordsBefore = []
        records = 0
        highest = [:]
        stored = [:]
        for offset in kept {
            guard let entry = entries[offset] else { continue }
            order.append(offset)
            recordsBefore.append(records)
            records += UInt64(entry.batch.records)
            hear(entry.batch, at: offset)
        }
    }

    /// Whether a count of batches is right, or by no more too high than loss of power explains.
    func isRight(_ said: UInt64, _ known: UInt64) -> Bool {
        said >= known && said <= known + lostCount
    }

    /// Batches in segments that retention deleted.
    var batchesRemoved: UInt64 {
        removed.union(removedInDoubt).reduce(0) { $0 + UInt64(entries(of: $1).count) }
    }

    /// The index in `order` of the first entry at or above an offset.
    func index(atOrAbove offset: LogOffset) -> Int {
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if order[middle] < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The stored entries in a range of offsets.
    func entries(in range: Range<LogOffset>) -> ArraySlice<LogOffset> {
        let first = index(atOrAbove: range.lowerBound)
        return order[first..<max(first, index(atOrAbove: range.upperBound))]
    }

    /// The stored entries of a segment.
    func entries(of segment: SegmentNumber) -> ArraySlice<LogOffset> {
        entries(
            in: LogOffset(
                segment: segment, position: 0)..<LogOffset(segment: segment + 1, position: 0))
    }

    /// Whether a reported range covers it.
    func isReported(_ offset: LogOffset) -> Bool {
        reported.contains { range in
            range.from.segment == offset.segment && range.from <= offset
                && UInt64(offset.position) < UInt64(range.from.position) + range.count
        }
    }
}
