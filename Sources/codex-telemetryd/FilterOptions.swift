import ArgumentParser
import Inspect
import Meaning
import SystemIO

/// Which records are wanted.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only this name; * stands for anything.", valueName: "pattern"))
    var name: [String] = []
    @Option(
        help: ArgumentHelp(
            "Only this operation: turn, api_request, tool, command, file, approval, "
                + "attachment.cleanup.", valueName: "operation"))
    var operation: [String] = []
    @Option(help: "Only this service.") var service: [String] = []
    @Option(
        help: ArgumentHelp("Only this session: any part of its id's start or end.", valueName: "id")
    )
    var session: [String] = []
    @Option(help: "Only this originator.") var originator: [String] = []
    @Option(
        help: ArgumentHelp("Only this trace: any part of its id's start or end.", valueName: "id"))
    var trace: String?
    @Flag(help: "Only what failed or was denied.") var error = false
    @Option(
        help: ArgumentHelp("Only what took at least so long: 250ms, 1.5s.", valueName: "duration"))
    var minDuration: String?
    @Option(
        help: ArgumentHelp(
            "From this time on: 24h, \"1 hour ago\", today, RFC 3339.", valueName: "time"))
    var since: String?
    @Option(help: ArgumentHelp("Before this time.", valueName: "time"))
    var until: String?

    /// As the filter that they describe.
    func filter(_ zone: TimeZoneRule) throws -> RecordFilter {
        var filter = RecordFilter()
        filter.names = name
        filter.services = service
        filter.sessions = session
        filter.originators = originator
        filter.onlyErrors = error
        let now = Clocks.wall()
        do throws(TimeExpressionError) {
            if let since { filter.since = try TimeExpression.parse(since, now: now, zone: zone) }
            if let until { filter.until = try TimeExpression.parse(until, now: now, zone: zone) }
            if let minDuration { filter.durationMin = try DurationExpression.parse(minDuration) }
        } catch {
            throw ValidationError(error.description)
        }
        for text in operation {
            guard let known = Operation(userText: text) else {
                let all = Operation.allCases.map { $0.name.description.dropFirst("codex.".count) }
                throw ValidationError(
                    "'\(text)' is no operation; known are \(all.joined(separator: ", "))")
            }
            filter.operations.append(known)
        }
        if let trace {
            guard let query = IDQuery(trace) else {
                throw ValidationError("'\(trace)' is no part of a trace id")
            }
            filter.trace = query
        }
        return filter
    }
}

/// How records are shown.
struct ShowOptions: ParsableArguments {
    @Flag(help: "One JSON object a line.") var json = false
    @Flag(help: "Times in UTC, for --since without a zone too.") var utc = false

    /// The zone of times that are given and shown.
    var zone: TimeZoneRule {
        utc ? .utc : TimeZoneRule { LocalZone.secondsEast(at: $0) }
    }
}

/// Prints records as they were asked for.
struct RecordPrinter {
    private let isJSON: Bool
    private let line: RecordLine
    private var json = RecordJSON()

    init(_ options: ShowOptions) {
        isJSON = options.json
        line = RecordLine(
            style: Output.style, times: TimeText(zone: options.zone, now: Clocks.wall()),
            isCut: Output.isTerminal)
    }

    mutating func print(_ record: StoredRecord) {
        if isJSON { Output.json(json.line(record)) } else { Output.line(line.text(record)) }
    }
}
