import ArgumentParser
import CodexTelemetry
import Inspect
import SystemIO

/// `emit`: one record from a shell script.
struct Emit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Record one event, span or measurement from a script.",
        discussion: """
            It joins the trace and session in TRACEPARENT and BAGGAGE. Recorded unless \
            CODEX_OTEL_ENABLED is false.
            """,
        subcommands: [
            EmitEvent.self, EmitSpan.self, EmitCounter.self, EmitGauge.self, EmitHistogram.self,
        ])

    /// Why a record failed, as it is given on the command line.
    static func errorType(_ text: String?) throws -> ErrorType? {
        guard let text else { return nil }
        guard let known = ErrorType(rawValue: text) else {
            let names = ErrorType.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("'\(text)' is no error type; known are \(names)")
        }
        return known
    }
}

/// What every record may have.
struct RecordOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "An attribute: key=text, or key:=value for a number, true or false.",
            valueName: "key=value"))
    var attribute: [String] = []
    @Option(help: "The service's name; default: CODEX_OTEL_SERVICE_NAME, else codex-cli.")
    var service: String?
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    /// The attributes with their types.
    func attributes() throws -> [Attribute] {
        try attribute.map { text in
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                throw ValidationError("'\(text)' is no attribute: give key=value")
            }
            let value = String(text[text.index(after: equals)...])
            let before = text.index(before: equals)
            guard text[before] == ":" else {
                return Attribute(String(text[..<equals]), .string(value))
            }
            guard before > text.startIndex, let typed = Self.typed(value) else {
                throw ValidationError("'\(text)': after := comes a number, true or false")
            }
            return Attribute(String(text[..<before]), typed)
        }
    }

    private static func typed(_ text: String) -> AttributeValue? {
        if text == "true" || text == "false" { return .bool(text == "true") }
        if let number = Int64(text) { return .int(number) }
        return Double(text).map { .double($0) }
    }

    /// Makes the record with `body` and hands it over.
    func deliver(_ body: (inout OneShot) throws -> Void) throws {
        var configuration = Telemetry.Configuration()
        configuration.givenServiceName = service
        configuration.overrides = places.choice.overrides
        var shot = OneShot(configuration)
        guard shot.isEnabled else { return }
        _ = StartOnDemand.ensureAgent(places.choice)
        try body(&shot)
        if case .dropped(let why) = shot.deliver() {
            throw CommandFailure(.failed, "the record is lost: \(why)")
        }
    }
}

/// `emit event NAME`.
struct EmitEvent: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event", abstract: "Record an event.")

    @Argument(help: "What happened: deploy.finished.") var name: String
    @Option(help: "trace, debug, info, warn, error or fatal.") var severity = "info"
    @Option(help: "A text.") var body = ""
    @Option(help: "Why it failed.") var errorType: String?
    @OptionGroup var options: RecordOptions

    func run() throws {
        let known: [(String, Severity)] = [
            ("trace", .trace), ("debug", .debug), ("info", .info), ("warn", .warn),
            ("error", .error), ("fatal", .fatal),
        ]
        guard let severity = known.first(where: { $0.0 == self.severity })?.1 else {
            let names = known.map(\.0).joined(separator: ", ")
            throw ValidationError("'\(self.severity)' is no severity; known are \(names)")
        }
        let attributes = try options.attributes()
        let error = try Emit.errorType(errorType)
        try options.deliver { shot in
            shot.event(
                name, severity: severity, body: body, error: error, attributes: attributes)
        }
    }
}

/// `emit span NAME`.
struct EmitSpan: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "span", abstract: "Record a span that has ended.",
        discussion: "Give --duration (it ended now, or at --end), or --start (and --end).")

    @Argument(help: "What was done.") var name: String
    @Option(help: "How long it took: 250ms, 1.5s.") var duration: String?
    @Option(help: "When it began: RFC 3339, 14:30, \"5 min ago\".") var start: String?
    @Option(help: "When it ended; default: now.") var end: String?
    @Option(help: "ok, error or unset.") var status = "unset"
    @Option(help: "Why it failed.") var errorType: String?
    @OptionGroup var options: RecordOptions

    func run() throws {
        let known: [(String, SpanStatus)] = [("ok", .ok), ("error", .error), ("unset", .unset)]
        guard let status = known.first(where: { $0.0 == self.status })?.1 else {
            throw ValidationError("'\(self.status)' is no status: give ok, error or unset")
        }
        let attributes = try options.attributes()
        let error = try Emit.errorType(errorType)
        let (begin, finish) = try times()
        try options.deliver { shot in
            shot.span(
                name, start: begin, end: finish, status: status, error: error,
                attributes: attributes)
        }
    }

    private func times() throws -> (Telemetry.Instant, Telemetry.Instant) {
        let now = Clocks.wall()
        let zone = TimeZoneRule { LocalZone.secondsEast(at: $0) }
        let begin: UInt64
        let finish: UInt64
        do throws(TimeExpressionError) {
            finish =
                try end.map { text throws(TimeExpressionError) in
                    try TimeExpression.parse(text, now: now, zone: zone)
                } ?? now
            if let start {
                begin = try TimeExpression.parse(start, now: now, zone: zone)
            } else if let duration {
                let length = try DurationExpression.parse(duration)
                begin = finish > length ? finish - length : 0
            } else {
                begin = finish
            }
        } catch {
            throw ValidationError(error.description)
        }
        guard start == nil || duration == nil else {
            throw ValidationError("give --duration or --start, not both")
        }
        guard start != nil || duration != nil else {
            throw ValidationError("give --duration, or --start")
        }
        guard begin <= finish else { throw ValidationError("it ended before it began") }
        // The client counts on the clock that never jumps.
        let monotonic = Clocks.monotonic()
        return (
            Telemetry.Instant(nanoseconds: monotonic &- (now &- begin)),
            Telemetry.Instant(nanoseconds: monotonic &- (now &- finish))
        )
    }
}

/// `emit counter NAME VALUE`.
struct EmitCounter: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counter", abstract: "Add to a counter.")

    @Argument(help: "The counter's name.") var name: String
    @Argument(help: "What is added: a whole number, 0 or more.") var value: Int
    @Option(help: "The unit (UCUM): By, ms, {token}.") var unit = ""
    @OptionGroup var options: RecordOptions

    func run() throws {
        guard value >= 0 else { throw ValidationError("a counter only rises") }
        let attributes = try options.attributes()
        try options.deliver { $0.count(name, value, unit: unit, attributes: attributes) }
    }
}

/// `emit gauge NAME VALUE`.
struct EmitGauge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gauge", abstract: "Record a gauge's value.")

    @Argument(help: "The gauge's name.") var name: String
    @Argument(help: "Its value.") var value: Double
    @Option(help: "The unit (UCUM): By, ms, {token}.") var unit = ""
    @OptionGroup var options: RecordOptions

    func run() throws {
        let attributes = try options.attributes()
        try options.deliver { $0.gauge(name, value, unit: unit, attributes: attributes) }
    }
}

/// `emit histogram NAME VALUE`.
struct EmitHistogram: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "histogram", abstract: "Record one value of a histogram.")

    @Argument(help: "The histogram's name.") var name: String
    @Argument(help: "The value.") var value: Double
    @Option(help: "The unit (UCUM): By, ms, {token}.") var unit = ""
    @OptionGroup var options: RecordOptions

    func run() throws {
        let attributes = try options.attributes()
        try options.deliver { $0.histogram(name, value, unit: unit, attributes: attributes) }
    }
}
