package import Export

/// What the agent will do: every value checked, defaults filled in. Made once at start and again at
/// each reload, from the built-in default and what the file adds to it.
package struct AgentConfig: Sendable, Equatable {
    /// When an append becomes durable.
    package enum Fsync: String, Sendable, CaseIterable {
        /// Within `log.fsync_interval` or `log.fsync_bytes`; acks come after the write.
        case interval
        /// Before the ack.
        case everyCommit = "every_commit"
    }

    /// What journald is given.
    package enum JournalDetail: String, Sendable, CaseIterable {
        /// One entry for each operation and each error.
        case operations
        /// One entry for each record.
        case all
    }

    /// Where a new cursor begins.
    package enum StartAt: String, Sendable, CaseIterable {
        /// With what comes.
        case end
        /// With the oldest that the log has.
        case beginning
    }

    /// The segment log. Key: `log`.
    package struct Log: Sendable, Equatable {
        /// Key `log.fsync`, default `interval`.
        package var fsync = Fsync.interval
        /// Key `log.fsync_interval`, default 100 ms, 1 ms to 60 s.
        package var fsyncInterval = Duration.milliseconds(100)
        /// Key `log.fsync_bytes`, default 8 MiB.
        package var fsyncBytes: UInt64 = 8 << 20
        /// Key `log.cap`, default the smaller of 1 GiB and 5 % of the file system (nil).
        package var capBytes: UInt64?
        /// Key `log.retention`, default 7 days.
        package var retention = Duration.seconds(7 * 86_400)
        /// Key `log.reserve`, default 16 MiB: set aside so that a full disk can still be cleaned.
        package var reserveBytes: UInt64 = 16 << 20
    }

    /// The socket that producers write to. Key: `receivers.codex`.
    package struct Intake: Sendable, Equatable {
        /// Key `receivers.codex.enabled`, default true.
        package var enabled = true
        /// Key `receivers.codex.connections_max`, default 1,024.
        package var connectionsMax = 1024
        /// Key `receivers.codex.connections_per_user_max`, default 512.
        package var connectionsPerUserMax = 512
        /// Key `receivers.codex.in_flight_bytes_max`, default 16 MiB, all connections together.
        package var inFlightBytesMax: UInt64 = 16 << 20
        /// Key `receivers.codex.in_flight_bytes_per_connection_max`, default 8 MiB.
        package var inFlightBytesPerConnectionMax: UInt64 = 8 << 20
    }

    /// The receiver of OpenTelemetry's protocol. Key: `receivers.otlp`.
    package struct OTLP: Sendable, Equatable {
        /// Key `receivers.otlp.enabled`, default true.
        package var enabled = true
        /// Key `receivers.otlp.protocols.http.endpoint`, default `localhost:4318`.
        package var http = Endpoint.loopback(port: 4318)
        /// Key `receivers.otlp.protocols.grpc.endpoint`, default `localhost:4317`.
        package var grpc = Endpoint.loopback(port: 4317)
        /// Key `receivers.otlp.protocols.http.tls`.
        package var httpTLS = ReceiverTLS()
        /// Key `receivers.otlp.protocols.grpc.tls`.
        package var grpcTLS = ReceiverTLS()
    }

    /// Forwarding to journald. Key: `exporters.journald`.
    package struct Journald: Sendable, Equatable {
        /// Key `exporters.journald.enabled`, default true.
        package var enabled = true
        /// Key `exporters.journald.detail`, default `operations`.
        package var detail = JournalDetail.operations
        /// Key `exporters.journald.entries_per_second_max`, default 1,000; 0 means no cap.
        package var entriesPerSecondMax: UInt64 = 1000
        /// Key `exporters.journald.bytes_per_day_max`, default 256 MiB; 0 means no cap.
        package var bytesPerDayMax: UInt64 = 256 << 20
        /// Key `exporters.journald.metrics_interval`, default 60 s.
        package var metricsInterval = Duration.seconds(60)
        /// Key `exporters.journald.start_at`, default `end`.
        package var startAt = StartAt.end
    }

    /// How much the agent says of itself. Key `service.telemetry.logs.level`, default `info`.
    package enum LogLevel: String, Sendable, CaseIterable {
        /// From the finest to the coarsest.
        case debug, info, warn, error
    }

    /// Key `log`.
    package var log = Log()
    /// Key `receivers.codex`.
    package var intake = Intake()
    /// Key `receivers.otlp`.
    package var otlp = OTLP()
    /// Key `exporters.journald`.
    package var journald = Journald()
    /// Keys `exporters.TYPE` and `exporters.TYPE/NAME`, by what stands behind `exporters.`
    package var exporters: [String: ExporterConfig] = [:]
    /// Keys `processors.TYPE` and `processors.TYPE/NAME`, by what stands behind `processors.`
    package var processors: [String: ProcessorConfig] = [:]
    /// What processors do with records of a signal, by their names.
    package var steps: [String: [RecordRules.Signal: RecordStep]] = [:]
    /// Keys `service.pipelines.SIGNAL` and `service.pipelines.SIGNAL/NAME`, by what stands behind `pipelines.`
    package var pipelines: [String: Pipeline] = [:]
    /// Exporters that the environment asks for, and what they get, nil for every signal: whatever pipelines
    /// there are, unless one names them.
    package var environmentExporters: [String: Set<RecordRules.Signal>?] = [:]
    /// What these exporters do first: `OTEL_RESOURCE_ATTRIBUTES` of the agent's environment.
    package var environmentResource: RecordStep?
    /// Key `service.telemetry.logs.level`.
    package var logLevel = LogLevel.info

    /// The built-in default.
    package init() {}
}

