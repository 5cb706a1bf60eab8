import ByteCoding
import Synchronization

/// The dedupe table for all threads: the writer notes, receivers ask at a welcome.
final class SharedDedupe: Sendable {
    // Guards the table.
    private let table: Mutex<DedupeTable>

    init(_ table: consuming sending DedupeTable) { self.table = Mutex(table) }

    func highest(_ key: DedupeKey) -> UInt64 { table.withLock { $0.highest(key) } }

    func note(_ envelopes: [Envelope]) {
        table.withLock { table in
            for envelope in envelopes where !envelope.producer.isZero {
                table.note(
                    DedupeKey(uid: envelope.peer.uid ?? .max, producer: envelope.producer),
                    sequence: envelope.sequence, received: envelope.received)
            }
        }
    }

    func forget(before time: UInt64) { table.withLock { $0.forget(before: time) } }

    var snapshot: DedupeTable { table.withLock { $0 } }
    var count: (producers: Int, forgotten: UInt64) {
        table.withLock { ($0.entries.count, $0.forgotten) }
    }
}
