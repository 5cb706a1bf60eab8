import ByteCoding
import FileExport
import OTLPExport
import Testing

@testable import Agent

@Suite struct `Sinks in the configuration` {
    private func read(_ yaml: String) throws -> ConfigReading {
        try ConfigReading(yaml: yaml, file: "otel.yaml", environment: { _ in nil })
    }

    @Test func `a file has the Collector's keys, and a home stands for a tilde`() throws {
        let config = try read(
            """
            exporters:
              file/mine:
                path: ~/traces.pb
                format: proto
                rotation: {max_megabytes: 2, max_backups: 0, max_days: 3, localtime: true}
            """
        ).config
        let exporter = config[file: "file/mine"].exporter(home: "/home/ada")
        #expect(exporter.path == "/home/ada/traces.pb")
        #expect(exporter.bytesMax == 2 << 20)
        #expect(exporter.backupsMax == nil)
        #expect(exporter.backupAge == .seconds(3 * 86_400))
        #expect(exporter.isLocalTime)
        let plain = try read("exporters: {file: }").config[file: "file"].exporter(home: "/h")
        #expect(plain.path == "/h/.codex/telemetry/codex-traces.json")
        #expect(plain.bytesMax == 100 << 20)
        #expect(plain.backupsMax == 3)
    }

    @Test func `logging is debug`() throws {
        let config = try read("exporters: {logging/all: {verbosity: detailed}}").config
        #expect(config[debug: "debug/all"].verbosity == .detailed)
    }

    @Test(arguments: [
        ("file: {path: traces.json}", "must begin with / or ~/"),
        ("file: {path: /a/}", "it must be a path"),
        ("file: {compression: zstd}", "compressed files are not written"),
        ("file: {group_by: {enabled: true}}", "name several file exporters"),
        ("file: {path: /a}, file/b: {path: /a}", "is another exporter's, too"),
        ("otlp_http: {endpoint: 'http://b', tls: {cert_file: /c}}", "needs tls.key_file, too"),
        ("otlp_http: {endpoint: 'http://b', tls: {ca_file: c}}", "absolute path of a file in PEM"),
        ("otlp_http: {endpoint: 'http://b', proxy_url: 'socks5://p'}", "must be a proxy"),
        ("debug: {verbosity: loud}", "one of basic, normal, detailed"),
    ])
    func `what is wrong is said`(_ exporters: String, _ message: String) {
        do {
            _ = try read("exporters: {\(exporters)}")
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains(message), "\(error)")
        }
    }

    @Test func `what goes to this host is marked, unless that is not wanted`() throws {
        func mark(_ more: String) throws -> Bool {
            let config = try read("exporters: {otlp_http: {\(more)}}").config
            return config[otlpHTTP: "otlp_http"].exporter(log: .zero).mark != nil
        }
        #expect(try mark("endpoint: 'http://localhost:14318'"))
        #expect(try !mark("endpoint: 'http://localhost:14318', mark_hops: false"))
        #expect(try !mark("endpoint: 'https://backend.example'"))
    }
}
