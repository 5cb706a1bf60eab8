package import ByteCoding
package import SystemIO

/// The log's owner: one thread that appends in groups, one that syncs. Safe to use from any thread.
package final class GroupCommit: Sendable {
    /// When a batch is acknowledged.
    package enum Durability: Sendable {
        /// Once it is written; a sync follows within the limits.
        case written
        /// Once it is synced.
        case synced
    }

    /// Whether a batch was taken into the queue.
    package enum Submission: Sendable, Equatable {
        /// Its completion will be called.
        case accepted
        /// The queue holds all that it may: wait and come again. The completion is not called.
        case busy
        /// The log is closed or failed for good. The completion is not called.
        case closed
    }

    /// Called once, on the writer's thread. Must not block.
    package typealias Completion = @Sendable (Result<AppendOutcome, LogError>) -> Void

    /// Bytes of payload that may wait in the queue.
    package static let queueBytesMax = 32 << 20

    /// What opening found.
    package var recovery: RecoveryReport { RecoveryReport() }
    /// The log's name.
    package var logID: ID128 { .zero }

    /// Opens the log in a state directory, recovers it, starts the threads.
    package init(
        state: any Storage, limits: LogLimits? = nil, time: any TimeSource = SystemTime(),
        durability: Durability = .written
    ) throws(LogError) {
        throw .closed
    }

    /// Hands a batch over. Does not wait.
    package func submit(_ request: AppendRequest, completion: @escaping Completion) -> Submission {
        .closed
    }

    /// The highest stored sequence of a producer, 0 if none.
    package func highestSequence(uid: UInt32?, producer: ID128) -> UInt64 { 0 }

    /// Everything below is complete in the file.
    package var committed: LogOffset { .none }
    /// Everything below survives loss of power.
    package var synced: LogOffset { .none }

    /// Waits until the log has grown beyond `offset` or the deadline (nanoseconds of `Clocks.monotonic`)
    /// has passed; whether it has. Blocks: for threads of their own.
    package func waitForCommit(beyond offset: LogOffset, until deadline: UInt64) -> Bool { false }

    /// Makes all that is committed survive loss of power. Blocks.
    package func sync() throws(LogError) {}

    /// Copies a damaged range that a reader met to the quarantine, once, and counts it. Does not wait.
    package func report(_ damaged: DamagedRange) {}

    /// Where the log stands.
    package var statistics: LogStatistics { LogStatistics() }

    /// Takes nothing more, writes what is queued, syncs, ends in order, joins the threads. Blocks.
    package func shutdown() {}
}