/// One value of the result, for `config`: what it is and where it came from.
package struct ConfigEntry: Sendable, Equatable {
    /// Dotted path, as in the file.
    package let key: String
    /// As it would be written in the file.
    package let value: String
    /// `default`, or `FILE:LINE`.
    package let origin: String
}

extension AgentConfig {
    /// Every key with its value, in a fixed order; `origins` says which were set by a file.
    package func entries(origins: [String: String]) -> [ConfigEntry] {
        let values: [(String, String)] = [
            ("receivers.codex.enabled", "\(intake.enabled)"),
            ("receivers.codex.connections_max", "\(intake.connectionsMax)"),
            ("receivers.codex.connections_per_user_max", "\(intake.connectionsPerUserMax)"),
            ("receivers.codex.in_flight_bytes_max", Quantity.bytes(intake.inFlightBytesMax)),
            (
                "receivers.codex.in_flight_bytes_per_connection_max",
                Quantity.bytes(intake.inFlightBytesPerConnectionMax)
            ),
            ("receivers.otlp.enabled", "\(otlp.enabled)"),
            ("receivers.otlp.protocols.http.endpoint", otlp.http.description),
            ("receivers.otlp.protocols.grpc.endpoint", otlp.grpc.description),
            ("exporters.journald.enabled", "\(journald.enabled)"),
            ("exporters.journald.detail", journald.detail.rawValue),
            ("exporters.journald.entries_per_second_max", "\(journald.entriesPerSecondMax)"),
            ("exporters.journald.bytes_per_day_max", Quantity.bytes(journald.bytesPerDayMax)),
            ("exporters.journald.metrics_interval", Quantity.duration(journald.metricsInterval)),
            ("exporters.journald.start_at", journald.startAt.rawValue),
            ("log.fsync", log.fsync.rawValue),
            ("log.fsync_interval", Quantity.duration(log.fsyncInterval)),
            ("log.fsync_bytes", Quantity.bytes(log.fsyncBytes)),
            ("log.cap", log.capBytes.map(Quantity.bytes) ?? "min(1GiB, 5% of the file system)"),
            ("log.retention", Quantity.duration(log.retention)),
            ("log.reserve", Quantity.bytes(log.reserveBytes)),
            ("service.telemetry.logs.level", logLevel.rawValue),
        ]
        let exporters = exporters.sorted { $0.key < $1.key }.flatMap { name, config in
            (config.settings.basics.entries + config.settings.entries).map {
                ("exporters.\(name).\($0.0)", $0.1)
            }
        }
        let processors = processors.sorted { $0.key < $1.key }.flatMap { name, config in
            config.entries.map { ("processors.\(name)\($0.0)", $0.1) }
        }
        let pipelines = pipelines.sorted { $0.key < $1.key }.flatMap { name, pipeline in
            pipeline.entries.map { ("service.pipelines.\(name).\($0.0)", $0.1) }
        }
        let tls =
            otlp.httpTLS.entries("receivers.otlp.protocols.http")
            + otlp.grpcTLS.entries("receivers.otlp.protocols.grpc")
        return (values + tls + exporters + processors + pipelines).map {
            ConfigEntry(key: $0.0, value: $0.1, origin: origins[$0.0] ?? "default")
        }
    }
}
