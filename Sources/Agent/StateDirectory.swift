internal import Logging
internal import Places
internal import SystemIO

/// Makes the agent's private directories, and refuses places where a log cannot live.
enum StateDirectory {
    /// Why the agent cannot start here.
    struct Problem: Error, CustomStringConvertible {
        let description: String
    }

    /// The places as they will be used: the state directory made, private and ours. A network file
    /// system cannot promise what the log promises; `/var/tmp/codex-telemetry-<uid>` is used instead.
    static func prepare(_ places: AgentPlaces, logger: Logger) throws -> AgentPlaces {
        try make(places.stateDirectory)
        guard try Files.isOnNetwork(places.stateDirectory) else {
            try check(places.stateDirectory)
            try clear(places.stateDirectory, logger: logger)
            return places
        }
        let local = "/var/tmp/codex-telemetry-\(ThisProcess.euid)"
        logger.warning(
            "the state directory is on a network file system; the log goes to a local one",
            metadata: ["state": "\(places.stateDirectory)", "local": "\(local)"])
        try make(local)
        try check(local)
        try clear(local, logger: logger)
        return places.with(stateDirectory: local)
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

    private static func make(_ path: String) throws {
        do {
            try Files.makeDirectories(path, mode: 0o700)
        } catch {
            throw Problem(
                description: "the state directory \(path) cannot be made: \(error); choose another "
                    + "with --state-dir or CODEX_TELEMETRY_STATE_DIR")
        }
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
        let facts = try Files.facts(path)
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
