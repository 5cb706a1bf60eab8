internal import Receive
internal import Synchronization
internal import SystemIO

/// Tells the watchdog that a loop completes its iterations. A loop says when it begins work and when
/// it has done it; waiting for work is no work. A refused or timed-out attempt is an iteration.
final class Heartbeat: Sendable {
    /// Monotonic nanoseconds of the iteration's begin, 0 while the loop waits.
    private let since = Atomic<UInt64>(0)

    /// An iteration begins.
    func begin() { since.store(Clocks.monotonic(), ordering: .relaxed) }

    /// It is done.
    func end() { since.store(0, ordering: .relaxed) }

    /// How long the present iteration has taken, zero between iterations.
    var busy: Duration {
        let begun = since.load(ordering: .relaxed)
        guard begun != 0 else { return .zero }
        let now = Clocks.monotonic()
        return .nanoseconds(Int64(now > begun ? now - begun : 0))
    }
}

/// Tells whether the log settles what intake handed to it.
final class IntakeProgress: Sendable {
    private struct Seen {
        var settled: UInt64 = 0
        var since: UInt64 = Clocks.monotonic()
    }

    private let ledger: IntakeLedger
    /// Guards what was seen at the last look.
    private let seen = Mutex(Seen())

    init(ledger: IntakeLedger) {
        self.ledger = ledger
    }

    /// How long batches have been waiting without any being settled; zero if none waits.
    var stalled: Duration {
        let counts = ledger.snapshot
        let waiting = counts.inFlight.batches
        return seen.withLock { seen in
            let now = Clocks.monotonic()
            let settled = counts.received.batches - waiting
            if waiting == 0 || settled != seen.settled {
                seen = Seen(settled: settled, since: now)
            }
            return .nanoseconds(Int64(now - seen.since))
        }
    }
}
