import SystemIO
import Testing

@Suite struct ProcessTests {
    private func shell(_ script: String, environment: [String]? = nil) throws -> ChildProcess {
        try ChildProcess.start(
            "sh", arguments: ["sh", "-c", script], environment: environment)
    }

    @Test func `a child's end is told as it was`() throws {
        #expect(try shell("exit 3").wait() == .exited(3))
        #expect(try shell("kill -9 $$").wait() == .killed(Signals.kill))
        #expect(try shell("kill -TERM $$").wait() == .killed(Signals.terminate))
        #expect(
            try shell("test \"$X\" = y", environment: ["X=y", "PATH=/bin:/usr/bin"]).wait()
                == .exited(0))
    }

    @Test func `a stopped child is told and goes on`() throws {
        let child = try shell("kill -STOP $$; exit 4")
        #expect(try child.wait(stopped: true) == .stopped(Signals.stop))
        #expect(child.send(Signals.goOn))
        var event = try child.wait(stopped: true)
        if event == .continued { event = try child.wait(stopped: true) }
        #expect(event == .exited(4))
    }

    @Test func `a program that is not there is an error`() throws {
        do {
            _ = try ChildProcess.start("no-such-program-at-all", arguments: ["x"])
            Issue.record("was started")
        } catch {
            #expect(error.isNotFound)
        }
    }

    @Test func `a child's streams may be ours`() throws {
        let pipe = try Pipe()
        let child = try ChildProcess.start(
            "sh", arguments: ["sh", "-c", "echo hello"], output: pipe.writing.number)
        #expect(try child.wait() == .exited(0))
        var bytes: [UInt8] = []
        #expect(try pipe.reading.readSome(appendingTo: &bytes, limit: 100) == 6)
        #expect(String(decoding: bytes, as: UTF8.self) == "hello\n")
    }

    @Test func `a process is named by pid and start`() throws {
        #if os(Linux)
            let ticks = try #require(ThisProcess.startTicks(of: ThisProcess.pid))
            #expect(ticks > 0)
            #expect(ThisProcess.startTicks(of: ThisProcess.pid) == ticks)
            #expect(ThisProcess.startTicks(of: 0) == nil)
            #expect(ThisProcess.memory().anonymous > 0)
        #endif
        #expect(ThisProcess.isRunning(ThisProcess.pid))
        #expect(ThisProcess.environment("PATH") != nil)
        #expect(ThisProcess.environment("NO_SUCH_VARIABLE_AT_ALL") == nil)
    }

    @Test func `threads share state and wait for each other`() throws {
        let sum = Monitor(0)
        let threads = try (1...4).map { number in
            try SystemThread.start(name: "adder") {
                for _ in 0..<1000 { sum.update { $0 += number } }
            }
        }
        #expect(sum.wait { $0 == 10_000 ? true : nil } == true)
        for thread in threads { thread.join() }
        let before = Clocks.monotonic()
        #expect(sum.wait(until: before + 2_000_000) { $0 == 0 ? true : nil } == nil)
        #expect(Clocks.monotonic() >= before + 2_000_000)
    }

    @Test func `a signal that is blocked waits for us`() throws {
        let seen = Monitor<Int32?>(nil)
        let thread = try SystemThread.start(name: "signals") {
            do {
                // A thread starts with every signal blocked; this one is sent to it alone by being
                // the only one that waits.
                let signal = try Signals.wait(for: [Signals.user2], milliseconds: 1)
                seen.update { $0 = signal ?? 0 }
            } catch {
                seen.update { $0 = -1 }
            }
        }
        thread.join()
        #expect(seen.withLock { $0 } == 0)
    }
}
