import ByteCoding
import SystemIO
import TelemetryBatch
import Testing

@testable import CodexTelemetry

// Swift does not offer `fork`; what the library promises about it can be shown by nothing else.
@_silgen_name("fork") private func systemFork() -> Int32
@_silgen_name("exit") private func systemExit(_ code: Int32) -> Never

/// Runs `body` in a child of a fork; how it ended, nil if it was still running after 20 s.
private func inChild(_ body: () -> Void) throws -> ChildProcess.Event? {
    let pid = systemFork()
    if pid == 0 {
        body()
        // Only reached if the body does not exit by itself.
        ThisProcess.exitNow(0)
    }
    let child = ChildProcess(forTests: pid)
    let deadline = Clocks.monotonic() + 20_000_000_000
    while Clocks.monotonic() < deadline {
        if let event = try child.poll() { return event }
        _ = try Readiness.wait(forAnyOf: [], milliseconds: 2)
    }
    Signals.send(9, to: pid)
    return nil
}

extension ChildProcess {
    /// A child that was made by `fork`.
    fileprivate init(forTests pid: Int32) { self = unsafeBitCast(pid, to: ChildProcess.self) }
}

@Suite(.serialized) struct `A process's end and its children` {
    @Test func `a process that exits right after its last record loses nothing`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let configuration = scratch.configuration()
        let event = try inChild {
            let telemetry = Telemetry(configuration)
            for _ in 0..<1_000 {
                telemetry.emitSpan("s", telemetry.newContext(), start: Telemetry.now())
            }
            telemetry.event("last")
            systemExit(7)
        }
        #expect(event == .exited(7))
        // Sent, or spooled as well because the ack took longer than an exit may.
        let names = try agent.names(with: scratch)
        #expect(names.filter { $0 == "s" }.count == 1_000)
        #expect(names.contains("last"))
        try agent.stop()
    }

    @Test func `a process that exits without an agent leaves everything in the spool`() throws {
        let scratch = try Scratch()
        let configuration = scratch.configuration()
        let event = try inChild {
            let telemetry = Telemetry(configuration)
            telemetry.event("last")
            telemetry.counter("c").add()
            systemExit(0)
        }
        #expect(event == .exited(0))
        let names = try scratch.spooled().values.flatMap { try $0.flatMap(FakeAgent.names) }
        #expect(names == ["last", "c"])
    }

    @Test func `an agent that stalls delays an exit by milliseconds, and the spool has it`() throws
    {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket, .stalls)
        let configuration = scratch.configuration()
        let start = Clocks.monotonic()
        let event = try inChild {
            Telemetry(configuration).event("last")
            systemExit(0)
        }
        #expect(event == .exited(0))
        #expect(Clocks.monotonic() - start < 1_000_000_000)
        let names = try scratch.spooled().values.flatMap { try $0.flatMap(FakeAgent.names) }
        #expect(names == ["last"])
        try agent.stop()
    }

    @Test func `a forked child is a producer of its own, and repeats nothing of its parent's`()
        throws
    {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration())
        let counter = telemetry.counter("c")
        telemetry.event("before")
        counter.add(1)
        #expect(telemetry.flush(timeout: .seconds(5)))
        // In the parent's buffers when it forks: the child must not send them too.
        telemetry.event("parent")
        let event = try inChild {
            telemetry.event("child")
            counter.add(5)
            let context = telemetry.newContext()
            telemetry.event("ids") { $0.set("id", "\(context.spanID)") }
            systemExit(0)
        }
        #expect(event == .exited(0))
        #expect(telemetry.flush(timeout: .seconds(5)))
        let names = try agent.names(with: scratch)
        for name in ["before", "parent", "child", "ids"] {
            #expect(names.filter { $0 == name }.count == 1, "\(name)")
        }
        #expect(names.filter { $0 == "c" }.count == 2)
        let batches =
            agent.state.withLock { $0.batches } + (try scratch.spooled().values.flatMap { $0 })
        let headers = try batches.map { try Batch($0).header.producer }
        #expect(Set(headers).count == 2)
        let pids = try batches.map { bytes in
            let batch = try Batch(bytes)
            return batch.attribute("process.pid", in: batch.resource.attributes)?
                .description(in: batch)
        }
        #expect(Set(pids).count == 2)
        telemetry.shutdown()
        try agent.stop()
    }

    @Test func `a child forked amid other threads' records can record`() throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration())
        let stop = Monitor(false)
        let threads = try (0..<8).map { _ in
            try SystemThread.start(name: "emit") {
                while !stop.withLock({ $0 }) {
                    telemetry.emitSpan("s", telemetry.newContext(), start: Telemetry.now())
                }
            }
        }
        for round in 0..<5 {
            let event = try inChild {
                telemetry.event("child")
                systemExit(Int32(round))
            }
            #expect(event == .exited(Int32(round)))
        }
        stop.update { $0 = true }
        for thread in threads { thread.join() }
        telemetry.flush(timeout: .seconds(10))
        telemetry.shutdown()
        // By the socket, or by the spool because the ack took longer than an exit may, or both.
        var producers: Set<String> = []
        for bytes in agent.state.withLock({ $0.batches })
            + (try scratch.spooled().values.flatMap { $0 })
        where try FakeAgent.names(bytes).contains("child") {
            producers.insert(try Batch(bytes).header.producer.description)
        }
        #expect(producers.count == 5)
        try agent.stop()
    }
}
