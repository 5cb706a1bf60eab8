import Testing

@testable import Places

@Suite struct `Where an agent is` {
    func around(_ environment: [String: String], owned: Set<String> = []) -> Surroundings {
        Surroundings(
            environment: { environment[$0] }, euid: 1000, ownsDirectory: { owned.contains($0) })
    }

    @Test func `the user's agent lives under the runtime directory and the state home`() {
        let places = AgentPlaces(
            scope: .user,
            surroundings: around([
                "XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/a", "XDG_STATE_HOME": "/s",
            ]))
        #expect(places.ingestSocket == "/run/user/1000/codex-telemetry/ingest.sock")
        #expect(places.controlSocket == "/run/user/1000/codex-telemetry/control.sock")
        #expect(places.stateDirectory == "/s/codex-telemetry")
        #expect(places.configurationFile == "/home/a/.codex/otel-config.yaml")
    }

    @Test func `without HOME everything private goes to one directory in tmp`() {
        let places = AgentPlaces(scope: .user, surroundings: around([:]))
        #expect(places.ingestSocket == "/tmp/codex-telemetry-1000/ingest.sock")
        #expect(places.stateDirectory == "/tmp/codex-telemetry-1000/state")
    }

    @Test func `on a network the log is this host's and the sockets stay where they are found`() {
        let around = Surroundings(
            environment: { $0 == "HOME" ? "/home/a" : nil }, euid: 1000,
            ownsDirectory: { _ in false },
            isOnNetwork: { $0.hasPrefix("/home/") })
        let wished = AgentPlaces(scope: .user, surroundings: around)
        let places = wished.onLocalState(around)
        #expect(places.stateDirectory == "/var/tmp/codex-telemetry-1000")
        #expect(places.ingestSocket == wished.ingestSocket)
        #expect(places.onLocalState(around) == places)
    }

    @Test func `clients look in the documented order`() {
        let candidates = AgentPlaces.candidates(
            surroundings: around(
                ["XDG_RUNTIME_DIR": "/x", "HOME": "/home/a"], owned: ["/run/user/1000"]))
        #expect(
            candidates.map(\.ingestSocket) == [
                "/x/codex-telemetry/ingest.sock", "/run/user/1000/codex-telemetry/ingest.sock",
                "/home/a/.codex/telemetry/ingest.sock", "/run/codex-telemetry/ingest.sock",
            ])
        #expect(candidates.last?.scope == .system)
    }

    @Test func `the variable leaves one candidate, with the control socket beside it`() {
        let candidates = AgentPlaces.candidates(
            surroundings: around(["CODEX_TELEMETRY_SOCKET": "/tmp/a b/i.sock", "HOME": "/home/a"]))
        #expect(candidates.map(\.ingestSocket) == ["/tmp/a b/i.sock"])
        #expect(candidates.map(\.controlSocket) == ["/tmp/a b/control.sock"])
    }

    /// XDG Base Directory Specification, "Basics".
    @Test func `a relative path of XDG is ignored, and said`() {
        let relative = around([
            "XDG_RUNTIME_DIR": "run/user", "XDG_STATE_HOME": "state", "HOME": "/home/a",
        ])
        let places = AgentPlaces(scope: .user, surroundings: relative)
        #expect(places == AgentPlaces(scope: .user, surroundings: around(["HOME": "/home/a"])))
        #expect(
            SpoolPlaces.candidates(surroundings: relative).allSatisfy { $0.hasPrefix("/") })
        #expect(
            AgentPlaces.candidates(surroundings: relative).map(\.ingestSocket) == [
                "/home/a/.codex/telemetry/ingest.sock", "/run/codex-telemetry/ingest.sock",
            ])
        #expect(relative.ignoredVariables.count == 2)
        #expect(relative.ignoredVariables[0].hasPrefix("XDG_RUNTIME_DIR is no absolute path"))
        #expect(around(["XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": ""]).ignoredVariables == [])
        // Ours may be relative: somebody typed it.
        let own = around(["CODEX_TELEMETRY_STATE_DIR": "here", "HOME": "/home/a"])
        #expect(AgentPlaces(scope: .user, surroundings: own).stateDirectory == "here")
    }

    @Test func `an empty variable is an unset one`() {
        let spool = SpoolPlaces.candidates(
            surroundings: around(["XDG_STATE_HOME": "", "HOME": "/home/a"]))
        #expect(
            spool == ["/home/a/.local/state/codex-telemetry/spool", "/tmp/codex-telemetry-1000"])
    }
}
