/// Which of a host's agents is meant.
package enum AgentScope: String, Sendable, CaseIterable {
    /// One for the host, started by the system's service manager.
    case system
    /// One for a user.
    case user
}

/// What a place is computed from: handed in, so that the rules can be tested without touching a process.
package struct Surroundings: Sendable {
    /// The value of an environment variable, nil if unset.
    package let environment: @Sendable (String) -> String?
    /// The effective uid.
    package let euid: UInt32
    /// Whether a directory exists and belongs to the effective uid.
    package let ownsDirectory: @Sendable (String) -> Bool
    /// Whether a path lies, or would lie, on a file system that is reached over a network. May take as
    /// long as that network does.
    package let isOnNetwork: @Sendable (String) -> Bool

    /// What the process sees, or a test's make-believe.
    package init(
        environment: @escaping @Sendable (String) -> String?, euid: UInt32,
        ownsDirectory: @escaping @Sendable (String) -> Bool,
        isOnNetwork: @escaping @Sendable (String) -> Bool = { _ in false }
    ) {
        self.environment = environment
        self.euid = euid
        self.ownsDirectory = ownsDirectory
        self.isOnNetwork = isOnNetwork
    }

    /// A variable that is set and not empty. A relative path in one of the XDG base directory
    /// specification's counts as unset: "All paths set in these environment variables must be absolute. If an
    /// implementation encounters a relative path […] it should consider the path invalid and ignore it."
    func nonEmpty(_ name: String) -> String? {
        guard let value = environment(name), !value.isEmpty, !isRelative(name, value) else {
            return nil
        }
        return value
    }

    private func isRelative(_ name: String, _ value: String) -> Bool {
        name.hasPrefix("XDG_") && !value.hasPrefix("/")
    }

    /// A sentence for each variable that is set and ignored, since what it names is no absolute path.
    package var ignoredVariables: [String] {
        ["XDG_RUNTIME_DIR", "XDG_STATE_HOME"].compactMap { name in
            guard let value = environment(name), !value.isEmpty, isRelative(name, value) else {
                return nil
            }
            return "\(name) is no absolute path and is ignored, as the XDG base directory "
                + "specification has it: set it to one, or unset it"
        }
    }

    /// The base of everything private that has no better place: `$HOME`, or, without one, the
    /// directory in `/tmp` that the spool's rules make private.
    var home: String? { nonEmpty("HOME") }
    var temporary: String { "/tmp/codex-telemetry-\(euid)" }
}

/// What was given on the command line; each beats the environment.
package struct PlaceOverrides: Sendable {
    /// `--socket`.
    package var ingestSocket: String?
    /// `--control-socket`.
    package var controlSocket: String?
    /// `--state-dir`.
    package var stateDirectory: String?
    /// `--config`.
    package var configurationFile: String?

    /// Nothing overridden.
    package init(
        ingestSocket: String? = nil, controlSocket: String? = nil, stateDirectory: String? = nil,
        configurationFile: String? = nil
    ) {
        self.ingestSocket = ingestSocket
        self.controlSocket = controlSocket
        self.stateDirectory = stateDirectory
        self.configurationFile = configurationFile
    }
}

