/// What a part of a configuration file may say: the one table that reading, errors and the reference use.
indirect enum ConfigSchema {
    /// A mapping of known keys.
    case section([String: ConfigSchema])
    /// A scalar: what it must be, for the error; and how it is set (false: it is not that).
    case value(expected: String, assign: (inout AgentConfig, String) -> Bool)
    /// A scalar whose type counts: as `value`, with whether it stands without quotation marks.
    case typed(expected: String, assign: (inout AgentConfig, String, Bool) -> Bool)
    /// A sequence: what the item with a number, from 0, may be.
    case items(expected: String, make: (Int) -> ConfigSchema)
    /// A scalar of the Collector's that can be one thing here, and so sets nothing.
    case only(String)
    /// Scalars in a sequence, or one alone.
    case list(expected: String, assign: (inout AgentConfig, [String]) -> Bool)
    /// A component that may be there several times, as `TYPE` and `TYPE/NAME`: the full name, and what it
    /// may say.
    case named(type: String, make: (String) -> ConfigSchema)
    /// A mapping of keys that are the user's.
    case table(expected: String, assign: (inout AgentConfig, String, String) -> Bool)
    /// What is set by being named, whatever it says or leaves out.
    case present(ConfigSchema, assign: (inout AgentConfig) -> Void)
    /// A key of the Collector's that may stand and does nothing: why none is needed, for the warning.
    case accepted(why: String)
    /// A key of the Collector's that would do something, and cannot here: why, and what to do instead.
    case refused(why: String)
}

extension ConfigSchema {
    static func endpoint(
        _ path: WritableKeyPath<AgentConfig, Endpoint>
    ) -> ConfigSchema {
        .value(
            expected: "an address of this host and a port, as localhost:4318 or 0.0.0.0:4318"
        ) { config, text in
            guard let endpoint = Endpoint(text) else { return false }
            config[keyPath: path] = endpoint
            return true
        }
    }

    static func address(
        _ path: WritableKeyPath<AgentConfig, HTTPAddress?>
    ) -> ConfigSchema {
        .value(expected: "a URL, as https://collector.example:4318") { config, text in
            guard let address = HTTPAddress(text) else { return false }
            config[keyPath: path] = address
            return true
        }
    }

    static func headers(
        _ path: WritableKeyPath<AgentConfig, [OTLPHTTPConfig.Header]>
    ) -> ConfigSchema {
        .table(
            expected:
                "a header's name and value, in ASCII and on one line, and none of the body's own"
        ) {
            config, name, value in
            guard OTLPHTTPConfig.Header.isAllowed(name, value) else { return false }
            config[keyPath: path].removeAll { $0.name.lowercased() == name.lowercased() }
            config[keyPath: path].append(OTLPHTTPConfig.Header(name: name, value: value))
            return true
        }
    }

    static func flag(_ path: WritableKeyPath<AgentConfig, Bool>) -> ConfigSchema {
        .value(expected: "true or false") { config, text in
            switch text.lowercased() {
            case "true": config[keyPath: path] = true
            case "false": config[keyPath: path] = false
            default: return false
            }
            return true
        }
    }

    static func number(
        _ path: WritableKeyPath<AgentConfig, Int>, _ range: ClosedRange<Int>
    ) -> ConfigSchema {
        .value(expected: "a number from \(range.lowerBound) to \(range.upperBound)") {
            config, text in
            guard let value = Int(text), range.contains(value) else { return false }
            config[keyPath: path] = value
            return true
        }
    }

    static func count(_ path: WritableKeyPath<AgentConfig, UInt64>) -> ConfigSchema {
        .value(expected: "a number, 0 for no cap") { config, text in
            guard let value = UInt64(text) else { return false }
            config[keyPath: path] = value
            return true
        }
    }

    static func size(
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

    static func duration(
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

    static func choice<Choice>(
        _ path: WritableKeyPath<AgentConfig, Choice>
    ) -> ConfigSchema
    where Choice: RawRepresentable & CaseIterable, Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return .value(expected: "one of \(names)") { config, text in
            guard let value = Choice(rawValue: text.lowercased()) else { return false }
            config[keyPath: path] = value
            return true
        }
    }
}
