import CodexTelemetry

/// The span of the figures: a tool call with four attributes, two of them text.
enum Workload {
    static let models = ["gpt-5-codex", "gpt-5-codex-mini"]
    static let tools = ["shell", "apply_patch", "read_file", "update_plan"]

    /// Low-level: the context is given, two clocks are read (one here, one in the call).
    @inline(__always)
    static func emit(_ telemetry: Telemetry, _ parent: TraceContext, _ number: Int) {
        let start = Telemetry.now()
        telemetry.emitSpan("codex.tool", parent, start: start, status: .ok) { span in
            span.set(.genAIRequestModel, models[number & 1])
            span.set(.genAIToolName, tools[number & 3])
            span.set(.genAIInputTokens, 1_000 + number)
            span.set("codex.tool.success", true)
        }
    }

    /// `withSpan` as it is used: inside of another, a child of it.
    @inline(never)
    static func withSpans(_ telemetry: Telemetry, _ calls: Int) {
        telemetry.withSpan(.turn) { _ in
            for number in 0..<calls {
                telemetry.withSpan("codex.tool") { span in
                    span.status = number & 7 == 7 ? .error : .ok
                }
            }
        }
    }

    /// Off, as programs use it: through `Telemetry.shared`, read each time.
    @inline(never)
    static func disabled(_ parent: TraceContext, _ calls: Int) {
        for number in 0..<calls {
            let start = Telemetry.Instant(nanoseconds: 0)
            Telemetry.shared.emitSpan("codex.tool", parent, start: start) { span in
                span.set(.genAIRequestModel, models[number & 1])
                span.set(.genAIToolName, tools[number & 3])
                span.set(.genAIInputTokens, 1_000 + number)
                span.set("codex.tool.success", true)
            }
        }
    }

    /// Integer work without memory: what it takes says how much of a core there is.
    @inline(never)
    static func arithmetic(_ calls: Int) -> UInt64 {
        var a: UInt64 = 1
        var b: UInt64 = 2
        var c: UInt64 = 3
        for _ in 0..<(calls &* 32) {
            a = a &* 3 &+ 1
            b ^= b &<< 1
            c &+= b
            a ^= c &>> 3
        }
        return a ^ b ^ c
    }

    @inline(__always)
    static func twoClocks() -> UInt64 {
        Telemetry.now().nanoseconds &+ Telemetry.now().nanoseconds
    }
}
