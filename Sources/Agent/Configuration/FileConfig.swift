internal import FileExport
internal import SystemIO

/// Writing records to a file as OTLP's requests. Keys: `exporters.file` and `exporters.file/NAME`.
package struct FileConfig: ExporterSettings {
    static let type = "file"

    /// How requests are written.
    package enum Format: String, Sendable, CaseIterable {
        /// A line of JSON each.
        case json
        /// Protocol buffers, each behind its length.
        case proto
    }

    /// Keys `enabled` and `start_at`.
    package var basics = ExporterBasics()
    /// Key `path`, default `~/.codex/telemetry/codex-traces.json`; `~/` is the home of the agent's user.
    package var path = "~/.codex/telemetry/codex-traces.json"
    /// Key `format`, default `json`.
    package var format = Format.json
    /// Key `rotation.max_megabytes`, default 100 (MiB).
    package var megabytesMax = 100
    /// Key `rotation.max_backups`, default 3; 0 keeps all.
    package var backupsMax = 3
    /// Key `rotation.max_days`, default 0: for ever.
    package var daysMax = 0
    /// Key `rotation.localtime`, default false: names of files that were set aside have UTC.
    package var isLocalTime = false
    /// Key `flush_interval`, default 200 ms.
    package var flushInterval = Duration.milliseconds(200)

    /// The defaults.
    package init() {}

    var entries: [(String, String)] {
        [
            ("path", path), ("format", format.rawValue),
            ("rotation.max_megabytes", "\(megabytesMax)"),
            ("rotation.max_backups", "\(backupsMax)"), ("rotation.max_days", "\(daysMax)"),
            ("rotation.localtime", "\(isLocalTime)"),
            ("flush_interval", Quantity.duration(flushInterval)),
        ]
    }

    func mistakes(in config: AgentConfig) -> [(key: String, message: String)] {
        guard path.hasPrefix("/") || path.hasPrefix("~/") else {
            return [("path", "is '\(path)'; it must begin with / or ~/")]
        }
        let plain = plainPath
        let system = ["/dev/", "/proc/", "/sys/"]
        if system.contains(where: plain.hasPrefix), !plain.hasPrefix("/dev/shm/") {
            return [
                (
                    "path",
                    "is '\(path)', where no file can be kept; name one in a directory of yours, or take the "
                        + "exporter debug, which prints"
                )
            ]
        }
        let others = config.exporters.filter {
            if case .file(let other) = $0.value {
                other.basics.enabled && other.plainPath == plain
            } else {
                false
            }
        }
        return others.count > 1 ? [("path", Self.shared)] : []
    }

    /// Why two exporters must not have one file.
    static let shared = "is another exporter's, too; each needs its own"

    /// The path from the root, without what does not change where it leads.
    var plainPath: String {
        let home = ThisProcess.environment("HOME") ?? ThisProcess.homeDirectory ?? "/"
        // `..` stays: behind a symbolic link it leads elsewhere.
        let parts = (path.hasPrefix("~/") ? home + path.dropFirst() : path).split(separator: "/")
            .filter { $0 != "." }
        return "/" + parts.joined(separator: "/")
    }

    static func keys(_ it: WritableKeyPath<AgentConfig, FileConfig>) -> [String: ConfigSchema] {
        [
            "path": .value(expected: "a path that begins with / or ~/") { config, text in
                config[keyPath: it].path = text
                return !text.isEmpty && !text.hasSuffix("/")
            },
            "format": .choice(it.appending(path: \.format)),
            "rotation": .section([
                "max_megabytes": .number(it.appending(path: \.megabytesMax), 1...1_000_000),
                "max_backups": .number(it.appending(path: \.backupsMax), 0...10_000),
                "max_days": .number(it.appending(path: \.daysMax), 0...36_500),
                "localtime": .flag(it.appending(path: \.isLocalTime)),
            ]),
            "flush_interval": .duration(
                it.appending(path: \.flushInterval), .milliseconds(1)...(.seconds(60))),
            "append": .accepted(
                why: "the file is always continued, so that no record is lost or doubled"),
            "create_directory": .accepted(
                why: "missing directories are made, for their owner alone"),
            "compression": .value(
                expected: "none: compressed files are not written; compress what was set aside"
            ) { _, text in text.isEmpty || text == "none" },
            "encoding": .refused(
                why: "there are no encoding extensions; set format to json or proto"),
            "group_by": .refused(
                why: "records go to one file; name several file exporters, each with its path"),
        ]
    }

    /// As the exporter takes it; `home` stands for `~`.
    func exporter(home: String) -> FileExportConfiguration {
        var configuration = FileExportConfiguration()
        configuration.path = path.hasPrefix("~/") ? home + path.dropFirst() : path
        configuration.format = format == .json ? .json : .protobuf
        configuration.bytesMax = UInt64(megabytesMax) << 20
        configuration.backupsMax = backupsMax == 0 ? nil : backupsMax
        configuration.backupAge = daysMax == 0 ? nil : .seconds(daysMax * 86_400)
        configuration.isLocalTime = isLocalTime
        configuration.flushInterval = flushInterval
        return configuration
    }
}

extension AgentConfig {
    /// One exporter; made by setting it.
    subscript(file name: String) -> FileConfig {
        get { if case .file(let it) = exporters[name] { it } else { FileConfig() } }
        set { exporters[name] = .file(newValue) }
    }
}
