import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// Golden bytes: a change here is a change of the format, and breaks every other reader.
@Suite struct FormatTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined()
    }

    private let id = ID128(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)

    private var envelope: Envelope {
        Envelope(
            offset: LogOffset(segment: 3, position: 80), nonce: 0x1122_3344_5566_7788,
            payloadBytes: 5, payloadCRC: 0xAABB_CCDD, received: 1_000,
            peer: PeerIdentity(uid: 1000, gid: nil, pid: 7, startTicks: 99), receiver: 1,
            flags: 1, producer: id, sequence: 42, records: 6, spans: 3, logs: 2, earliest: 10,
            latest: 20)
    }

    @Test func `the segment header's bytes`() {
        var writer = ByteWriter()
        SegmentHeader(
            logID: id, number: 3, nonce: 0x1122_3344_5566_7788, created: 5,
            before: LogOrdinal(batches: 6, records: 7)
        ).encode(into: &writer)
        let bytes = writer.bytes
        #expect(hex(bytes) == GoldenBytes.header)
        #expect(SegmentHeader.decode(bytes.span.bytes, number: 3)?.before.records == 7)
        #expect(SegmentHeader.decode(bytes.span.bytes, number: 4) == nil)
    }

    @Test func `the envelope's bytes`() {
        var writer = ByteWriter()
        envelope.encode(into: &writer)
        let bytes = writer.bytes
        #expect(hex(bytes) == GoldenBytes.envelope)
        let at = LogOffset(segment: 3, position: 80)
        let span = bytes.span.bytes
        #expect(Envelope.decode(span, at: at, nonce: 0x1122_3344_5566_7788) == envelope)
        #expect(Envelope.decode(span, at: at, nonce: 1) == nil)
        #expect(
            Envelope.decode(span, at: LogOffset(segment: 3, position: 88), nonce: nil) == nil)
    }

    @Test func `the footer's bytes`() throws {
        var contents = SegmentContents(
            number: 3, nonce: 0x1122_3344_5566_7788, before: LogOrdinal(batches: 6, records: 7),
            firstEntry: 80, filter: TraceFilter(words: 1, hashes: 4))
        contents.add(envelope)
        contents.filter.insert(id)
        var dedupe = DedupeTable(perUIDMax: 4, max: 4)
        dedupe.note(DedupeKey(uid: 1000, producer: id), sequence: 42, received: 1_000)
        let bytes = contents.footer(dedupe)
        #expect(hex(bytes) == GoldenBytes.footer)
        let body = bytes.count - SegmentFooter.trailerBytes
        let decoded = SegmentFooter.decode(
            bytes.span.bytes.extracting(0..<body), number: 3, position: 216)
        let footer = try #require(decoded)
        #expect(footer.summary == contents.summary)
        #expect(footer.index == contents.index)
        #expect(footer.filter == contents.filter)
    }

    @Test func `meta's and position's bytes`() {
        let meta = LogMeta(
            logID: id, nextSegment: 9, clean: true, before: LogOrdinal(batches: 1, records: 2))
        #expect(hex(meta.encode()) == GoldenBytes.meta)
        #expect(LogMeta.decode(meta.encode()) == meta)
        var writer = ByteWriter()
        let position = LogPosition(
            committed: LogOffset(segment: 3, position: 80),
            synced: LogOffset(segment: 2, position: 88), heartbeat: 4,
            retention: LogPosition.Retention(
                first: 2, expired: LogOrdinal(batches: 5, records: 6)))
        position.encode(into: &writer)
        #expect(hex(writer.bytes) == GoldenBytes.position)
        #expect(LogPosition.decode(writer.bytes) == position)
        // Whether its second part is there or right does not matter to the first.
        var first = position
        first.retention = nil
        var bytes = writer.bytes
        bytes[70] ^= 1
        #expect(LogPosition.decode(bytes) == first)
        #expect(LogPosition.decode(Array(bytes.prefix(64))) == first)
    }

    @Test func `a checkpoint's bytes, and none of them may change`() {
        let checkpoint = Checkpoint(
            logID: id, offset: LogOffset(segment: 3, position: 80), body: [1, 2, 3])
        let bytes = checkpoint.encode(.cursor)
        #expect(hex(bytes) == GoldenBytes.checkpoint)
        #expect(Checkpoint.decode(bytes, .cursor) == checkpoint)
        #expect(Checkpoint.decode(bytes, .dedupe) == nil)
        for place in bytes.indices {
            var changed = bytes
            changed[place] ^= 4
            #expect(Checkpoint.decode(changed, .cursor) == nil, "byte \(place)")
        }
    }

    @Test func `offsets are written for people and read back`() {
        let offset = LogOffset(segment: 3, position: 8256)
        #expect(offset.description == "3:8256")
        #expect(LogOffset("3:8256") == offset)
        for text in ["", "3", "3:", ":1", "0:1", "3:1:2", "a:b", "3:99999999999"] {
            #expect(LogOffset(text) == nil, "\(text)")
        }
        #expect(SegmentName.make(3) == "0000000003.segment")
        #expect(SegmentName.number("0000000003.segment") == 3)
        #expect(SegmentName.number("3.segment") == nil)
        #expect(SegmentName.number("+000000003.segment") == nil)
    }

    @Test func `a filter never denies what was put in`() {
        var generator = SeededGenerator(seed: 7)
        var filter = TraceFilter(words: 64)
        let ids = (0..<300).map { _ in ID128(random: &generator) }
        for id in ids { filter.insert(id) }
        #expect(ids.allSatisfy { filter.mayContain($0) })
        let strangers = (0..<1000).count { _ in
            filter.mayContain(ID128(random: &generator))
        }
        #expect(strangers < 50)
        #expect(TraceFilter(words: 0).mayContain(ids[0]))
    }
}
