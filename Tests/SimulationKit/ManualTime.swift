import Synchronization
import SystemIO

/// Clocks that stand until they are moved.
package final class ManualTime: TimeSource {
    private let now = Mutex<(wall: UInt64, boot: UInt64)>(
        (1_800_000_000_000_000_000, 1_000_000_000))

    /// Clocks that begin at a fixed time.
    package init() {}

    /// Nanoseconds since 1970, as set.
    package func wall() -> UInt64 { now.withLock { $0.wall } }
    /// Nanoseconds since boot.
    package func boottime() -> UInt64 { now.withLock { $0.boot } }

    /// Time passes, awake or asleep.
    package func advance(_ seconds: Double) {
        let count = UInt64(seconds * 1e9)
        now.withLock { $0 = ($0.wall + count, $0.boot + count) }
    }

    /// Someone sets the clock.
    package func step(_ seconds: Double) {
        now.withLock { $0.wall = UInt64(Double($0.wall) + seconds * 1e9) }
    }

    /// The machine was off and starts: the wall clock went on, the other begins anew.
    package func boot(afterSeconds seconds: Double) {
        let count = UInt64(seconds * 1e9)
        now.withLock { $0 = ($0.wall + count, 1_000_000_000) }
    }
}
