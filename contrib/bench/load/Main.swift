import ByteCoding
import SystemIO
import TelemetryBatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the command line asked for.
struct Options {
    var socket = ""
    var spans = 100_000
    var batch = 512
    var connections = 4
    /// Spans a second in all, 0: as fast as acks allow.
    var rate = 0
    var windowBytes = Int.max
    var hasUniqueTexts = false
    /// Writes the frames to a file instead of sending them.
    var dump: String?

    static let usage = """
        usage: batch-load SOCKET [--spans N] [--batch N] [--connections N] [--rate SPANS-PER-SECOND]
                          [--window BYTES] [--unique-texts]
               batch-load --dump FILE [--spans N] [--batch N]

        Sends spans in batches that are made before the clock starts; prints a line of JSON.
        """

    init?(_ words: [String]) {
        var words = words[...]
        while let word = words.popFirst() {
            if word == "--unique-texts" {
                hasUniqueTexts = true
                continue
            }
            if !word.hasPrefix("--") {
                socket = word
                continue
            }
            guard let value = words.popFirst() else { return nil }
            if word == "--dump" {
                dump = value
                continue
            }
            guard let number = Int(value), number >= 0 else { return nil }
            switch word {
            case "--spans": spans = number
            case "--batch": batch = max(number, 1)
            case "--connections": connections = max(number, 1)
            case "--rate": rate = number
            case "--window": windowBytes = number
            default: return nil
            }
        }
        if socket.isEmpty == (dump == nil) { return nil }
    }

    /// Distinct ready batches of a connection: about 2,000 spans, at least 4 batches.
    var distinct: Int { min(max(4, 2048 / batch), 512) }
    var batchesPerConnection: Int { max(1, spans / batch / connections) }
}

@main
enum Main {
    static func main() throws {
        guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
            print(Options.usage)
            exit(64)
        }
        let workload = Workload(
            spansPerBatch: options.batch, hasUniqueTexts: options.hasUniqueTexts)
        if let path = options.dump {
            try dump(workload, options, path)
        } else {
            try load(workload, options)
        }
    }

    /// The bytes that one producer would send.
    private static func dump(_ workload: Workload, _ options: Options, _ path: String) throws {
        var frames = workload.frames(producer: .random(), count: options.distinct)
        var output = ByteWriter()
        for number in 0..<max(1, options.spans / options.batch) {
            let which = number % frames.count
            frames[which].stamp(sequence: UInt64(number) + 1, time: Clocks.wall())
            output.write(bytes: frames[which])
        }
        try Files.replace(path, with: output.bytes)
    }

    /// One thread for each producer; all begin together.
    private static func load(_ workload: Workload, _ options: Options) throws {
        struct State {
            var ready = 0
            var begun = false
            var outcomes: [Connection.Outcome] = []
        }
        let state = Monitor(State())
        let interval =
            options.rate == 0
            ? 0 : UInt64(1_000_000_000 * options.batch * options.connections / options.rate)
        let threads = try (0..<options.connections).map { number in
            try SystemThread.start(name: "producer-\(number)", stackBytes: 4 << 20) {
                let producer = ProducerID.random()
                let frames = workload.frames(producer: producer, count: options.distinct)
                var outcome = Connection.Outcome()
                do {
                    let connection = try Connection(
                        path: options.socket, producer: producer,
                        windowBytesMax: options.windowBytes)
                    state.update { $0.ready += 1 }
                    _ = state.wait { $0.begun ? true : nil }
                    outcome = connection.run(
                        frames, count: options.batchesPerConnection, interval: interval)
                } catch {
                    outcome.failure = "\(error)"
                    state.update { $0.ready += 1 }
                }
                let done = outcome
                state.update { $0.outcomes.append(done) }
            }
        }
        _ = state.wait { $0.ready == options.connections ? true : nil }
        let start = Clocks.monotonic()
        let cpu = processorSeconds()
        state.update { $0.begun = true }
        for thread in threads { thread.join() }
        let spent = processorSeconds() - cpu
        let outcomes = state.withLock { $0.outcomes }
        report(outcomes, options, start: start, processorSeconds: spent)
        if outcomes.contains(where: { $0.failure != nil }) { exit(1) }
    }

    private static func report(
        _ outcomes: [Connection.Outcome], _ options: Options, start: UInt64,
        processorSeconds: Double
    ) {
        let latencies = outcomes.flatMap(\.latencies).sorted()
        func quantile(_ part: Double) -> Double {
            guard !latencies.isEmpty else { return 0 }
            let index = min(latencies.count - 1, Int(Double(latencies.count) * part))
            return Double(latencies[index]) / 1e6
        }
        let end = outcomes.map(\.lastAck).max() ?? start
        let batches = outcomes.map(\.batches).reduce(0, +)
        var json = JSONWriter()
        json.beginObject()
        for (key, value) in [
            ("batches", batches), ("spans", latencies.count * options.batch),
            ("bytes", outcomes.map(\.bytes).reduce(0, +)),
        ] {
            json.key(key)
            json.integer(value)
        }
        for (key, value) in [
            ("seconds", Double(max(end, start) - start) / 1e9), ("cpu_seconds", processorSeconds),
            ("ack_ms_p50", quantile(0.5)), ("ack_ms_p99", quantile(0.99)),
            ("ack_ms_max", quantile(1)),
        ] {
            json.key(key)
            json.double(value)
        }
        json.key("failure")
        json.string(outcomes.compactMap(\.failure).first ?? "")
        json.endObject()
        print(json.text)
    }

    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
