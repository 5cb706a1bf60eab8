import CodexSetup
import CodexTelemetry
import Places
import SystemIO

/// What a run of Codex is given so that it sends to the agent, without touching a file.
struct CodexLaunch {
    /// `-c` for each signal.
    private(set) var arguments: [String] = []
    /// Before which of its words they stand: before the user's own, which win.
    private(set) var places: [Int] = []
    private var variables: [(name: String, value: String)] = []
    /// Why Codex runs as it would without us; nil if it does not.
    private(set) var problem: String?
    /// What is not as one would think, a sentence each.
    private(set) var notes: [String] = []
    /// Codex may be silent for longer than an agent waits that was started on demand.
    private var stay: Stay?

    /// Codex flushes nothing when it fails or is ended by a signal, and a run that fails may be over after 0.3 s:
    /// what waits for no longer than this arrives all the same (milliseconds; its own are 1 s, 5 s and 60 s).
    private static let delays = [
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"), ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ]

    /// What to give it, once the agent takes OTLP.
    ///
    /// - Parameters:
    ///   - words: its command line.
    ///   - context: the span that its own are to be below.
    init(
        _ words: [String], _ places: PlaceChoice, _ agent: StartOnDemand.Outcome,
        joining context: TraceContext, session: String
    ) {
        if case .refused(let why) = agent {
            problem = "no agent: \(why)"
            return
        }
        stay = Stay(overrides: places.overrides)
        switch OTLPPlace.find(places, isStarting: agent == .isStarting) {
        case .none(let why): problem = why
        case .base(let base):
            if stay == nil { stay = Stay(overrides: places.overrides) }
            self.places = CodexArguments.places(in: words)
            fill(base)
            join(context, session)
        }
    }

    /// The variables of any command, with those of Codex in their place. An empty value removes one.
    func environment(over given: [(name: String, value: String)]) -> [(name: String, value: String)]
    {
        given.filter { each in !variables.contains { $0.name == each.name } } + variables
    }

    private mutating func fill(_ base: String) {
        let file = CodexFile.ofThisUser
        let configuration = file.flatMap(Self.configuration)
        for signal in CodexConfiguration.Signal.allCases {
            // Of a file that has another exporter Codex would make one with both, and refuse to start.
            let isGRPC = configuration?.isGRPC(signal) ?? false
            let exporter = signal.exporter(base: base, isGRPC: isGRPC)
            arguments += ["-c", "otel.\(signal.rawValue)=\(exporter)"]
        }
        for (name, value) in Self.delays where ThisProcess.environment(name) == nil {
            variables.append((name, value))
        }
        let compression = "OTEL_EXPORTER_OTLP_COMPRESSION"
        if let value = ThisProcess.environment(compression), !value.isEmpty, value != "none" {
            variables.append((compression, ""))
            notes.append(
                "\(compression)=\(value) would turn off all that Codex sends: not handed on")
        }
    }

    /// Most of what Codex sends is in the trace that TRACEPARENT names; the rest, and metrics, have the session.
    private mutating func join(_ context: TraceContext, _ session: String) {
        // Its SDK takes a context with any flag but `sampled` for broken, the one for random ids included.
        let flags = context.isSampled ? "01" : "00"
        variables.append(
            ("TRACEPARENT", "00-\(context.traceID)-\(context.spanID)-\(flags)"))
        let name = "OTEL_RESOURCE_ATTRIBUTES"
        let given = ThisProcess.environment(name) ?? ""
        let hasSession = given.split(separator: ",").contains { pair in
            pair.split(separator: "=").first == "session.id"
        }
        if hasSession { return }
        variables.append((name, (given.isEmpty ? "" : given + ",") + "session.id=\(session)"))
    }

    /// A file that cannot be read is Codex's to complain of.
    private static func configuration(_ file: CodexFile) -> CodexConfiguration? {
        do { return try file.read().map { try CodexConfiguration($0) } } catch { return nil }
    }
}
