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
                    "logs": .section(["level": choice(\.logLevel)])
                ]),
                "pipelines": .section(Pipeline.keys),
            ]),
        ])
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
                "http": .section(["endpoint": endpoint(\.otlp.http)]),
                "grpc": .section(["endpoint": endpoint(\.otlp.grpc)]),
            ]),
        ]
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
