import ByteCoding
import Synchronization

/// The dedupe table for all threads: the writer notes, receivers ask at a welcome.
final class SharedDedupe: Sendable {
    // Guards the table.
    private let table: Mutex<DedupeTable>

    init(_ table: consuming sending DedupeTable) { self.table = Mutex(table) }

    func highest(_ key: DedupeKey) -> UInt64 { table.withLock { $0.highest(key) } }

    /// Takes note of stored batches; `earlier` gets what was known of a producer before its first one.
    func note(_ envelopes: [Envelope], earlier: inout [DedupeKey: UInt64]) {
        table.withLock { table in
            for envelope in envelopes where !envelope.producer.isZero {
                let key = DedupeKey(
                    uid: envelope.peer.uid ?? .max, producer: envelope.producer)
                if earlier[key] == nil, earlier.count < table.max {
                    earlier[key] = table.highest(key)
                }
                table.note(key, sequence: envelope.sequence, received: envelope.received)
            }
        }
    }

    /// Sets sequences back to what they were.
    func goBack(_ earlier: [DedupeKey: UInt64]) {
        table.withLock { table in
            for (key, sequence) in earlier { table.goBack(key, to: sequence) }
        }
    }

    func forget(before time: UInt64) { table.withLock { $0.forget(before: time) } }

    var snapshot: DedupeTable { table.withLock { $0 } }
    var count: (producers: Int, forgotten: UInt64) {
        table.withLock { ($0.entries.count, $0.forgotten) }
    }
}
