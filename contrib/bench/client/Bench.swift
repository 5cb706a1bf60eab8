import CAllocationCount
import CodexTelemetry
import Synchronization
import SystemIO

/// The sink as a child process.
struct SinkProcess {
    private let child: Int32
    private let path: String

    init(_ path: String) throws {
        self.path = path
        child = try ChildProcess.start(
            "/proc/self/exe", arguments: ["client-bench", "sink", path], environment: []
        ).pid
        while !Files.exists(path) { _ = try Readiness.wait(forAnyOf: [], milliseconds: 5) }
    }

    func stop(_ directory: String) {
        Signals.send(9, to: child)
        // Rubbish of a benchmark that cannot be removed is no failure of it.
        _ = try? Files.remove(path)
        _ = try? Files.removeDirectory(directory + "/spool")
        _ = try? Files.removeDirectory(directory)
    }
}

/// Nanoseconds a call: one value a round, the mean of the round's threads.
struct Samples {
    var values: [Double]

    var sorted: [Double] { values.sorted() }
    var minimum: Double { sorted[0] }
    var median: Double { sorted[values.count / 2] }
    var maximum: Double { sorted[values.count - 1] }
}

/// Runs calls in rounds on some threads, all of a round at the same time.
struct Bench: Sendable {
    static let callsInARound = 1_000
    let rounds: Int
    let between: @Sendable () -> Void

    /// `calls` makes that many calls: the loop is in it, so that nothing but the calls is timed.
    func run(threads: Int, _ calls: @escaping @Sendable (Int) -> Void) -> Samples {
        let total = rounds + 3
        let sums = Mutex([Double](repeating: 0, count: total))
        let barrier = Barrier(threads)
        let running = (0..<threads).map { thread in
            start {
                for round in 0..<total {
                    barrier.wait()
                    let start = Clocks.monotonic()
                    calls(Self.callsInARound)
                    let taken = Double(Clocks.monotonic() - start) / Double(Self.callsInARound)
                    sums.withLock { $0[round] += taken / Double(threads) }
                    barrier.wait()
                    if thread == 0 { between() }
                }
            }
        }
        for thread in running { thread.join() }
        // The first rounds fill caches and grow buffers.
        return Samples(values: sums.withLock { Array($0.dropFirst(3)) })
    }

    private func start(_ body: @escaping @Sendable () -> Void) -> SystemThread {
        do { return try SystemThread.start(name: "bench", body) } catch {
            fatal("no thread: \(error)")
        }
    }
}

func fatal(_ message: String) -> Never {
    print(message)
    ThisProcess.exitNow(1)
}

/// Lets threads start together: they spin, since a wake-up would cost more than what is measured.
final class Barrier: Sendable {
    private let count: Int
    private let arrived = Atomic<Int>(0)

    init(_ count: Int) { self.count = count }

    func wait() {
        let mine = arrived.add(1, ordering: .acquiringAndReleasing).oldValue
        let target = (mine / count + 1) * count
        while arrived.load(ordering: .acquiring) < target {}
    }
}

/// Allocations of the emitting thread in its steady state.
enum Allocations {
    static func measure(_ telemetry: Telemetry, _ parent: TraceContext) -> (
        emit: Double, with: Double
    ) {
        func count(_ calls: (Int) -> Void) -> Double {
            calls(2_000)
            telemetry.flush(timeout: .seconds(5))
            calls(10)
            let before = cac_allocations()
            calls(1_000)
            let after = cac_allocations()
            telemetry.flush(timeout: .seconds(5))
            return Double(after - before) / 1_000
        }
        return (
            count { calls in
                for number in 0..<calls { Workload.emit(telemetry, parent, number) }
            }, count { Workload.withSpans(telemetry, $0) }
        )
    }
}

/// Bytes on the wire.
enum Bytes {
    /// Bytes of a span in batches of this many, headers and tables included.
    static func aSpan(_ telemetry: Telemetry, batch: Int) -> Double {
        telemetry.flush(timeout: .seconds(5))
        let before = telemetry.statistics
        let turn = telemetry.newContext()
        for number in 0..<batch { Workload.emit(telemetry, turn.child(), number) }
        telemetry.flush(timeout: .seconds(5))
        let after = telemetry.statistics
        return Double(after.sealedBytes - before.sealedBytes) / Double(batch)
    }
}

/// Emitting without a pause: what the process pays in all, its flushing thread included.
enum Sustained {
    struct Result {
        var spans: Int
        var wall: Double
        var processor: Double
        var dropped: Int
    }

    static func measure(_ telemetry: Telemetry) -> Result {
        let parent = telemetry.newContext()
        let spans = 2_000_000
        let processor = ThisProcess.processorTime()
        let start = Clocks.monotonic()
        for number in 0..<spans { Workload.emit(telemetry, parent, number) }
        let wall = Clocks.monotonic() - start
        telemetry.flush(timeout: .seconds(10))
        let used = ThisProcess.processorTime() - processor
        let statistics = telemetry.statistics
        return Result(
            spans: spans, wall: Double(wall) / Double(spans),
            processor: Double(used) / Double(spans),
            dropped: statistics.dropped.total + statistics.spooled.total)
    }
}
