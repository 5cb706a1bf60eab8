internal import Logging
internal import Places
internal import SystemIO

/// Makes the agent's private directories, and refuses places where a log cannot live.
enum StateDirectory {
    /// Why the agent cannot start here.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// Makes the state directory, private and ours. `wished` is where it should have been: if that is on
    /// a network file system, the sentence that says so.
    static func prepare(
        _ places: AgentPlaces, wished: AgentPlaces, logger: Logger
    ) throws -> String? {
        let state = places.stateDirectory
        try make(state)
        try check(state)
        try clear(state, logger: logger)
        guard wished.stateDirectory != state else { return nil }
        let sentence =
            "the state directory \(wished.stateDirectory) is on a network file system, which cannot "
            + "keep what the log promises; the log is in \(state) of this host instead"
        logger.warning("\(sentence)")
        return sentence
    }

    /// The directory of a socket: private for a user's agent. The system's is made by the socket unit or
    /// tmpfiles and is left as it is.
    static func prepareSocketDirectory(_ places: AgentPlaces) throws {
        guard places.scope == .user, let slash = places.ingestSocket.lastIndex(of: "/") else {
            return
        }
        let directory = String(places.ingestSocket[..<slash])
        guard !directory.isEmpty, !Files.exists(directory) else { return }
        try Files.makeDirectories(directory, mode: 0o700)
    }

    /// Makes the directory of a socket again, and the one above it if that was ours too: a runtime directory
    /// is its manager's to make.
    static func restoreSocketDirectory(of socket: String) throws(SystemError) {
        guard let directory = parent(of: socket), !Files.exists(directory) else { return }
        if let above = parent(of: directory), !Files.exists(above), let base = parent(of: above),
            Files.exists(base), try Files.facts(base).uid == ThisProcess.euid
        {
            try Files.makeDirectory(above, mode: 0o700)
        }
        try Files.makeDirectory(directory, mode: 0o700)
    }

    private static func parent(of path: String) -> String? {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return nil }
        return String(path[..<slash])
    }

    private static func make(_ path: String) throws {
        do {
            try Files.makeDirectories(path, mode: 0o700)
        } catch {
            throw Problem(
                description: "the state directory \(path) cannot be made: \(error); "
                    + Self.advice(error))
        }
    }

    /// What to do about an error of the state directory, at a start.
    static func advice(_ error: SystemError) -> String {
        let another =
            "choose another directory with --state-dir or CODEX_TELEMETRY_STATE_DIR"
        return error.remedy.map { "\($0); or \(another)" } ?? another
    }

    /// What stands where the log's own files belong and is no file (a directory, a link, a FIFO) gets
    /// another name: nothing in there may keep the agent from starting, or make it wait.
    private static func clear(_ state: String, logger: Logger) throws {
        for name in ["log", "quarantine", "cursors"] {
            let directory = state + "/" + name
            guard Files.exists(directory) else { continue }
            // A link to a directory elsewhere may be meant so.
            guard isDirectory(directory) else {
                try setAside(directory, logger)
                continue
            }
            for entry in try Files.list(directory) where isOurs(entry, in: name) {
                let path = directory + "/" + entry
                if try Files.facts(path, following: false).kind != .regular {
                    try setAside(path, logger)
                }
            }
        }
        let lock = state + "/lock"
        if Files.exists(lock), try Files.facts(lock, following: false).kind != .regular {
            try setAside(lock, logger)
        }
    }

    private static func isDirectory(_ path: String) -> Bool {
        do { return try Files.facts(path).kind == .directory } catch { return false }
    }

    private static func isOurs(_ entry: String, in directory: String) -> Bool {
        if entry.contains(".misplaced-") { return false }
        return directory != "log"
            || ["meta", "position", "dedupe", "reserve"].contains(entry)
            || [".segment", ".tmp", ".bad"].contains { entry.hasSuffix($0) }
    }

    private static func setAside(_ path: String, _ logger: Logger) throws {
        let other = "\(path).misplaced-\(Clocks.wall())"
        try Files.rename(path, to: other)
        logger.error("\(path) was not what belongs there; it is now \(other)")
    }

    /// Ours alone: what we store is private whatever umask made the directory.
    private static func check(_ path: String) throws {
        // In a directory that is everybody's a link is not taken for ours.
        let isShared = ["/tmp/codex-telemetry-", "/var/tmp/codex-telemetry-"].contains {
            path.hasPrefix($0)
        }
        let facts = try Files.facts(path, following: !isShared)
        guard facts.kind == .directory else {
            throw Problem(description: "\(path) is not a directory")
        }
        guard facts.uid == ThisProcess.euid else {
            throw Problem(
                description: "\(path) belongs to uid \(facts.uid), this agent runs as uid "
                    + "\(ThisProcess.euid)")
        }
        if facts.mode & 0o077 != 0 { try Files.setMode(path, 0o700) }
    }
}
