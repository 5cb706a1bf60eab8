import ByteCoding
import Synchronization
import SystemIO
import TelemetryBatch
import Testing

@testable import CodexTelemetry

@Suite(.serialized) struct `With an agent` {
    @Test func `spans, events and metrics arrive with their values`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration())
        let start = Telemetry.now()
        let context = telemetry.newContext()
        telemetry.emitSpan(.tool, context, start: start, error: .toolFailed) { span in
            span.set(.genAIToolName, "shell")
            span.set(.processExitCode, 3)
        }
        telemetry.event("codex.user_prompt", severity: .warn, body: "hello", context: context)
        telemetry.counter("codex.tool.call").add(2, [Attribute("tool", "shell")])
        telemetry.counter("codex.tool.call").add(3, [Attribute("tool", "shell")])
        telemetry.gauge("codex.context.left").record(0.5)
        telemetry.histogram("codex.tool.duration", unit: "ms").record(12)
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(
            try agent.names() == [
                "codex.tool", "codex.user_prompt", "codex.tool.call", "codex.context.left",
                "codex.tool.duration",
            ])
        let batches = agent.state.withLock { $0.batches }
        let batch = try Batch(batches[0])
        guard case .span(let span)? = batch.records.first(where: { _ in true }) else {
            Issue.record("no span")
            return
        }
        #expect(span.traceID.hex == context.traceID.description)
        #expect(span.status == .error)
        #expect(
            batch.attribute("error.type", in: span.attributes)?.description(in: batch)
                == "tool_failed")
        #expect(
            batch.attribute("service.name", in: batch.resource.attributes)?.description(in: batch)
                == "codex-cli")
        #expect(telemetry.statistics.acked == RecordCounts(spans: 1, logs: 1, points: 3))
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `the background thread sends within the interval`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration())
        telemetry.emitSpan("one", telemetry.newContext(), start: Telemetry.now())
        #expect(agent.wait { $0.batches.count == 1 })
        telemetry.emitSpan("two", telemetry.newContext(), start: Telemetry.now())
        #expect(agent.wait { $0.batches.count == 2 })
        #expect(try agent.names() == ["one", "two"])
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `what was stored but not acked is sent again and stored once`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .storesAndCloses(3))
        let telemetry = Telemetry(scratch.configuration())
        for number in 0..<20 {
            telemetry.event("e", context: nil) { $0.set("n", number) }
            if number % 4 == 0 { telemetry.flush(timeout: .milliseconds(30)) }
        }
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(try agent.names().count == 20)
        #expect(try scratch.spooled().isEmpty)
        #expect(telemetry.statistics.acked.logs == 20)
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `a throttle loses nothing`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .throttles(2))
        let telemetry = Telemetry(scratch.configuration())
        telemetry.event("one")
        telemetry.event("two")
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(try agent.names() == ["one", "two"])
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `a refused batch is counted and the next goes through`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .refuses(1))
        let telemetry = Telemetry(scratch.configuration())
        telemetry.event("bad")
        #expect(telemetry.flush(timeout: .seconds(5)))
        telemetry.event("good")
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(try agent.names() == ["good"])
        #expect(telemetry.statistics.refused.logs == 1)
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `an agent that stalls does not keep the process: the spool gets it`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .stalls)
        let telemetry = Telemetry(scratch.configuration())
        telemetry.event("one")
        let start = Clocks.monotonic()
        telemetry.shutdown()
        // That it ends at all, on a busy machine too; how soon is the benchmarks' affair.
        #expect(Clocks.monotonic() - start < 10_000_000_000)
        let files = try scratch.spooled()
        #expect(try files.values.flatMap { try $0.flatMap { try FakeAgent.names($0) } } == ["one"])
        try agent.stop()
    }

    @Test func `without an agent batches are spooled, then a new producer speaks to the agent`()
        throws
    {
        let scratch = try Scratch()
        let telemetry = Telemetry(
            scratch.configuration(startsThread: false) { configuration in
                configuration.limits.backoffMin = 1
                configuration.limits.backoffMax = 1
            })
        telemetry.event("one")
        #expect(telemetry.flush(timeout: .seconds(2)))
        telemetry.event("two")
        #expect(telemetry.flush(timeout: .seconds(2)))
        let agent = try FakeAgent(scratch.socket)
        telemetry.event("three")
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(try agent.names() == ["three"])
        let files = try scratch.spooled()
        #expect(files.count == 1)
        #expect(
            try files.values.flatMap { try $0.flatMap { try FakeAgent.names($0) } } == [
                "one", "two",
            ])
        let hello = agent.state.withLock { $0.hellos[0].producer.hex }
        #expect(!files.keys.contains(hello + ".spool"))
        #expect(telemetry.statistics.spooled.logs == 2)
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `a shard that is full drops, counts, tells the agent, and goes on after a flush`()
        throws
    {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration(startsThread: false))
        let text = String(repeating: "x", count: 60_000)
        for number in 0..<100 { telemetry.event("big") { $0.set("text", text + "\(number)") } }
        #expect(telemetry.flush(timeout: .seconds(5)))
        telemetry.event("after")
        #expect(telemetry.flush(timeout: .seconds(5)))
        let names = try agent.names()
        let dropped = telemetry.statistics.dropped.logs
        #expect(dropped > 0)
        #expect(names.count == 101 - dropped)
        #expect(names.last == "after")
        #expect(try agent.dropped() == dropped)
        telemetry.shutdown()
        telemetry.event("late")
        #expect(telemetry.flush(timeout: .seconds(1)))
        #expect(try agent.names().last == "after")
        try agent.stop()
    }

    @Test func `64 threads: every span arrives once or is counted`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration())
        let threads = try (0..<64).map { number in
            try SystemThread.start(name: "emit") {
                for step in 0..<500 {
                    telemetry.emitSpan("s", telemetry.newContext(), start: Telemetry.now()) {
                        $0.set("n", number * 500 + step)
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(telemetry.flush(timeout: .seconds(10)))
        let statistics = telemetry.statistics
        let count = try agent.names().count
        #expect(count + statistics.dropped.spans == 64 * 500, "\(statistics)")
        #expect(statistics.acked.spans == count)
        #expect(statistics.dropped.spans == 0)
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `hello names the variables that point elsewhere, never their values`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(
            scratch.configuration([
                "OTEL_EXPORTER_OTLP_HEADERS": "secret", "CODEX_OTEL_ENDPOINT": "http://secret",
            ]))
        telemetry.event("one")
        #expect(telemetry.flush(timeout: .seconds(5)))
        let properties = agent.state.withLock { $0.hellos[0].properties }
        #expect(
            properties.last
                == Hello.Property(
                    key: "environment", value: "CODEX_OTEL_ENDPOINT,OTEL_EXPORTER_OTLP_HEADERS"))
        #expect(!properties.contains { $0.value.contains("secret") })
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `one shot: acked by an agent, spooled without one`() throws {
        let scratch = try Scratch()
        var first = OneShot(scratch.configuration())
        first.span("codex.command", start: Telemetry.now(), end: Telemetry.now())
        guard case .spooled(let path, _) = first.deliver() else {
            Issue.record("not spooled")
            return
        }
        #expect(Files.exists(path))
        let agent = try FakeAgent(scratch.socket)
        var second = OneShot(scratch.configuration())
        second.event("hello", attributes: [Attribute("a", 1)])
        #expect(second.deliver(waiting: 5_000_000_000) == .acked(offset: 8))
        #expect(try agent.names() == ["hello"])
        #expect(OneShot(scratch.configuration()).deliver() == .nothing)
        try agent.stop()
    }

    @Test func `one shot: an agent that does not answer costs 2 ms, and the spool has it too`()
        throws
    {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .silent)
        var shot = OneShot(scratch.configuration())
        shot.event("hello")
        guard case .spooled(_, let why) = shot.deliver() else {
            Issue.record("not spooled")
            return
        }
        #expect(why.contains("no ack"))
        #expect(agent.wait { $0.batches.count == 1 })
        try agent.stop()
    }
}

extension Value {
    /// For tests: text as it is, all else as Swift prints it.
    func description(in batch: Batch) -> String {
        if case .string(let ref) = self { return batch.text(ref) }
        return "\(self)"
    }
}
