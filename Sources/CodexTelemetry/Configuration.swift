package import Places
internal import SystemIO
internal import TelemetryBatch

extension Telemetry {
    /// How an instance is made. Every default is right for most programs; the environment decides
    /// whether anything is recorded.
    public struct Configuration: Sendable {
        /// `service.name`; `CODEX_OTEL_SERVICE_NAME` beats it. Default `codex-cli`.
        public var serviceName = "codex-cli"
        /// `service.version`, left out if nil.
        public var serviceVersion: String?
        /// Who began the session (`codex_cli_rs`, an SDK, an IDE); the parent process's word beats it.
        public var originator: String?
        /// The session; default: the parent process's (`BAGGAGE`), else random.
        public var sessionID: String?
        /// On or off whatever the environment says; nil: the environment's rule.
        public var isEnabled: Bool?
        /// Whether this is somebody's explicit act (`exec`, `emit`): recorded unless telemetry is
        /// explicitly off.
        public var isExplicit = false
        /// Further attributes of the resource.
        public var resource: [Attribute] = []
        /// The longest that a record waits before it is sent.
        public var flushInterval: Duration = .milliseconds(100)

        /// Where the environment, the sockets and the spool are looked for.
        package var surroundings = Surroundings.ofThisProcess
        /// What a command line said of the service: beats `CODEX_OTEL_SERVICE_NAME`.
        package var givenServiceName: String?
        /// What a command line said of places.
        package var overrides = PlaceOverrides()
        /// Names of the set variables.
        package var variableNames: @Sendable () -> [String] = {
            ThisProcess.environment().compactMap { $0.split(separator: "=").first.map(String.init) }
        }
        /// Takes a line of warning.
        package var warn: @Sendable (String) -> Void = { line in
            // Nobody to tell if stderr is closed.
            do { try StandardStream.error.write(Array((line + "\n").utf8)) } catch { return }
        }
        package var startsThread = true
        var limits = DeliveryStateMachine.Limits()
        var shardCount = 4

        /// The defaults.
        public init() {}
    }
}

extension Telemetry.Configuration {
    /// The environment's word on this process.
    package func clientEnvironment() -> ClientEnvironment {
        ClientEnvironment(
            environment: surroundings.environment, names: variableNames(),
            userFileExists: {
                let places = AgentPlaces(scope: .user, surroundings: surroundings)
                return surroundings.environment("HOME")?.isEmpty == false
                    && Files.exists(places.configurationFile)
            }, isExplicit: isExplicit)
    }

    /// The engine's settings.
    func settings(_ environment: ClientEnvironment) -> Settings {
        let remote = TraceContext(environment: surroundings.environment)
        let baggage =
            remote?.baggage ?? surroundings.environment("BAGGAGE").map(Baggage.init(header:))
        let session = baggage?["session.id"] ?? sessionID ?? Self.randomSession()
        let originator = baggage?["originator"] ?? originator
        return Settings(
            sampler: environment.sampler,
            resource: Resource(
                attributes: resourceAttributes(environment, session, originator)),
            hello: hello(environment), surroundings: surroundings, overrides: overrides,
            limits: limits, flushInterval: UInt64(max(flushInterval / .nanoseconds(1), 1_000_000)),
            shardCount: shardCount, printsToConsole: environment.printsToConsole,
            startsThread: startsThread, remoteParent: remote, sessionID: session,
            originator: originator)
    }

    private func resourceAttributes(
        _ environment: ClientEnvironment, _ session: String, _ originator: String?
    ) -> [TelemetryBatch.Attribute] {
        typealias Pair = TelemetryBatch.Attribute
        let service = givenServiceName ?? environment.serviceName ?? serviceName
        var all = [
            Pair("service.name", .string(service)),
            Pair("session.id", .string(session)),
        ]
        if let originator { all.append(Pair("originator", .string(originator))) }
        if let serviceVersion { all.append(Pair("service.version", .string(serviceVersion))) }
        all.append(Pair("telemetry.sdk.name", .string(ClientIdentity.name)))
        all.append(Pair("telemetry.sdk.language", .string("swift")))
        all.append(Pair("telemetry.sdk.version", .string(ClientIdentity.version)))
        all += resource.map { Pair($0.key, $0.value.forBatch) }
        return all
    }

    /// What the hello says of this client: names of variables, never values.
    private func hello(_ environment: ClientEnvironment) -> [Hello.Property] {
        var properties = [
            Hello.Property(key: "client.name", value: ClientIdentity.name),
            Hello.Property(key: "client.version", value: ClientIdentity.version),
        ]
        var names = ""
        for name in environment.exporterVariables {
            guard names.utf8.count + name.utf8.count + 1 <= WireLimits.helloValueBytesMax else {
                break
            }
            names += names.isEmpty ? name : "," + name
        }
        if !names.isEmpty { properties.append(Hello.Property(key: "environment", value: names)) }
        return properties
    }

    private static func randomSession() -> String {
        Hex.digits(RandomID.next()) + Hex.digits(RandomID.next())
    }
}

/// How this library names itself.
enum ClientIdentity {
    static let name = "codex-telemetry-swift"
    static let version = "0.1.0"
}

extension AttributeValue {
    /// The codec's form of it.
    var forBatch: TelemetryBatch.AttributeValue {
        switch self {
        case .string(let value): .string(value)
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .array(let values): .array(values.map(\.forBatch))
        }
    }
}
