package import SegmentLog

/// What became of every record under an exporter's cursor: stored = delivered + waiting + excluded +
/// lost, also after a restart.
///
/// Batches enter in the log's order. A record of a batch is *pending* until it is settled. Once all of
/// the oldest batch is settled and the log survives power loss up to its end, the batch passes into
/// `settled`, and with it the cursor that a checkpoint may save.
package struct ExportLedger: Sendable {
    /// The most batches that may be open at once: what bounds this ledger's memory.
    package static let openBatchesMax = 16_384

    /// Names an open batch; rises from batch to batch.
    package struct Ticket: Hashable, Sendable, Comparable {
        let number: UInt64
        package static func < (left: Ticket, right: Ticket) -> Bool { left.number < right.number }
    }

    private struct OpenBatch {
        let end: LogOffset
        let ordinal: LogOrdinal?
        var pending: Int
        var counts = OutcomeCounts()
    }

    /// Everything below it is in `settled`.
    package private(set) var cursor: LogOffset
    /// What the log stored before `cursor`, nil if it is not known.
    package private(set) var ordinal: LogOrdinal?
    /// The records below `cursor`.
    package private(set) var settled: OutcomeCounts
    /// The ticket of the newest batch below `cursor`, nil if there was none in this run.
    package private(set) var settledTicket: Ticket?
    /// The records of open batches that are settled.
    private var settledInOpen = OutcomeCounts()
    /// The records of open batches that are not.
    package private(set) var pending: UInt64 = 0

    private var open: [OpenBatch] = []
    private var first = 0
    private var firstNumber: UInt64 = 0

    /// A ledger that goes on at a checkpoint, or begins with nothing settled.
    package init(
        cursor: LogOffset, ordinal: LogOrdinal? = nil, settled: OutcomeCounts = OutcomeCounts()
    ) {
        self.cursor = cursor
        self.ordinal = ordinal
        self.settled = settled
    }

    /// All records so far by what became of them, settled after the cursor's included.
    package var counts: OutcomeCounts {
        var sum = settled
        sum.add(settledInOpen)
        return sum
    }

    /// Records that came under the cursor: settled and pending.
    package var taken: UInt64 { counts.total + pending }

    /// The number of batches that are open.
    package var openBatches: Int { open.count - first }

    /// Whether another batch may be taken.
    package var hasRoom: Bool { openBatches < Self.openBatchesMax }

    /// Takes a batch whose successor begins at `end` and has `ordinal`. All of its records are pending.
    package mutating func take(
        records: Int, end: LogOffset, ordinal: LogOrdinal? = nil
    ) -> Ticket {
        open.append(OpenBatch(end: end, ordinal: ordinal, pending: records))
        pending += UInt64(records)
        return Ticket(number: firstNumber + UInt64(openBatches - 1))
    }

    /// Settles records of an open batch. Traps if fewer are pending: that is our own bug.
    package mutating func settle(_ ticket: Ticket, _ outcome: Outcome, records: Int = 1) {
        let index = first + Int(ticket.number - firstNumber)
        precondition(records >= 0 && open[index].pending >= records)
        open[index].pending -= records
        open[index].counts[outcome] += UInt64(records)
        settledInOpen[outcome] += UInt64(records)
        pending -= UInt64(records)
    }

    /// Takes records that cannot be read at all, and settles them; what follows begins at `end`.
    package mutating func take(
        lost cause: LossCause, records: Int, end: LogOffset, ordinal: LogOrdinal? = nil
    ) {
        let ticket = take(records: records, end: end, ordinal: ordinal)
        settle(ticket, .lost(cause), records: records)
    }

    /// Moves the cursor over all settled batches that survive power loss; whether it moved.
    package mutating func advance(synced: LogOffset) -> Bool {
        let before = first
        while first < open.count, open[first].pending == 0, open[first].end <= synced {
            settled.add(open[first].counts)
            settledInOpen.subtract(open[first].counts)
            cursor = open[first].end
            ordinal = open[first].ordinal
            settledTicket = Ticket(number: firstNumber)
            first += 1
            firstNumber += 1
        }
        guard first > before else { return false }
        if first >= 1024, first * 2 >= open.count {
            open.removeFirst(first)
            first = 0
        }
        return true
    }
}
