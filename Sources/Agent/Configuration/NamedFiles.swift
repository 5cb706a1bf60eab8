internal import FileExport
internal import OTLPExport
internal import Receive

extension ConfigReading {
    /// What is wrong with the certificates, keys and output files that the file names, as they are now.
    var fileProblems: [ConfigProblem] {
        var found: [(key: String, message: String)] = []
        for (name, tls) in [("http", config.otlp.httpTLS), ("grpc", config.otlp.grpcTLS)]
        where config.otlp.enabled && tls.isOn {
            guard let mistake = tls.settings(name).fileMistake() else { continue }
            found.append(("receivers.otlp.protocols.\(name).\(mistake.key)", mistake.message))
        }
        var written: Set<String> = []
        for (name, exporter) in config.exporters.sorted(by: { $0.key < $1.key })
        where exporter.settings.basics.enabled && config.isUsed(name) {
            let settings: ConnectionSettings
            switch exporter {
            case .otlpHTTP(let its): settings = its.connection { _ in nil }
            case .otlpGRPC(let its): settings = its.certificates
            case .file(let its):
                let path = its.plainPath
                if let obstacle = OutputFile.obstacle(at: path) {
                    found.append(("exporters.\(name).path", "(\(path)) \(obstacle)"))
                } else if !written.insert(OutputFile.identity(of: path)).inserted {
                    found.append(("exporters.\(name).path", FileConfig.shared))
                }
                continue
            case .debug: continue
            }
            guard let mistake = settings.fileMistake() else { continue }
            found.append(("exporters.\(name).\(mistake.key)", mistake.message))
        }
        return found.compactMap { key, message in
            // What a variable names is no error of the file.
            guard let place = places[key] ?? places[key.replacing(/\.path$/, with: "")] else {
                return nil
            }
            return ConfigProblem(
                file: file, line: place.line, column: place.column, message: "\(key) \(message)")
        }
    }
}