/// Where one agent's sockets, state and configuration are.
package struct AgentPlaces: Sendable, Equatable {
    /// Which agent.
    package let scope: AgentScope
    /// The socket that producers write to.
    package let ingestSocket: String
    /// The socket that the command line asks.
    package let controlSocket: String
    /// Where OTLP over HTTP is taken from those who may open the directory, beside the ingest socket.
    package var otlpSocket: String { Self.sibling(of: ingestSocket, named: "otlp.sock") }
    /// Log, cursors, quarantine, spool.
    package let stateDirectory: String
    /// The Collector-format configuration file; it need not exist.
    package let configurationFile: String

    /// The log's directory.
    package var logDirectory: String { stateDirectory + "/log" }
    /// The spool that this agent drains.
    package var spoolDirectory: String { stateDirectory + "/spool" }

    /// Where an agent of `scope` lives: `CODEX_TELEMETRY_SOCKET`, `CODEX_TELEMETRY_STATE_DIR` and the
    /// overrides move single places; the control socket stays beside the ingest socket unless it is
    /// named itself.
    package init(
        scope: AgentScope, overrides: PlaceOverrides = PlaceOverrides(), surroundings: Surroundings
    ) {
        self.scope = scope
        let ingest =
            overrides.ingestSocket ?? surroundings.nonEmpty("CODEX_TELEMETRY_SOCKET")
            ?? Self.runtimeDirectory(scope, surroundings) + "/ingest.sock"
        ingestSocket = ingest
        controlSocket = overrides.controlSocket ?? Self.sibling(of: ingest, named: "control.sock")
        stateDirectory =
            overrides.stateDirectory ?? surroundings.nonEmpty("CODEX_TELEMETRY_STATE_DIR")
            ?? Self.defaultState(scope, surroundings)
        configurationFile =
            overrides.configurationFile ?? Self.defaultConfiguration(scope, surroundings)
    }

    /// The same with the state directory that the agent really uses: a network file system cannot promise
    /// what the log promises, and its lock would be everybody's who has the same home on another host.
    /// May take as long as that network does; clients, which never wait, have no need of it.
    package func onLocalState(_ surroundings: Surroundings) -> AgentPlaces {
        guard surroundings.isOnNetwork(stateDirectory) else { return self }
        return AgentPlaces(
            scope: scope, ingestSocket: ingestSocket, controlSocket: controlSocket,
            stateDirectory: "/var/tmp/codex-telemetry-\(surroundings.euid)",
            configurationFile: configurationFile)
    }

    private init(
        scope: AgentScope, ingestSocket: String, controlSocket: String, stateDirectory: String,
        configurationFile: String
    ) {
        self.scope = scope
        self.ingestSocket = ingestSocket
        self.controlSocket = controlSocket
        self.stateDirectory = stateDirectory
        self.configurationFile = configurationFile
    }

    /// The agents that a client or command tries, in order: the variable; `$XDG_RUNTIME_DIR`;
    /// `/run/user/<euid>` if it is ours; `~/.codex/telemetry`; the system's. A refused or missing
    /// socket means the next.
    package static func candidates(
        overrides: PlaceOverrides = PlaceOverrides(), surroundings: Surroundings
    ) -> [AgentPlaces] {
        if overrides.ingestSocket != nil || overrides.controlSocket != nil
            || surroundings.nonEmpty("CODEX_TELEMETRY_SOCKET") != nil
        {
            return [
                AgentPlaces(scope: .user, overrides: overrides, surroundings: surroundings)
            ]
        }
        var sockets: [String] = []
        func add(_ directory: String?) {
            guard let directory else { return }
            let path = directory + "/ingest.sock"
            if !sockets.contains(path) { sockets.append(path) }
        }
        add(surroundings.nonEmpty("XDG_RUNTIME_DIR").map { $0 + "/codex-telemetry" })
        let runUser = "/run/user/\(surroundings.euid)"
        if surroundings.ownsDirectory(runUser) { add(runUser + "/codex-telemetry") }
        add(surroundings.home.map { $0 + "/.codex/telemetry" })
        if surroundings.home == nil { add(surroundings.temporary) }
        var places = sockets.map { socket in
            var moved = overrides
            moved.ingestSocket = socket
            return AgentPlaces(scope: .user, overrides: moved, surroundings: surroundings)
        }
        places.append(
            AgentPlaces(scope: .system, overrides: overrides, surroundings: surroundings))
        return places
    }

    private static func runtimeDirectory(_ scope: AgentScope, _ around: Surroundings) -> String {
        switch scope {
        case .system: "/run/codex-telemetry"
        case .user:
            around.nonEmpty("XDG_RUNTIME_DIR").map { $0 + "/codex-telemetry" }
                ?? around.home.map { $0 + "/.codex/telemetry" } ?? around.temporary
        }
    }

    private static func defaultState(_ scope: AgentScope, _ around: Surroundings) -> String {
        switch scope {
        case .system: "/var/lib/codex-telemetry"
        case .user:
            around.nonEmpty("XDG_STATE_HOME").map { $0 + "/codex-telemetry" }
                ?? around.home.map { $0 + "/.local/state/codex-telemetry" }
                ?? around.temporary + "/state"
        }
    }

    private static func defaultConfiguration(_ scope: AgentScope, _ around: Surroundings) -> String
    {
        switch scope {
        case .system: "/etc/codex-telemetry/otel-config.yaml"
        case .user: (around.home.map { $0 + "/.codex" } ?? around.temporary) + "/otel-config.yaml"
        }
    }

    private static func sibling(of path: String, named name: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return name }
        return path[...slash] + name
    }
}

/// Where a producer leaves batches when there is no agent, in the order that spool.md fixes.
package enum SpoolPlaces {
    /// The candidate directories; the first that exists or can be made is used.
    package static func candidates(surroundings: Surroundings) -> [String] {
        var places: [String] = []
        if let state = surroundings.nonEmpty("CODEX_TELEMETRY_STATE_DIR") {
            places.append(state + "/spool")
        }
        if let state = surroundings.nonEmpty("XDG_STATE_HOME") {
            places.append(state + "/codex-telemetry/spool")
        }
        if let home = surroundings.home {
            places.append(home + "/.local/state/codex-telemetry/spool")
        }
        places.append(surroundings.temporary)
        return places
    }
}
