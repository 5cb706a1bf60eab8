internal import SystemIO

extension Surroundings {
    /// The variables that places are computed from.
    package static let pathVariables = [
        "HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "CODEX_TELEMETRY_SOCKET",
        "CODEX_TELEMETRY_STATE_DIR",
    ]

    /// A variable of this process that names a place in bytes that are not UTF-8, nil if there is none. Its
    /// value reads as another path: nothing must be looked for or made there.
    package static var unreadableVariable: String? {
        pathVariables.first { !ThisProcess.isText(environment: $0) }
    }

    /// What this process sees.
    package static var ofThisProcess: Surroundings {
        Surroundings(
            environment: { ThisProcess.environment($0) }, euid: ThisProcess.euid,
            ownsDirectory: { path in
                do {
                    let facts = try Files.facts(path)
                    return facts.kind == .directory && facts.uid == ThisProcess.euid
                } catch {
                    return false
                }
            }, isOnNetwork: isOnNetwork)
    }

    /// Of a path that is not there yet: by the nearest directory above it that is.
    private static func isOnNetwork(_ path: String) -> Bool {
        do {
            return try Files.isOnNetwork(path)
        } catch {
            guard error.isNotFound, let slash = path.lastIndex(of: "/"), slash != path.startIndex
            else { return false }
            return isOnNetwork(String(path[..<slash]))
        }
    }
}
