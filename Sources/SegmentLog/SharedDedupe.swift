import ByteCoding
import Synchronization

/// The dedupe table for all threads: the writer notes, receivers ask at a welcome.
final class SharedDedupe: Sendable {
    // Guards the table.
    private let table: Mutex<DedupeTable>

    init(_ table: consuming sending DedupeTable) { self.table = Mutex(table) }

    func highest(_ key: DedupeKey) -> UInt64 { table.withLock { $0.highest(key) } }

    /// Takes note of stored batches; `marks` gets what was known of a producer before its first one, and is
    /// after its last.
    func note(_ envelopes: [Envelope], marks: inout [DedupeKey: DedupeMark]) {
        table.withLock { table in
            for envelope in envelopes where !envelope.producer.isZero {
                let key = DedupeKey(
                    uid: envelope.peer.uid ?? .max, producer: envelope.producer)
                if let index = marks.index(forKey: key) {
                    marks.values[index].after = envelope.sequence
                } else if marks.count < table.max {
                    marks[key] = DedupeMark(
                        before: table.highest(key), after: envelope.sequence)
                }
                table.note(key, sequence: envelope.sequence, received: envelope.received)
            }
        }
    }

    /// Sets sequences back to what they were.
    func goBack(_ marks: [DedupeKey: DedupeMark]) {
        table.withLock { table in
            for (key, mark) in marks { table.goBack(key, mark) }
        }
    }

    func forget(before time: UInt64) { table.withLock { $0.forget(before: time) } }

    var snapshot: DedupeTable { table.withLock { $0 } }
    var count: (producers: Int, forgotten: UInt64) {
        table.withLock { ($0.entries.count, $0.forgotten) }
    }
}
