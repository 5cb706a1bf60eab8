internal import Export

/// What the environment says of an OTLP backend, resolved for each signal: `CODEX_OTEL_…` before
/// `CODEX_OTLP_…`, those before OpenTelemetry's own, and of those a signal's before the common one.
struct OTLPEnvironment {
    /// An exporter that comes of it.
    struct Exporter {
        /// As behind `exporters.`.
        let name: String
        /// What it gets; nil is every signal.
        let signals: Set<RecordRules.Signal>?
        /// The variable that names its endpoint.
        let variable: String
        /// Keys below the exporter's, their values, and the variables that those are from.
        let values: [(key: [String], value: String, variable: String)]
    }

    /// A value, and where it is from.
    private struct Setting: Equatable {
        let text: String
        let variable: String
    }

    private struct Settings: Equatable {
        var endpoint: Setting
        /// Nothing is appended to it.
        var isWhole = false
        var type = "otlp_http"
        var keys: [String: Setting] = [:]
        var headers: Setting?
    }

    /// What each signal that has an endpoint is sent with.
    private var settings: [(signal: RecordRules.Signal, settings: Settings)] = []
    /// One for each bad value, naming the variable.
    private(set) var problems: [String] = []
    private let environment: (String) -> String?

    /// Reads the variables; an empty one counts as unset.
    init(_ environment: @escaping (String) -> String?) {
        self.environment = environment
        for signal in [RecordRules.Signal.traces, .metrics, .logs] {
            if let found = settings(for: signal) { settings.append((signal, found)) }
        }
    }

    /// The signals that are sent.
    var signals: [RecordRules.Signal] { settings.map(\.signal) }

    private func first(_ names: [String]) -> Setting? {
        for name in names {
            if let text = environment(name) {
                let trimmed = text.drop(while: \.isWhitespace).reversed()
                    .drop(while: \.isWhitespace).reversed()
                return Setting(text: String(trimmed), variable: name)
            }
        }
        return nil
    }

    private mutating func settings(for signal: RecordRules.Signal) -> Settings? {
        let own = "OTEL_EXPORTER_OTLP_\(signal.rawValue.uppercased())_"
        func standard(_ name: String) -> [String] { [own + name, "OTEL_EXPORTER_OTLP_" + name] }
        let chosen = first(["CODEX_OTEL_ENDPOINT", "CODEX_OTLP_ENDPOINT"])
        guard let endpoint = chosen ?? first(standard("ENDPOINT")) else { return nil }
        var found = Settings(endpoint: endpoint)
        found.isWhole = endpoint.variable == own + "ENDPOINT"
        // OpenTelemetry's headers and certificates are for the backend that it names, and for no other.
        func beside(_ ours: [String], _ theirs: String) -> Setting? {
            first(chosen == nil ? ours + standard(theirs) : ours)
        }
        found.headers = beside(["CODEX_OTEL_HEADERS", "CODEX_OTLP_HEADERS"], "HEADERS")
        found.keys["tls.ca_file"] = beside(["CODEX_OTLP_CACERTFILE"], "CERTIFICATE")
        found.keys["tls.cert_file"] = beside(["CODEX_OTLP_CERTFILE"], "CLIENT_CERTIFICATE")
        found.keys["tls.key_file"] = beside(["CODEX_OTLP_KEYFILE"], "CLIENT_KEY")
        found.keys["compression"] = first(standard("COMPRESSION"))
        if let timeout = first(standard("TIMEOUT")) {
            found.keys["timeout"] = Setting(text: timeout.text + "ms", variable: timeout.variable)
        }
        readProtocol(first(standard("PROTOCOL")), &found)
        if found.type == "otlp_grpc", !endpoint.text.hasPrefix("http") {
            found.keys["tls.insecure"] = first(standard("INSECURE"))
        }
        return found
    }

    private mutating func readProtocol(_ named: Setting?, _ found: inout Settings) {
        guard let named else { return }
        switch named.text.lowercased() {
        case "http/protobuf": break
        case "http/json":
            found.keys["encoding"] = Setting(text: "json", variable: named.variable)
        case "grpc": found.type = "otlp_grpc"
        default:
            let problem =
                "\(named.variable) must be grpc, http/protobuf or http/json; taken as http/protobuf"
            if !problems.contains(problem) { problems.append(problem) }
        }
    }

    /// One if it can be, else one for each signal.
    var exporters: [Exporter] {
        guard let first = settings.first else { return [] }
        let isOne = settings.allSatisfy { _, other in
            var alike = other
            (alike.endpoint, alike.isWhole) = (first.settings.endpoint, first.settings.isWhole)
            return alike == first.settings && (other.type == "otlp_http" || other == first.settings)
        }
        if isOne {
            let endpoints = settings.flatMap { endpoint($0.settings, $0.signal) }
            return [
                Exporter(
                    name: first.settings.type,
                    signals: settings.count == 3 ? nil : Set(signals),
                    variable: first.settings.endpoint.variable,
                    values: endpoints + Self.values(first.settings))
            ]
        }
        return settings.map { signal, its in
            Exporter(
                name: "\(its.type)/\(signal.rawValue)", signals: [signal],
                variable: its.endpoint.variable,
                values: endpoint(its, signal) + Self.values(its))
        }
    }

    private func endpoint(
        _ its: Settings, _ signal: RecordRules.Signal
    ) -> [(key: [String], value: String, variable: String)] {
        let isWhole = its.isWhole && its.type == "otlp_http"
        let key = isWhole ? "\(signal.rawValue)_endpoint" : "endpoint"
        return [([key], its.endpoint.text, its.endpoint.variable)]
    }

    private static func values(
        _ its: Settings
    ) -> [(key: [String], value: String, variable: String)] {
        let keys = its.keys.sorted { $0.key < $1.key }.map { key, setting in
            (key.split(separator: ".").map(String.init), setting.text, setting.variable)
        }
        guard let headers = its.headers else { return keys }
        // Ours may be parted by semicolons, too.
        let isOurs = headers.variable.hasPrefix("CODEX_")
        let pairs = headers.text.split { $0 == "," || isOurs && $0 == ";" }
        return keys
            + pairs.map { pair in
                let name = pair.prefix { $0 != "=" }
                let value = pair.dropFirst(name.count + 1)
                return (
                    ["headers", trimmed(name)], percentDecoded(trimmed(value)), headers.variable
                )
            }
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    /// `%20` is a space; what is no such code stays.
    private static func percentDecoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let code = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == 0x25, rest.count >= 2, code.allSatisfy(\.isHexDigit),
                let decoded = UInt8(code, radix: 16)
            {
                bytes.append(decoded)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
