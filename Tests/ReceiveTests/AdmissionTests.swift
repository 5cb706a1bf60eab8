import ByteCoding
import TelemetryBatch
import Testing

@testable import Receive

@Suite struct `Admission and counts` {
    @Test func `a user's places run out before everybody's do`() {
        var limits = IntakeLimits()
        limits.connectionsMax = 3
        limits.connectionsPerUserMax = 2
        let admission = Admission(limits: limits)
        #expect(admission.enter(uid: 1))
        #expect(admission.enter(uid: 1))
        #expect(!admission.enter(uid: 1))
        #expect(admission.enter(uid: 2))
        #expect(!admission.enter(uid: 3))
        admission.leave(uid: 1)
        #expect(admission.enter(uid: 3))
        #expect(admission.connections == 3)
    }

    @Test func `bytes under way are counted past the limit, which stops the reading`() {
        var limits = IntakeLimits()
        limits.inFlightBytesMax = 100
        let admission = Admission(limits: limits)
        #expect(admission.begin(bytes: 99))
        #expect(!admission.begin(bytes: 1))
        #expect(!admission.hasRoom)
        admission.end(bytes: 1)
        #expect(admission.hasRoom)
    }

    @Test func `incomplete frames of one user leave room for another's`() {
        var limits = IntakeLimits()
        limits.partialBytesPerUserMax = 100
        limits.partialBytesMax = 150
        let admission = Admission(limits: limits)
        #expect(admission.hold(uid: 1, bytes: 60, instead: 0))
        #expect(admission.hold(uid: 1, bytes: 100, instead: 60))
        #expect(!admission.hold(uid: 1, bytes: 1, instead: 0))
        #expect(admission.hold(uid: 1, bytes: 0, instead: 1))
        #expect(admission.hold(uid: 2, bytes: 50, instead: 0))
        #expect(!admission.hold(uid: 2, bytes: 51, instead: 50))
        #expect(admission.hold(uid: 2, bytes: 0, instead: 51))
        #expect(admission.hold(uid: 1, bytes: 0, instead: 100))
        #expect(admission.partialBytes == 0)
    }

    @Test func `what was received is stored, duplicate, refused or in flight`() {
        let ledger = IntakeLedger()
        let header = BatchHeader(
            recordCount: 5, producer: .init(high: 0, low: 1), sequence: 1, baseTime: 0,
            dropped: DroppedCounts(spans: 3, logs: 2, points: 1))
        for _ in 0..<4 { ledger.received(records: 5) }
        ledger.stored(records: 5, header: header)
        ledger.duplicate(records: 5)
        ledger.refused(records: 5, cause: .badText)
        let counts = ledger.snapshot
        #expect(counts.inFlight.batches == 1)
        #expect(counts.inFlight.records == 5)
        #expect(counts.refused["bad_text"]?.batches == 1)
        #expect(counts.droppedSpans == 3)
    }

    @Test func `variables are counted while their connection is open`() {
        let ledger = IntakeLedger()
        ledger.environment(["A", "B"], connected: true)
        ledger.environment(["A"], connected: true)
        ledger.environment(["A", "B"], connected: false)
        #expect(ledger.snapshot.environment == ["A": 1])
    }
}
