/// What a run met, so that nobody has to take it on trust that the faults struck.
enum Tally: Int, CaseIterable {
    case events = 0
    case deaths, powerLosses, deathsInAnOperation, starts, cleanStarts, failedStarts, secondAgents
    case writeErrors, shortWrites, diskFull, failedSyncs, failedNameSyncs, descriptorsShort
    case readErrors, otherErrors
    case unsyncedWritesAtPowerLoss, unsyncedNamesAtPowerLoss
    case filesTaken, bitFlips, clockSteps, suspensions, days
    case appended, duplicates, refused, syncs, segmentsExpired, segmentsExpiredEarly
    case readByReaders, missedByReaders, damageReported, delivered, deliveredAgain, sinkFailures
    case cursorsSaved, interludes, tornTails, batchesLostToPower

    /// As the report says it.
    var name: String {
        switch self {
        case .events: "storage operations"
        case .deaths: "process deaths"
        case .powerLosses: "power losses"
        case .deathsInAnOperation: "  of both in the middle of an operation"
        case .starts: "starts"
        case .cleanStarts: "  of them after an orderly end"
        case .failedStarts: "  of them failed by a fault, and tried again"
        case .secondAgents: "second agents refused"
        case .writeErrors: "writes failed (EIO)"
        case .shortWrites: "writes cut short (ENOSPC)"
        case .diskFull: "operations on a full disk refused"
        case .failedSyncs: "file syncs failed, their writes lost"
        case .failedNameSyncs: "directory syncs failed"
        case .descriptorsShort: "opens failed (EMFILE)"
        case .readErrors: "reads failed (EIO)"
        case .otherErrors: "renames, removals, cuts, allocations failed"
        case .unsyncedWritesAtPowerLoss: "unsynced writes at power losses"
        case .unsyncedNamesAtPowerLoss: "unsynced names at power losses"
        case .filesTaken: "segments removed by somebody else"
        case .bitFlips: "bit flips at rest"
        case .clockSteps: "clock steps"
        case .suspensions: "suspensions"
        case .days: "days that passed"
        case .appended: "batches stored"
        case .duplicates: "duplicates answered"
        case .refused: "batches refused"
        case .syncs: "sync jobs"
        case .segmentsExpired: "segments deleted by retention"
        case .segmentsExpiredEarly: "  of them before their age, by a wrong clock that was believed"
        case .readByReaders: "batches read by readers"
        case .missedByReaders: "batches that readers counted as missed"
        case .damageReported: "damaged ranges reported"
        case .delivered: "batches delivered by exporters"
        case .deliveredAgain: "  of them again"
        case .sinkFailures: "sink failures"
        case .cursorsSaved: "cursors saved and checked"
        case .interludes: "operations with another thread's work inside"
        case .tornTails: "torn tails cut"
        case .batchesLostToPower: "unsynced batches lost to power"
        }
    }
}

/// Counts by `Tally`.
struct Tallies: Sendable {
    private var counts = [Int](repeating: 0, count: Tally.allCases.count)

    subscript(tally: Tally) -> Int {
        get { counts[tally.rawValue] }
        set { counts[tally.rawValue] = newValue }
    }

    mutating func add(_ other: Tallies) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }
}
