import SegmentLog
import SimulationKit
import Testing

@testable import Export

private func place(_ position: Int) -> LogOffset {
    LogOffset(segment: 1, position: UInt32(position))
}

@Suite struct ExportLedgerTests {
    @Test func `every record is settled once or pending`() {
        var ledger = ExportLedger(cursor: place(0))
        let first = ledger.take(records: 3, end: place(10))
        let second = ledger.take(records: 2, end: place(20))
        ledger.settle(first, .delivered)
        ledger.settle(second, .excluded(.notSelected))
        ledger.take(lost: .expired, records: 4, end: place(30))
        #expect(ledger.taken == 9)
        #expect(ledger.pending == 3)
        #expect(ledger.counts[.delivered] == 1)
        #expect(ledger.counts[.excluded(.notSelected)] == 1)
        #expect(ledger.counts[.lost(.expired)] == 4)
    }

    @Test func `the cursor stops at the first batch with a pending record`() {
        var ledger = ExportLedger(cursor: place(0))
        let first = ledger.take(records: 1, end: place(10))
        let second = ledger.take(records: 2, end: place(20))
        let third = ledger.take(records: 1, end: place(30))
        ledger.settle(third, .delivered)
        ledger.settle(first, .delivered)
        ledger.settle(second, .delivered)
        #expect(ledger.advance(synced: place(100)) == true)
        #expect(ledger.cursor == place(10))
        #expect(ledger.settled.total == 1)
        #expect(ledger.settledTicket == first)
        ledger.settle(second, .excluded(.rateCapped))
        #expect(ledger.advance(synced: place(100)) == true)
        #expect(ledger.cursor == place(30))
        #expect(ledger.settled.total == 4)
        #expect(ledger.counts == ledger.settled)
    }

    @Test func `the cursor never passes the synced position`() {
        var ledger = ExportLedger(cursor: place(0))
        for end in [10, 20, 30] {
            let ticket = ledger.take(records: 1, end: place(end))
            ledger.settle(ticket, .delivered)
        }
        #expect(ledger.advance(synced: place(9)) == false)
        #expect(ledger.advance(synced: place(29)) == true)
        #expect(ledger.cursor == place(20))
        #expect(ledger.openBatches == 1)
    }

    @Test func `a batch without records moves the cursor`() {
        var ledger = ExportLedger(cursor: place(0))
        _ = ledger.take(records: 0, end: place(10))
        #expect(ledger.advance(synced: place(10)) == true)
        #expect(ledger.cursor == place(10))
    }

    @Test func `it balances over a long random run and keeps little`() {
        var random = SeededGenerator(seed: 42)
        var ledger = ExportLedger(cursor: place(0))
        var open: [(ExportLedger.Ticket, Int)] = []
        var taken: UInt64 = 0
        for step in 1...20_000 {
            let records = Int(random.next() % 5)
            open.append((ledger.take(records: records, end: place(step)), records))
            taken += UInt64(records)
            while open.count > 50 || (!open.isEmpty && random.next() % 2 == 0) {
                let index = Int(random.next() % UInt64(open.count))
                let (ticket, left) = open[index]
                if left == 0 {
                    open.remove(at: index)
                    continue
                }
                let outcome = Outcome.allCases[Int(random.next() % 9)]
                ledger.settle(ticket, outcome)
                open[index].1 -= 1
            }
            _ = ledger.advance(synced: place(step))
            #expect(ledger.counts.total + ledger.pending == taken)
        }
        #expect(ledger.openBatches < 2000)
    }

    @Test func `counts keep their order in the checkpoint`() {
        var counts = OutcomeCounts()
        for (index, outcome) in Outcome.allCases.enumerated() {
            counts[outcome] = UInt64(index + 1)
            #expect(outcome.index == index)
        }
        #expect(counts.inOrder == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        #expect(OutcomeCounts(inOrder: counts.inOrder) == counts)
        #expect(OutcomeCounts(inOrder: [1]) == nil)
        // A cursor of before the last cause.
        #expect(OutcomeCounts(inOrder: Array(1...9))?.inOrder == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    }
}
