internal import CThreadState
internal import Synchronization
internal import SystemIO

/// State behind a lock that survives a fork.
///
/// Not `Mutex`: on Linux that is a priority-inheriting futex which holds the owner's thread id, cached in
/// the thread. The cache outlives a fork, and the first contention in the child ends the process with
/// "Unknown error occurred while attempting to acquire a Mutex" (seen with Swift 6.3.1). Here a waiter spins
/// a little, then sleeps in steps of a millisecond: held for long only while a spool file is written.
final class Gate<State: ~Copyable>: @unchecked Sendable {
    // Guard: `state` is touched only by the one that has set `isTaken`.
    private let isTaken = Atomic<Bool>(false)
    private var state: State

    init(_ state: consuming sending State) { self.state = state }

    /// Runs `body` with the state. Waits.
    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        while true {
            if let result = withLock(until: .max, body) { return result }
        }
    }

    /// Runs `body` with the state; waits for it until this time (monotonic): then nil.
    func withLock<Result>(until deadline: UInt64, _ body: (inout State) -> Result) -> Result? {
        var rounds = 0
        while true {
            if let result = withLockIfAvailable(body) { return result }
            rounds += 1
            if rounds < 20 {
                cts_pause()
            } else if rounds < 60 {
                cts_yield()
            } else {
                guard Clocks.monotonic() < deadline else { return nil }
                Bell.pause(nanoseconds: 1_000_000)
            }
        }
    }

    /// Runs `body` with the state if nobody else has it; nil if somebody has.
    func withLockIfAvailable<Result>(_ body: (inout State) -> Result) -> Result? {
        guard
            isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
        else { return nil }
        defer { isTaken.store(false, ordering: .releasing) }
        return body(&state)
    }
}
