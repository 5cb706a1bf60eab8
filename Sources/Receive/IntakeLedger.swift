internal import Synchronization
package import TelemetryBatch

/// A number of batches and of the records in them.
package struct Tally: Sendable, Equatable {
    /// Batches.
    package var batches: UInt64 = 0
    /// Records: validated ones, or, for a refused batch, as its header claims.
    package var records: UInt64 = 0

    /// Zero.
    package init() {}

    mutating func add(records count: UInt64) {
        batches += 1
        records += count
    }
}

/// What stands before the log, counted: received = stored + duplicate + refused by cause + in flight.
///
/// Counts are of this run of the agent; the log counts what it stored for ever.
package struct IntakeCounts: Sendable, Equatable {
    /// Complete batch frames that arrived.
    package var received = Tally()
    /// In the log.
    package var stored = Tally()
    /// Already there.
    package var duplicate = Tally()
    /// Refused, by the code's name in wire.md.
    package var refused: [String: Tally] = [:]
    /// Dropped by producers before they reached us: spans, log events, points of stored batches.
    package var droppedSpans: UInt64 = 0
    /// See `droppedSpans`.
    package var droppedLogs: UInt64 = 0
    /// See `droppedSpans`.
    package var droppedPoints: UInt64 = 0
    /// Connections accepted since the start.
    package var connectionsTotal: UInt64 = 0
    /// Connections that we refused or ended, by cause.
    package var connectionsClosed: [String: UInt64] = [:]
    /// How many open connections have each of the variables set that only the agent honours.
    package var environment: [String: UInt64] = [:]
    /// Spool files taken over and removed.
    package var spoolFilesDrained: UInt64 = 0
    /// Spool files left alone, by reason; a file counts once a change of its reason. `torn`: taken over but
    /// for its end. `damaged`: taken over but for what is damaged.
    package var spoolFilesRefused: [String: UInt64] = [:]
    /// Damaged ranges of spool files that were stepped over.
    package var spoolDamagedRanges: UInt64 = 0
    /// Bytes of them.
    package var spoolDamagedBytes: UInt64 = 0

    /// Zero.
    package init() {}

    /// Received, and no outcome yet.
    package var inFlight: Tally {
        var rest = received
        for outcome in [stored, duplicate] + refused.values {
            rest.batches -= outcome.batches
            rest.records -= outcome.records
        }
        return rest
    }
}

/// The one place where intake is counted; shared by every receiver.
package final class IntakeLedger: Sendable {
    /// Guards the counts; held for an addition only.
    private let counts = Mutex(IntakeCounts())

    /// Zero everywhere.
    package init() {}

    /// A consistent copy.
    package var snapshot: IntakeCounts { counts.withLock { $0 } }

    /// A complete batch arrived.
    package func received(records: UInt64) {
        counts.withLock { $0.received.add(records: records) }
    }

    /// It is in the log.
    package func stored(records: UInt64, header: BatchHeader) {
        counts.withLock {
            $0.stored.add(records: records)
            $0.droppedSpans += UInt64(header.dropped.spans)
            $0.droppedLogs += UInt64(header.dropped.logs)
            $0.droppedPoints += UInt64(header.dropped.points)
        }
    }

    /// It was there already.
    package func duplicate(records: UInt64) {
        counts.withLock { $0.duplicate.add(records: records) }
    }

    /// It is refused.
    package func refused(records: UInt64, cause: WireError) {
        counts.withLock { $0.refused[cause.name, default: Tally()].add(records: records) }
    }

    /// A connection was accepted.
    package func opened() {
        counts.withLock { $0.connectionsTotal += 1 }
    }

    /// A connection was refused or ended by us.
    package func closed(cause: String) {
        counts.withLock { $0.connectionsClosed[cause, default: 0] += 1 }
    }

    /// A connection said, or no longer says, that these variables are set on its side.
    package func environment(_ names: [String], connected: Bool) {
        guard !names.isEmpty else { return }
        counts.withLock { counts in
            for name in names {
                let old = counts.environment[name, default: 0]
                let new = connected ? old + 1 : old - min(old, 1)
                counts.environment[name] = new == 0 ? nil : new
            }
        }
    }

    /// A spool file was taken over.
    package func spoolDrained() {
        counts.withLock { $0.spoolFilesDrained += 1 }
    }

    /// A spool file was left alone.
    package func spoolRefused(reason: String) {
        counts.withLock { $0.spoolFilesRefused[reason, default: 0] += 1 }
    }

    /// A spool file was taken over but for these.
    package func spoolDamaged(ranges: UInt64, bytes: UInt64) {
        counts.withLock {
            $0.spoolFilesRefused["damaged", default: 0] += 1
            $0.spoolDamagedRanges += ranges
            $0.spoolDamagedBytes += bytes
        }
    }
}
