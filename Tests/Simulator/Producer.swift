import ByteCoding
import Receive
import SegmentLog
import TelemetryBatch

/// A client as wire.md wants it: keeps what is not acknowledged, connects again, sends it again in order.
final class Producer {
    /// One connection: the agent's own state machine for it.
    struct Connection {
        var machine = ConnectionMachine()
        let stream = AppendStream()
        /// How many of `pending` were sent over it.
        var sent = 0
    }

    let uid: UInt32
    var id: ID128
    var nextSequence: UInt64 = 1
    /// Not acknowledged, in order.
    var pending: [AppendRequest] = []
    /// Acknowledged lately: what a confused client sends again.
    var old: [AppendRequest] = []
    var connection: Connection?

    static let pendingMax = 12

    init(uid: UInt32, id: ID128) {
        self.uid = uid
        self.id = id
    }

    var key: DedupeKey { DedupeKey(uid: uid, producer: id) }

    /// A batch is made; sequences may have gaps.
    func make(_ payload: [UInt8], _ summary: BatchSummary) {
        pending.append(
            AppendRequest(
                payload: payload, payloadCRC: crc32c(payload.span.bytes),
                peer: PeerIdentity(uid: uid, gid: 100, pid: 77, startTicks: 5),
                receiver: .socket, producer: summary.header.producer,
                sequence: summary.header.sequence, records: summary.records,
                spans: summary.spans, logs: summary.logs, earliest: summary.earliest,
                latest: summary.latest, traceIDs: summary.traceIDs))
        nextSequence = summary.header.sequence + 1
    }

    /// Everything up to a sequence is dealt with.
    func drop(upTo sequence: UInt64) -> [AppendRequest] {
        let done = pending.prefix { $0.sequence <= sequence }
        pending.removeFirst(done.count)
        if let sent = connection?.sent { connection?.sent = max(0, sent - done.count) }
        old += done
        if old.count > 8 { old.removeFirst(old.count - 8) }
        return Array(done)
    }

    /// The process ends and another begins: what it held is gone.
    func restart(_ newID: ID128) {
        id = newID
        nextSequence = 1
        pending = []
        old = []
        connection = nil
    }
}
