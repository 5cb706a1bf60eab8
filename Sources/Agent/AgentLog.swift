internal import Logging
internal import SystemIO

/// The agent's own messages: one line each on standard error, with the priority prefix of
/// sd-daemon(3) where a service manager reads it, so that journald has them as
/// `SYSLOG_IDENTIFIER=codex-telemetryd` with the right priority. A person's terminal gets no prefix.
struct AgentLog: LogHandler {
    var logLevel = Logger.Level.info
    var metadata = Logger.Metadata()
    let prefixed: Bool

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = prefixed ? "<\(priority(event.level))>" : "codex-telemetryd: "
        line += event.message.description
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        // One line stays one line, and a terminal is told nothing, whatever a path or a file put into it.
        var safe = ""
        for scalar in line.unicodeScalars {
            if Self.isControl(scalar) {
                safe += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        do {
            try StandardStream.error.write(Array((safe + "\n").utf8))
        } catch {
            // Nobody is left to tell.
            return
        }
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2060...0x206F: true
        default: false
        }
    }

    /// syslog(3) priorities.
    private func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
