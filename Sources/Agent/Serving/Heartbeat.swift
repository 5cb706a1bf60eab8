internal import Synchronization
internal import SystemIO

/// Tells the watchdog that a loop completes its iterations. A loop says when it begins work and when
/// it has done it; waiting for work is no work. A refused or timed-out attempt is an iteration.
package final class Heartbeat: Sendable {
    /// For the message when it stops.
    package let name: String
    /// Monotonic nanoseconds of the iteration's begin, 0 while the loop waits.
    private let since = Atomic<UInt64>(0)

    /// A loop that waits.
    package init(name: String) {
        self.name = name
    }

    /// An iteration begins.
    package func begin() { since.store(Clocks.monotonic(), ordering: .relaxed) }

    /// It is done.
    package func end() { since.store(0, ordering: .relaxed) }

    /// How long the present iteration has taken, zero between iterations.
    package var busy: Duration {
        let begun = since.load(ordering: .relaxed)
        guard begun != 0 else { return .zero }
        let now = Clocks.monotonic()
        return .nanoseconds(Int64(now > begun ? now - begun : 0))
    }
}
