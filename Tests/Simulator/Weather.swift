import SegmentLog
import SimulationKit
import SystemIO

/// How hard a seed's world is: "one in N" for each fault, 0 for never. Some worlds are kind, so that what
/// must hold exactly is checked exactly.
struct Weather {
    var death = 0
    var powerPart = 0
    var shortWrite = 0
    var writeError = 0
    var syncError = 0
    var descriptors = 0
    var readError = 0
    var otherError = 0
    var flips = false
    /// They flip in footers only: no count may be wrong by it.
    var flipsFooters = false
    var isOftenFull = false
    var interleave = 0
    var clockSteps = false
    var days = false
    var everyCommit = false
    var anonymous = false
    /// Somebody removes segments.
    var removals = false
    var limits: LogLimits

    init(_ random: inout SeededGenerator) {
        func rate(_ random: inout SeededGenerator, _ low: Int, _ high: Int) -> Int {
            low + random.below(high - low)
        }
        limits = Weather.limits(&random)
        if random.below(8) > 0 { death = rate(&random, 60, 1500) }
        powerPart = [0, 2, 2, 4, 1][random.below(5)]
        if random.oneIn(3) { shortWrite = rate(&random, 30, 400) }
        if random.oneIn(4) { writeError = rate(&random, 100, 1500) }
        if random.oneIn(3) { syncError = rate(&random, 20, 300) }
        if random.oneIn(4) { descriptors = rate(&random, 20, 300) }
        if random.oneIn(6) { readError = rate(&random, 100, 1500) }
        if random.oneIn(5) { otherError = rate(&random, 20, 300) }
        flips = random.oneIn(5)
        isOftenFull = random.oneIn(4)
        interleave = [0, 4, 10, 30][random.below(4)]
        clockSteps = random.oneIn(3)
        days = random.oneIn(4)
        everyCommit = random.oneIn(6)
        anonymous = random.oneIn(4)
        flipsFooters = !flips && random.oneIn(6)
        removals = !flips && !flipsFooters && random.oneIn(5)
        // What the position file could not be told nobody knows once the file is gone, too.
        if removals { (shortWrite, writeError) = (0, 0) }
    }

    private static func limits(_ random: inout SeededGenerator) -> LogLimits {
        let segment = [1024, 2048, 4096, 16_384][random.below(4)]
        var limits = LogLimits(
            capBytes: UInt64(segment * [5, 10, 40][random.below(3)]) + 8192,
            space: StorageSpace(total: 1 << 30, available: 1 << 30))
        limits.segmentBytes = segment
        limits.allocationBytes = [0, 512, 2048][random.below(3)]
        limits.reserveBytes = [0, 4096][random.below(2)]
        limits.quarantineBytesMax = 16_384
        limits.syncBytes = [600, 4000, 8 << 20][random.below(3)]
        limits.checkpointInterval = .seconds([0, 1, 30][random.below(3)])
        limits.dedupeMax = 4096
        limits.dedupePerUIDMax = 4096
        return limits
    }
}
