extension ConfigSchema {
    /// A whole file.
    static var root: ConfigSchema {
        .section([
            "receivers": .section(["codex": .section(intake), "otlp": .section(otlp)]),
            "processors": .section(ProcessorConfig.keys),
            "exporters": .section(exporters),
            "log": .section(log),
            "service": .section([
                "telemetry": .section([
                    "logs": .section(
                        ["level": choice(\.logLevel)].merging(
                            accepted(
                                ownLogs,
                                "the agent's messages go to its standard error and the journal"))),
                    "metrics": .accepted(why: "`codex-telemetryd status` has the agent's figures"),
                    "traces": .accepted(why: "the agent makes no spans of its own"),
                    "resource": .accepted(why: "the agent sends no telemetry of its own"),
                ]),
                "pipelines": .section(Pipeline.keys),
                "extensions": .accepted(why: extensions),
            ]),
            "extensions": .accepted(why: extensions),
            "connectors": .refused(
                why: "this agent has none; leave it out, or let a Collector behind it do it"),
        ])
    }

    private static let extensions =
        "health is `codex-telemetryd status`, and the log is the storage; there are no extensions"

    private static let ownLogs = [
        "development", "encoding", "disable_caller", "disable_stacktrace", "sampling",
        "output_paths", "error_output_paths", "initial_fields", "processors",
    ]

    /// Keys of the Collector's that do nothing here.
    static func accepted(_ keys: [String], _ why: String) -> [String: ConfigSchema] {
        Dictionary(uniqueKeysWithValues: keys.map { ($0, .accepted(why: why)) })
    }

    private static var exporters: [String: ConfigSchema] {
        var keys: [String: ConfigSchema] = ["journald": .section(journald)]
        for type in ExporterConfig.types {
            for name in type.names { keys[name] = type.schema }
        }
        return keys
    }

    private static var intake: [String: ConfigSchema] {
        [
            "enabled": flag(\.intake.enabled),
            "connections_max": number(\.intake.connectionsMax, 1...65_536),
            "connections_per_user_max": number(\.intake.connectionsPerUserMax, 1...65_536),
            "in_flight_bytes_max": size(\.intake.inFlightBytesMax, (8 << 20)...(4 << 30)),
            "in_flight_bytes_per_connection_max": size(
                \.intake.inFlightBytesPerConnectionMax, (4 << 20)...(1 << 30)),
        ]
    }

    private static var otlp: [String: ConfigSchema] {
        [
            "enabled": flag(\.otlp.enabled),
            "protocols": .section([
                "http": .section(
                    [
                        "endpoint": endpoint(\.otlp.http), "tls": ReceiverTLS.keys(\.otlp.httpTLS),
                    ].merging(uselessInHTTP)),
                "grpc": .section(
                    [
                        "endpoint": endpoint(\.otlp.grpc), "tls": ReceiverTLS.keys(\.otlp.grpcTLS),
                    ].merging(uselessInGRPC)),
            ]),
        ]
    }

    private static var uselessInHTTP: [String: ConfigSchema] {
        [
            "max_request_body_size": .accepted(why: "requests may have 20 MiB"),
            "cors": .accepted(why: "requests of web pages are refused"),
        ].merging(
            accepted(
                [
                    "include_metadata", "compression_algorithms", "keep_alives_enabled",
                    "read_timeout", "read_header_timeout", "write_timeout", "idle_timeout",
                ], "the receiver's own rules hold"))
    }

    private static var uselessInGRPC: [String: ConfigSchema] {
        accepted(
            [
                "include_metadata", "keepalive", "max_concurrent_streams", "max_recv_msg_size_mib",
                "read_buffer_size", "write_buffer_size",
            ], "the receiver's own rules hold"
        ).merging(["transport": .only("tcp")])
    }

    private static var journald: [String: ConfigSchema] {
        [
            "enabled": flag(\.journald.enabled),
            "detail": choice(\.journald.detail),
            "entries_per_second_max": count(\.journald.entriesPerSecondMax),
            "bytes_per_day_max": size(\.journald.bytesPerDayMax, 0...(1 << 50)),
            "metrics_interval": duration(
                \.journald.metricsInterval, .seconds(1)...(.seconds(86_400))),
            "start_at": choice(\.journald.startAt),
        ]
    }

    private static var log: [String: ConfigSchema] {
        [
            "fsync": choice(\.log.fsync),
            "fsync_interval": duration(\.log.fsyncInterval, .milliseconds(1)...(.seconds(60))),
            "fsync_bytes": size(\.log.fsyncBytes, 4096...(1 << 30)),
            "cap": .value(expected: "a size of at least 8MiB, as 512MiB or 1GiB") { config, text in
                guard let bytes = Quantity.bytes(parsing: text), bytes >= 8 << 20 else {
                    return false
                }
                config.log.capBytes = bytes
                return true
            },
            "retention": duration(\.log.retention, .seconds(60)...(.seconds(3650 * 86_400))),
            "reserve": size(\.log.reserveBytes, 0...(1 << 30)),
        ]
    }
}

extension [String: ConfigSchema] {
    /// With other keys, none of which it has.
    func merging(_ other: [String: ConfigSchema]) -> [String: ConfigSchema] {
        merging(other) { own, _ in own }
    }
}
