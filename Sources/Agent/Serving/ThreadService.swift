internal import Logging
internal import ServiceLifecycle
internal import Synchronization
internal import SystemIO

/// A loop on a thread of its own, as a service: for work that blocks, which has no place in the
/// cooperative pool. `body` runs until it returns; it must return soon after `stop` is raised.
struct ThreadService: Service {
    /// Told to stop, and can be waited on.
    final class Stop: Sendable {
        private let monitor = Monitor<Bool>(false)

        /// Not raised.
        init() {}

        /// Raises it, for good.
        func raise() { monitor.update { $0 = true } }

        /// Whether it was raised.
        var isRaised: Bool { monitor.withLock { $0 } }

        /// Waits until it is raised.
        func wait() { _ = monitor.wait { $0 ? true : nil } }

        /// Waits until it is raised, at most `limit`; whether it was.
        func wait(atMost limit: Duration) -> Bool {
            let parts = limit.components
            let nanoseconds =
                UInt64(parts.seconds) * 1_000_000_000
                + UInt64(parts.attoseconds / 1_000_000_000)
            let deadline = Clocks.monotonic() + nanoseconds
            return monitor.wait(until: deadline) { $0 ? true : nil } ?? false
        }
    }

    private let name: String
    private let stop: Stop
    private let body: @Sendable (Stop) -> Void
    private let onStop: @Sendable () -> Void

    /// - Parameters:
    ///   - name: the thread's name, at most 15 bytes.
    ///   - onStop: called once when `stop` is raised, to wake what blocks.
    init(
        name: String, onStop: @escaping @Sendable () -> Void = {},
        body: @escaping @Sendable (Stop) -> Void
    ) {
        self.name = name
        stop = Stop()
        self.body = body
        self.onStop = onStop
    }

    /// Runs the thread until it ends.
    func run() async throws {
        let ended = AsyncStream<Void>.makeStream()
        let stop = self.stop
        let body = self.body
        let thread = try SystemThread.start(name: name) {
            body(stop)
            ended.continuation.finish()
        }
        let onStop = self.onStop
        await withTaskCancellationOrGracefulShutdownHandler {
            for await _ in ended.stream {}
        } onCancelOrGracefulShutdown: {
            stop.raise()
            onStop()
        }
        // A cancelled task leaves the stream early; the thread is waited for all the same.
        stop.raise()
        onStop()
        thread.join()
    }
}
