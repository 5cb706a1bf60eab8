// What emitting costs the instrumented process. See --help.

import CAllocationCount
import CodexTelemetry
import Places
import Synchronization
import SystemIO

let help = """
    client-bench [--json] [--rounds N] [profile [withSpan] | sustained]

    Nanoseconds a call, as min / median / max over the rounds (default 60). In a round each thread makes
    1,000 calls; between rounds, outside of the time, everything is sent to a process that acks. The
    "sustained" row has no such pauses: the flushing thread and the sink run beside the emitter.
    `profile` runs emitSpan (or withSpan) alone, for perf.
    """

var arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "sink" {
    try Sink.run(arguments[1])
}
if arguments.contains("--help") {
    print(help)
    ThisProcess.exitNow(0)
}
let isJSON = arguments.contains("--json")
var rounds = 60
if let place = arguments.firstIndex(of: "--rounds"), place + 1 < arguments.count {
    rounds = Int(arguments[place + 1]) ?? rounds
}

let scratch = "/tmp/client-bench-\(ThisProcess.pid)"
try Files.makeDirectory(scratch)
let socketPath = scratch + "/ingest.sock"
let sink = try SinkProcess(socketPath)
defer { sink.stop(scratch) }

func configuration(enabled: Bool, thread: Bool) -> Telemetry.Configuration {
    var configuration = Telemetry.Configuration()
    configuration.isEnabled = enabled
    let variables = ["CODEX_TELEMETRY_SOCKET": socketPath, "CODEX_TELEMETRY_STATE_DIR": scratch]
    configuration.surroundings = Surroundings(
        environment: { variables[$0] }, euid: ThisProcess.euid, ownsDirectory: { _ in false })
    configuration.startsThread = thread
    return configuration
}

let telemetry = Telemetry(configuration(enabled: true, thread: false))
let parent = telemetry.newContext()
let bench = Bench(rounds: rounds, between: { telemetry.flush(timeout: .seconds(5)) })

if let place = arguments.firstIndex(of: "profile") {
    let isWithSpan = place + 1 < arguments.count && arguments[place + 1] == "withSpan"
    let samples = bench.run(threads: 1) { calls in
        if isWithSpan { return Workload.withSpans(telemetry, calls) }
        for number in 0..<calls {
            Workload.emit(telemetry, parent, number)
        }
    }
    try StandardStream.output.write(Array("\(samples.minimum) \(samples.median) ns\n".utf8))
    sink.stop(scratch)
    ThisProcess.exitNow(0)
}

if arguments.contains("sustained") {
    let result = Sustained.measure(Telemetry(configuration(enabled: true, thread: true)))
    try StandardStream.output.write(Array("\(result)\n".utf8))
    sink.stop(scratch)
    ThisProcess.exitNow(0)
}

var report = Report()
for threads in [1, 2] {
    let clocks = bench.run(threads: threads) { calls in
        var sum: UInt64 = 0
        for _ in 0..<calls { sum &+= Workload.twoClocks() }
        if sum == 0 { fatal("no clock") }
    }
    let arithmetic = bench.run(threads: threads) { calls in
        if Workload.arithmetic(calls) == 0 { fatal("no arithmetic") }
    }
    report.add("arithmetic", threads, arithmetic)
    let emit = bench.run(threads: threads) { calls in
        for number in 0..<calls { Workload.emit(telemetry, parent, number) }
    }
    let spans = bench.run(threads: threads) { Workload.withSpans(telemetry, $0) }
    report.add("two clock reads", threads, clocks)
    report.add("emitSpan, 4 attributes, 2 clocks", threads, emit, against: clocks, limit: 2.2)
    report.add("withSpan", threads, spans, limitNanoseconds: 250)
}
report.add(
    "disabled", 1, bench.run(threads: 1) { Workload.disabled(parent, $0) },
    limitNanoseconds: 2)
report.allocations = Allocations.measure(telemetry, parent)
report.bytes = [1, 8, 64, 4_096].map { ($0, Bytes.aSpan(telemetry, batch: $0)) }
report.sustained = Sustained.measure(Telemetry(configuration(enabled: true, thread: true)))
let statistics = telemetry.statistics
report.dropped = statistics.dropped.total + statistics.spooled.total
print(isJSON ? report.json : report.table)
