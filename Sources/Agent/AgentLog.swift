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
        // One line stays one line, whatever a path or a peer put into it.
        let safe = line.map { $0.isNewline ? " " : $0 }
        do {
            try StandardStream.error.write(Array((String(safe) + "\n").utf8))
        } catch {
            // Nobody is left to tell.
            return
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
