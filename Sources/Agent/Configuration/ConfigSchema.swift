/// What a configuration file may say: the one table that reading, errors and the reference use.
indirect enum ConfigSchema {
    /// A mapping of known keys.
    case section([String: ConfigSchema])
    /// A scalar: what it must be, for the error; and how it is set (false: it is not that).
    case value(expected: String, assign: (inout AgentConfig, String) -> Bool)
    /// A component that may be there several times, as `TYPE` and `TYPE/NAME`: the full name, and what it
    /// may say.
    case named(type: String, make: (String) -> ConfigSchema)
    /// A mapping of keys that are the user's.
    case table(expected: String, assign: (inout AgentConfig, String, String) -> Bool)

    static var root: ConfigSchema {
        .section([
            "receivers": .section(["codex": .section(intake), "otlp": .section(otlp)]),
            "exporters": .section([
                "journald": .section(journald),
                "otlp_http": .named(type: "otlp_http") { .section(otlpHTTP($0)) },
                "otlphttp": .named(type: "otlp_http") { .section(otlpHTTP($0)) },
            ]),
            "log": .section(log),
            "service": .section([
                "telemetry": .section([
                    "logs": .section(["level": choice(\.logLevel)])
                ])
            ]),
        ])
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
                "http": .section(["endpoint": endpoint(\.otlp.http)])
            ]),
        ]
    }

    private static func endpoint(
        _ path: WritableKeyPath<AgentConfig, Endpoint>
    ) -> ConfigSchema {
        .value(
            expected: "an address of this host and a port, as localhost:4318 or 127.0.0.1:4318"
        ) { config, text in
            guard let endpoint = Endpoint(text) else { return false }
            config[keyPath: path] = endpoint
            return true
        }
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

    private static func otlpHTTP(_ name: String) -> [String: ConfigSchema] {
        let it: WritableKeyPath<AgentConfig, OTLPHTTPConfig> = \.[otlpHTTP: name]
        return [
            "enabled": flag(it.appending(path: \.enabled)),
            "endpoint": address(it.appending(path: \.endpoint)),
            "traces_endpoint": address(it.appending(path: \.tracesEndpoint)),
            "logs_endpoint": address(it.appending(path: \.logsEndpoint)),
            "metrics_endpoint": address(it.appending(path: \.metricsEndpoint)),
            "encoding": choice(it.appending(path: \.encoding)),
            "compression": choice(it.appending(path: \.compression)),
            "headers": headers(it.appending(path: \.headers)),
            "timeout": duration(
                it.appending(path: \.timeout), .milliseconds(100)...(.seconds(600))),
            "retry_on_failure": .section([
                "initial_interval": duration(
                    it.appending(path: \.retryInitial), .milliseconds(10)...(.seconds(3600))),
                "max_interval": duration(
                    it.appending(path: \.retryLongest), .milliseconds(10)...(.seconds(3600))),
            ]),
            "sending_queue": .section([
                "batch": .section([
                    "max_size": number(it.appending(path: \.batchRecordsMax), 1...65_536),
                    "flush_timeout": duration(
                        it.appending(path: \.flushInterval), .milliseconds(1)...(.seconds(60))),
                ])
            ]),
            "start_at": choice(it.appending(path: \.startAt)),
        ]
    }

    private static func address(
        _ path: WritableKeyPath<AgentConfig, HTTPAddress?>
    ) -> ConfigSchema {
        .value(expected: "a URL, as https://collector.example:4318") { config, text in
            guard let address = HTTPAddress(text) else { return false }
            config[keyPath: path] = address
            return true
        }
    }

    private static func headers(
        _ path: WritableKeyPath<AgentConfig, [OTLPHTTPConfig.Header]>
    ) -> ConfigSchema {
        .table(expected: "a header's name and value, in ASCII and on one line") {
            config, name, value in
            let token = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }
            guard !name.isEmpty, token, value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
                return false
            }
            config[keyPath: path].append(OTLPHTTPConfig.Header(name: name, value: value))
            return true
        }
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

    private static func flag(_ path: WritableKeyPath<AgentConfig, Bool>) -> ConfigSchema {
        .value(expected: "true or false") { config, text in
            switch text.lowercased() {
            case "true": config[keyPath: path] = true
            case "false": config[keyPath: path] = false
            default: return false
            }
            return true
        }
    }

    private static func number(
        _ path: WritableKeyPath<AgentConfig, Int>, _ range: ClosedRange<Int>
    ) -> ConfigSchema {
        .value(expected: "a number from \(range.lowerBound) to \(range.upperBound)") {
            config, text in
            guard let value = Int(text), range.contains(value) else { return false }
            config[keyPath: path] = value
            return true
        }
    }

    private static func count(_ path: WritableKeyPath<AgentConfig, UInt64>) -> ConfigSchema {
        .value(expected: "a number, 0 for no cap") { config, text in
            guard let value = UInt64(text) else { return false }
            config[keyPath: path] = value
            return true
        }
    }

    private static func size(
        _ path: WritableKeyPath<AgentConfig, UInt64>, _ range: ClosedRange<UInt64>
    ) -> ConfigSchema {
        let bounds = "\(Quantity.bytes(range.lowerBound)) to \(Quantity.bytes(range.upperBound))"
        return .value(expected: "a size, \(bounds), as 512KiB or 8MiB") { config, text in
            guard let value = Quantity.bytes(parsing: text), range.contains(value) else {
                return false
            }
            config[keyPath: path] = value
            return true
        }
    }

    private static func duration(
        _ path: WritableKeyPath<AgentConfig, Duration>, _ range: ClosedRange<Duration>
    ) -> ConfigSchema {
        let bounds =
            "\(Quantity.duration(range.lowerBound)) to \(Quantity.duration(range.upperBound))"
        return .value(expected: "a duration, \(bounds), as 100ms, 10s or 7d") { config, text in
            guard let value = Quantity.duration(parsing: text), range.contains(value) else {
                return false
            }
            config[keyPath: path] = value
            return true
        }
    }

    private static func choice<Choice>(
        _ path: WritableKeyPath<AgentConfig, Choice>
    ) -> ConfigSchema
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return .value(expected: "one of \(names)") { config, text in
            guard let value = Choice(rawValue: text) else { return false }
            config[keyPath: path] = value
            return true
        }
    }
}
