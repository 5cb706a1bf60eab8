import ByteCoding
import FoundationEssentials
import Inspect
import JournalExport
import Meaning
import TelemetryBatch

@testable import Export
@testable import SegmentLog

/// A validated batch on its way out: what its records mean, the lines and the JSON that people and
/// scripts get, the journal's entries. The input is the batch, as for `batch`.
enum RecordFuzz {
    static func run(_ bytes: [UInt8]) {
        guard let summary = BatchFuzz.validated(bytes) else { return }
        let offset = LogOffset(segment: 1, position: 80)
        let envelope = Envelope(
            offset: offset, nonce: 1, payloadBytes: bytes.count, payloadCRC: 0,
            received: 1_800_000_000_000_000_000, peer: PeerIdentity(uid: 1000, pid: 7),
            receiver: 1, flags: 0, producer: summary.header.producer,
            sequence: summary.header.sequence, records: summary.records, spans: summary.spans,
            logs: summary.logs, earliest: summary.earliest, latest: summary.latest)
        do throws(BatchError) {
            let entry = try StoredEntry(logID: .zero, envelope: envelope, payload: bytes)
            show(entry)
            encode(entry.batch, offset)
        } catch {
            fail("the views refuse what the validator takes: \(error)")
        }
    }

    private static func show(_ entry: StoredEntry) {
        let style = Style(isTerminal: true, width: 100, environment: { _ in nil })
        let times = TimeText(zone: .utc, now: 1_800_000_000_000_000_000)
        let line = RecordLine(style: style, times: times, isCut: true)
        var json = RecordJSON()
        for record in RecordSelection(RecordFilter()).records(of: entry) {
            let shown = line.text(record)
            // Colour is ours; of a peer's bytes nothing may control a terminal.
            promise(
                !shown.unicodeScalars.contains { $0.value < 0x20 && $0 != "\u{1B}" },
                "a control character in a line: \(shown.debugDescription)")
            let text = json.line(record)
            promise(String(validating: text, as: UTF8.self) != nil, "JSON that is no UTF-8")
            promise(!text.dropLast().contains { $0 < 0x20 }, "a control character in JSON")
            promise(isJSON(text), "no JSON: \(String(decoding: text, as: UTF8.self))")
            let safe = JSONForTerminal.escaped(text)
            promise(isJSON(safe), "no JSON: \(String(decoding: safe, as: UTF8.self))")
        }
    }

    private struct Anything: Decodable {
        init(from decoder: any Decoder) throws {}
    }

    private static func isJSON(_ text: [UInt8]) -> Bool {
        do {
            _ = try JSONDecoder().decode(Anything.self, from: Data(text))
            return true
        } catch { return false }
    }

    private static func encode(_ batch: Batch, _ offset: LogOffset) {
        var encoder = EntryEncoder(logID: ID128.zero.hex, isRoot: true)
        encoder.begin(
            ExportBatch(
                batch: batch, offset: offset, ticket: ExportLedger.Ticket(number: 1),
                receiptNanoseconds: 1, peer: PeerIdentity(uid: 1000, pid: 7)))
        var interpreter = BatchInterpreter(batch)
        for record in batch.records {
            guard let meaning = interpreter.meaning(of: record) else { continue }
            let range = encoder.encode(record, meaning, in: batch)
            let bytes = encoder.take()
            promise(range == 0..<bytes.count, "an entry beside its bytes")
            check(bytes[...])
        }
    }

    /// What journald requires of a datagram (systemd's "Native Journal Protocol"): `NAME=value` lines, or
    /// a name, a length and as many bytes; names of A–Z, 0–9 and `_`, not beginning with `_`.
    private static func check(_ entry: ArraySlice<UInt8>) {
        var rest = entry
        var fields = 0
        while !rest.isEmpty {
            let name = rest.prefix { $0 != UInt8(ascii: "=") && $0 != 0x0A }
            rest = rest.dropFirst(name.count)
            promise(
                (1...64).contains(name.count) && name.first != UInt8(ascii: "_")
                    && name.allSatisfy {
                        (65...90).contains($0) || (48...57).contains($0) || $0 == 95
                    }, "a field's name: \(String(decoding: name, as: UTF8.self))")
            if rest.popFirst() == UInt8(ascii: "=") {
                rest = rest.dropFirst(rest.prefix { $0 != 0x0A }.count)
            } else {
                guard let count = Array(rest.prefix(8)).little(UInt64.self, at: 0),
                    count <= UInt64(rest.count)
                else { fail("a field's length passes the entry") }
                rest = rest.dropFirst(8 + Int(count))
            }
            promise(rest.popFirst() == 0x0A, "a field does not end")
            fields += 1
        }
        promise(fields <= 1024, "\(fields) fields: journald drops the entry")
    }
}
