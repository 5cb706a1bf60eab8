/// What the environment says to an instrumented process: one rule for every language, pinned by
/// contrib/protocol/vectors/environment.
package struct ClientEnvironment: Sendable, Equatable {
    /// Whether anything is recorded.
    package var isEnabled: Bool
    /// `CODEX_OTEL_SERVICE_NAME`, nil if unset or empty.
    package var serviceName: String?
    /// `CODEX_OTEL_SAMPLE_RATE`, default 1.0.
    package var sampler: Sampler
    /// `CODEX_OTEL_EXPORTER` names `console`: records are also printed to this process's own stderr.
    package var printsToConsole: Bool
    /// Names of the set variables that name an endpoint, an exporter or headers, for the hello.
    package var exporterVariables: [String]
    /// One for each bad value, naming the variable.
    package var warnings: [String]

    /// Reads the environment.
    ///
    /// - Parameters:
    ///   - names: the names of all variables that are set (for prefixes such as `CODEX_OTLP_`).
    ///   - userFileExists: whether `~/.codex/otel-config.yaml` exists; asked only if it matters.
    ///   - isExplicit: `exec` and `emit`: somebody asked for this very record, so it is made unless
    ///     telemetry is explicitly off.
    package init(
        environment: (String) -> String?, names: [String], userFileExists: () -> Bool,
        isExplicit: Bool = false
    ) {
        var warnings: [String] = []
        isEnabled = Self.isEnabled(environment, userFileExists, isExplicit, &warnings)
        serviceName = environment("CODEX_OTEL_SERVICE_NAME").flatMap { $0.isEmpty ? nil : $0 }
        sampler = Self.sampler(environment("CODEX_OTEL_SAMPLE_RATE"), &warnings)
        printsToConsole = Self.printsToConsole(environment("CODEX_OTEL_EXPORTER"), &warnings)
        exporterVariables = names.filter(Self.namesAnExporter).sorted()
        // Nobody who has not switched it on is bothered, but for the switch itself.
        self.warnings =
            isEnabled ? warnings : warnings.filter { $0.hasPrefix("CODEX_OTEL_ENABLED") }
    }

    private static func isEnabled(
        _ environment: (String) -> String?, _ userFileExists: () -> Bool, _ isExplicit: Bool,
        _ warnings: inout [String]
    ) -> Bool {
        // Only `true` disables (OpenTelemetry, "Environment Variable Specification": booleans).
        if Text.lowercased(Text.trimmed(environment("OTEL_SDK_DISABLED") ?? "")) == "true" {
            return false
        }
        guard let enabled = environment("CODEX_OTEL_ENABLED") else {
            return isExplicit || userFileExists()
        }
        switch Text.lowercased(Text.trimmed(enabled)) {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off", "": return false
        default:
            // Not a word we know: nobody's consent, and nobody's refusal of an explicit act either.
            warnings.append(
                warning(
                    "CODEX_OTEL_ENABLED", enabled, "true, 1, yes, on, false, 0, no or off",
                    isExplicit ? "unset" : "false"))
            return isExplicit
        }
    }

    private static func sampler(_ text: String?, _ warnings: inout [String]) -> Sampler {
        guard let text, !text.isEmpty else { return .everything }
        guard let rate = Double(Text.trimmed(text)), let sampler = Sampler(rate: rate) else {
            warnings.append(
                warning("CODEX_OTEL_SAMPLE_RATE", text, "a number from 0.0 to 1.0", "1.0"))
            return .everything
        }
        return sampler
    }

    /// Only `console` is for this side; the other names are the agent's.
    private static func printsToConsole(_ text: String?, _ warnings: inout [String]) -> Bool {
        let known = ["console", "otlp", "jaeger", "journald", "file", "none"]
        let names = (text ?? "").split(separator: ",").map { Text.lowercased(Text.trimmed($0)) }
        if names.contains(where: { !$0.isEmpty && !known.contains($0) }) {
            warnings.append(
                warning(
                    "CODEX_OTEL_EXPORTER", text ?? "", "a list of " + known.joined(separator: ", "),
                    "those of them that it names"))
        }
        return names.contains("console")
    }

    private static func warning(
        _ name: String, _ value: String, _ wanted: String, _ used: String
    ) -> String {
        // A value is shown cut short and without control characters: it goes to a terminal.
        let shown = value.unicodeScalars.prefix(40).map {
            $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0)
        }.joined()
        return "\(name)=\"\(shown)\" is not \(wanted); taken as \(used)"
    }

    private static func namesAnExporter(_ name: String) -> Bool {
        switch name {
        case "CODEX_OTEL_EXPORTER", "CODEX_OTEL_ENDPOINT", "CODEX_OTEL_HEADERS": true
        default: name.hasPrefix("CODEX_OTLP_") || name.hasPrefix("OTEL_EXPORTER_OTLP_")
        }
    }
}
