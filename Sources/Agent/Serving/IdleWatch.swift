internal import Receive
internal import SystemIO

/// Ends an agent that a command started and that nobody has needed for a while, once everything is
/// exported.
struct IdleWatch: Sendable {
    let limit: Duration
    let ledger: IntakeLedger
    let admission: Admission
    let control: ControlServer
    let exporters: Exporters

    /// Returns when the agent may end, or is told to.
    func run(_ stop: ThreadService.Stop) {
        var received = ledger.snapshot.received
        var since = Clocks.monotonic()
        let nanoseconds = UInt64(max(0, limit / .nanoseconds(1)))
        let pause = min(.seconds(1), limit / 4)
        while !stop.wait(atMost: pause) {
            let now = ledger.snapshot.received
            if now != received || admission.connections > 0 {
                received = now
                since = Clocks.monotonic()
            }
            let idleSince = max(since, control.lastQuestion)
            if Clocks.monotonic() - idleSince > nanoseconds, exporters.isDone { return }
        }
    }
}
