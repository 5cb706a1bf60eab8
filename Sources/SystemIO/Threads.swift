import CSystemIO

/// A thread of the kernel's, for work that blocks: it takes no place in the cooperative pool. All
/// signals are blocked in it.
package struct SystemThread: Sendable {
    private let identity: UInt64

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Starts `body` on a new thread. `name` has at most 15 bytes. The thread must be joined or
    /// detached, once.
    package static func start(
        name: String, stackBytes: Int = 512 << 10, _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) -> SystemThread {
        var identity: UInt64 = 0
        // Sound: the body is retained here and released by the new thread, once, or below.
        let context = Unmanaged.passRetained(Body(body)).toOpaque()
        let result = cxt_thread_start(
            name, stackBytes,
            { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() }, context, &identity)
        if result < 0 { Unmanaged<Body>.fromOpaque(context).release() }
        try check(result, .thread)
        return SystemThread(identity: identity)
    }

    /// Waits until the thread has ended. Once only.
    package func join() { _ = cxt_thread_join(identity) }

    /// Nobody will join it.
    package func detach() { _ = cxt_thread_detach(identity) }
}

/// State that several threads share, with waiting: a mutex and a condition. For threads that may
/// block; code that never waits uses `Mutex`.
package final class Monitor<State>: @unchecked Sendable {
    // Guard: `state` is touched only between lock and unlock of `monitor`.
    private let monitor: OpaquePointer
    private var state: State

    /// With a first state.
    package init(_ state: sending State) {
        monitor = cxt_monitor_make()
        self.state = state
    }

    deinit { cxt_monitor_free(monitor) }

    /// Runs `body` with the lock held. It must not block.
    package func withLock<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        cxt_monitor_lock(monitor)
        defer { cxt_monitor_unlock(monitor) }
        return try body(&state)
    }

    /// Runs `body` with the lock held, then wakes all that wait.
    package func update<Result>(_ body: (inout State) -> Result) -> Result {
        cxt_monitor_lock(monitor)
        // Who is woken while the lock is held goes to sleep again on it.
        defer {
            cxt_monitor_unlock(monitor)
            cxt_monitor_wake_all(monitor)
        }
        return body(&state)
    }

    /// Runs `body` with the lock held, again after each wake-up, until it returns a value, or until
    /// `deadline` (nanoseconds of `Clocks.monotonic`, nil never): then nil. Blocks.
    package func wait<Result>(until deadline: UInt64? = nil, _ body: (inout State) -> Result?)
        -> Result?
    {
        cxt_monitor_lock(monitor)
        defer { cxt_monitor_unlock(monitor) }
        while true {
            if let result = body(&state) { return result }
            if cxt_monitor_wait(monitor, deadline ?? 0) != 0 { return body(&state) }
        }
    }
}
