internal import Export

/// An exporter that may be there several times, as `exporters.TYPE` and `exporters.TYPE/NAME`: the closed set of
/// their types. A new type is its settings in a file of its own, a case here, a line in `types`, and a line
/// where `Exporters` makes it.
package enum ExporterConfig: Sendable, Equatable {
    /// OTLP over HTTP.
    case otlpHTTP(OTLPHTTPConfig)
    /// OTLP over gRPC.
    case otlpGRPC(OTLPGRPCConfig)
    /// A file.
    case file(FileConfig)
    /// The agent's standard error.
    case debug(DebugConfig)

    /// All types, by what a file calls them.
    static var types: [ExporterType] {
        [
            ExporterType(OTLPHTTPConfig.self) { \.[otlpHTTP: $0] },
            ExporterType(OTLPGRPCConfig.self) { \.[otlpGRPC: $0] },
            ExporterType(FileConfig.self) { \.[file: $0] },
            ExporterType(DebugConfig.self) { \.[debug: $0] },
        ]
    }

    /// What is set.
    var settings: any ExporterSettings {
        switch self {
        case .otlpHTTP(let settings): settings
        case .otlpGRPC(let settings): settings
        case .file(let settings): settings
        case .debug(let settings): settings
        }
    }

    /// The type's name, as in a file.
    var type: String { Swift.type(of: settings).type }
}

/// What an exporter's settings are to the configuration: keys, rules, and what `config` shows.
protocol ExporterSettings: Sendable, Equatable {
    /// The key below `exporters`.
    static var type: String { get }
    /// What else it is called.
    static var aliases: [String] { get }
    /// What every exporter has.
    var basics: ExporterBasics { get set }
    /// Every key below the exporter's with its value, secrets masked; those of `basics` are added.
    var entries: [(String, String)] { get }
    /// What the file may say below the exporter's name; `it` is where that is kept. Those of `basics` are
    /// added.
    static func keys(_ it: WritableKeyPath<AgentConfig, Self>) -> [String: ConfigSchema]
    /// What no single value shows, each with the key below the exporter's that it is about: "" is all of it.
    func mistakes(in config: AgentConfig) -> [(key: String, message: String)]
    /// What the backend can take of metrics.
    var temporality: RecordRules.Temporality { get }
    /// The batching that a pipeline's `batch` asks for, where the exporter's own keys (`isSet`) say nothing.
    mutating func take(_ batching: BatchProcessor, isSet: (String) -> Bool)
}

extension ExporterSettings {
    static var aliases: [String] { [] }
    var temporality: RecordRules.Temporality { .any }
    func mistakes(in config: AgentConfig) -> [(key: String, message: String)] { [] }
    mutating func take(_ batching: BatchProcessor, isSet: (String) -> Bool) {}
}

/// What every exporter of the user's naming has.
package struct ExporterBasics: Sendable, Equatable {
    /// Key `enabled`, default true.
    package var enabled = true
    /// Key `start_at`, default `end`.
    package var startAt = AgentConfig.StartAt.end

    var entries: [(String, String)] {
        [("enabled", "\(enabled)"), ("start_at", startAt.rawValue)]
    }
}

/// A type of exporter, as the file's table has it.
struct ExporterType {
    /// The key below `exporters`.
    let type: String
    /// The key and what else it is called.
    let names: [String]
    private let make: (String) -> ConfigSchema

    init<Settings: ExporterSettings>(
        _ settings: Settings.Type,
        _ place: @escaping (String) -> WritableKeyPath<AgentConfig, Settings>
    ) {
        type = Settings.type
        names = [Settings.type] + Settings.aliases
        make = { name in
            let it = place(name)
            let basics: [String: ConfigSchema] = [
                "enabled": .flag(it.appending(path: \.basics.enabled)),
                "start_at": .choice(it.appending(path: \.basics.startAt)),
            ]
            let made = ConfigSchema.section(Settings.keys(it).merging(basics) { own, _ in own })
            return .present(made) { config in
                // Named and nothing more: it is there with its defaults.
                config[keyPath: it] = config[keyPath: it]
            }
        }
    }

    /// What the file may say below a name of this type.
    var schema: ConfigSchema { .named(type: type, make: make) }
}
