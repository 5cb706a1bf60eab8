import ByteCoding
import SimulationKit
import TelemetryBatch
import Testing

@testable import Export

@Suite struct `What an exporter is given` {
    /// Spans, log events and points in turn, each span and event of a trace with this randomness.
    func batch(_ randomness: [UInt64]) throws -> Batch {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        for low in randomness {
            let trace = ID128(high: 1, low: low | 0xAB << 56)
            builder.beginSpan(
                name: builder.ref("s"), kind: .internal, status: .unset, trace: trace,
                span: SpanID(rawValue: 1), start: 1, duration: 1)
            _ = builder.endRecord()
            builder.beginLog(time: 1, trace: trace, span: SpanID(rawValue: 1), severity: 9)
            _ = builder.endRecord()
        }
        return try Batch(builder.finish(sequence: 1))
    }

    func indices(_ selection: ExportSelection) -> [Int] { selection.ranges.flatMap(Array.init) }

    @Test func `everything is one range`() throws {
        let selection = RecordRules.everything.select(from: try batch([1, 2]))
        #expect(selection.ranges == [0..<4])
        #expect(selection.excluded.isEmpty)
        #expect(RecordRules.everything.select(from: try batch([])).ranges == [])
    }

    @Test func `a signal's records keep their places`() throws {
        let logs = RecordRules(signals: [.logs]).select(from: try batch([1, 2, 3]))
        #expect(logs.ranges == [1..<2, 3..<4, 5..<6])
        #expect(logs.excluded == [.notSelected: 3])
        #expect(RecordRules(signals: [.metrics]).select(from: try batch([1])).ranges == [])
    }

    @Test func `a threshold keeps what has at least as much in the trace id's low 56 bits`() throws
    {
        var rules = RecordRules.everything
        let half: UInt64 = 1 << 55
        rules.thresholds = [.traces: half, .logs: half]
        let selection = rules.select(from: try batch([half - 1, half, 0, 1 << 56 - 1]))
        #expect(indices(selection) == [2, 3, 6, 7])
        #expect(selection.excluded == [.sampled: 4])
        rules.thresholds = [.traces: 1 << 56]
        let logs = rules.select(from: try batch([5, 6]))
        #expect(indices(logs) == [1, 3])
        #expect(logs.excluded == [.sampled: 2])
    }

    @Test func `a rate keeps that share of random traces`() throws {
        var generator = SeededGenerator(seed: 7)
        var rules = RecordRules(signals: [.traces])
        rules.thresholds[.traces] = 3 << 54
        let ids = (0..<4000).map { _ in UInt64.random(in: 1..<1 << 56, using: &generator) }
        let kept = indices(rules.select(from: try batch(ids))).count
        #expect((900...1100).contains(kept))
    }

    /// A point of each: a gauge; of sums that rise, that fall, and of histograms a delta and a cumulative one.
    func points() throws -> Batch {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        func metric(_ kind: MetricKind, _ temporality: Temporality, rises: Bool = false) throws
            -> Int
        {
            builder.beginMetric(
                kind: kind, temporality: temporality, isMonotonic: rises, name: builder.ref("m"),
                description: .none, unit: .none, scope: 0, hasMetadata: false)
            let index = builder.endMetric()
            return try #require(index)
        }
        builder.beginNumber(metric: try metric(.gauge, .unspecified), time: 1)
        builder.number(.int(1))
        _ = builder.endRecord()
        for rises in [true, false] {
            for temporality in [Temporality.delta, .cumulative] {
                builder.beginNumber(metric: try metric(.sum, temporality, rises: rises), time: 1)
                builder.number(.int(1))
                _ = builder.endRecord()
            }
        }
        for temporality in [Temporality.delta, .cumulative, .unspecified] {
            builder.beginExponential(
                metric: try metric(.exponentialHistogram, temporality), time: 1, count: 0, scale: 0,
                zeroCount: 0)
            _ = builder.endRecord()
        }
        return try Batch(builder.finish(sequence: 1))
    }

    @Test(arguments: [
        (RecordRules.Temporality.any, Array(0..<8), [:]),
        (.delta, [0, 1, 3, 4, 5], [ExclusionCause.filtered: 3]),
        (.cumulative, [0, 2, 4, 6], [.filtered: 4]),
    ])
    func `of metrics what the backend cannot take is filtered`(
        temporality: RecordRules.Temporality, kept: [Int], excluded: [ExclusionCause: Int]
    ) throws {
        var rules = RecordRules.everything
        rules.temporality = temporality
        let selection = rules.select(from: try points())
        #expect(indices(selection) == kept)
        #expect(selection.excluded == excluded)
        #expect(rules.areEverything == (temporality == .any))
        // Of other signals it says nothing.
        #expect(indices(rules.select(from: try batch([1, 2]))) == [0, 1, 2, 3])
    }
}
