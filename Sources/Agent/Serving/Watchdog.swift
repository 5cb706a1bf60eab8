internal import Logging
internal import Synchronization
internal import SystemIO

/// Feeds the service manager's watchdog as long as every loop lives. A dead backend is *degraded*,
/// never a reason to be restarted; a loop that does not come back is.
struct Watchdog: Sendable {
    let manager: ServiceManager
    let interval: Duration
    /// Every loop that is at work, and for how long without completing an iteration.
    let loops: @Sendable () -> [(name: String, busy: Duration)]
    /// Puts a question into the intake's event loop; the closure is called when it turns.
    let probe: @Sendable (@escaping @Sendable () -> Void) -> Void
    let logger: Logger

    /// Runs until told to stop. A loop may be busy for one interval: the manager waits for one more.
    func run(_ stop: ThreadService.Stop) {
        let loop = LoopProbe()
        var silent = false
        while !stop.wait(atMost: interval / 4) {
            loop.ask(probe)
            let stuck =
                loops().filter { $0.busy > interval }.map(\.name)
                + (loop.waiting > interval ? ["intake"] : [])
            if stuck.isEmpty {
                manager.notify("WATCHDOG=1")
                silent = false
            } else if !silent {
                silent = true
                let names = stuck.joined(separator: ", ")
                logger.critical(
                    "a loop does not come back; the watchdog is not fed any more",
                    metadata: ["loops": "\(names)"])
            }
        }
    }
}

/// One question at a time to an event loop, and how long its answer is due.
private final class LoopProbe: Sendable {
    private let asked = Atomic<UInt64>(0)

    func ask(_ probe: @Sendable (@escaping @Sendable () -> Void) -> Void) {
        guard asked.load(ordering: .relaxed) == 0 else { return }
        asked.store(Clocks.monotonic(), ordering: .relaxed)
        probe { self.asked.store(0, ordering: .relaxed) }
    }

    var waiting: Duration {
        let since = asked.load(ordering: .relaxed)
        guard since != 0 else { return .zero }
        let now = Clocks.monotonic()
        return .nanoseconds(Int64(now > since ? now - since : 0))
    }
}
