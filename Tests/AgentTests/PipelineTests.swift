import Export
import Testing

@testable import Agent

@Suite struct `Pipelines` {
    func read(_ yaml: String) throws -> ConfigReading {
        try ConfigReading(yaml: yaml, file: "otel.yaml", environment: { _ in nil })
    }

    static let two = """
        exporters:
          otlp_http: {endpoint: 'http://one:4318'}
          otlphttp/backup: {endpoint: 'http://two:4318'}

        """

    @Test func `without pipelines every exporter gets every signal`() throws {
        let config = try read(Self.two).config
        #expect(config.exporters.keys.sorted() == ["otlp_http", "otlp_http/backup"])
        for name in config.exporters.keys {
            #expect(config.isUsed(name))
            #expect(config.rules(of: name).areEverything)
        }
    }

    @Test func `an exporter gets the signals of its pipelines, by whatever name it is called`()
        throws
    {
        let reading = try read(
            Self.two + """
                service:
                  pipelines:
                    traces: {receivers: [otlp], exporters: [otlphttp]}
                    logs/app: {receivers: [codex], exporters: [otlp_http, otlphttp/backup]}
                """)
        #expect(reading.config.rules(of: "otlp_http").signals == [.traces, .logs])
        #expect(reading.config.rules(of: "otlp_http/backup").signals == [.logs])
        #expect(reading.config.rules(of: "journald").areEverything)
        #expect(reading.warnings == [])
    }

    @Test(arguments: ["otlp_http", "otlp_grpc"])
    func `what a backend can take of metrics is a rule of its exporter`(type: String) throws {
        let config = try read(
            """
            exporters:
              \(type): {endpoint: 'http://one:4318', temporality: delta}
              \(type)/all: {endpoint: 'http://two:4318'}
            service: {pipelines: {metrics: {exporters: [\(type), \(type)/all]}}}
            """
        ).config
        #expect(config.rules(of: type).temporality == .delta)
        #expect(config.rules(of: "\(type)/all").temporality == .any)
        #expect(config.rules(of: "journald").temporality == .any)
        let wrong = "exporters: {\(type): {endpoint: 'http://one:4318', temporality: lowmemory}}"
        let error = #expect(throws: ConfigProblems.self) { try read(wrong) }
        #expect("\(try #require(error))".contains("any, delta, cumulative"))
    }

    @Test func `what no pipeline names does nothing, and a warning says so`() throws {
        let reading = try read(
            "processors: {batch: }\n" + Self.two
                + "service: {pipelines: {traces: {exporters: [otlp_http]}}}")
        #expect(!reading.config.isUsed("otlp_http/backup"))
        let said = reading.warnings.map(\.description)
        #expect(said.count == 2)
        #expect(said[0].hasPrefix("otel.yaml:1:14: processors.batch is in no pipeline"))
        #expect(said[1].hasPrefix("otel.yaml:4:3: exporters.otlp_http/backup is in no pipeline"))
    }

    @Test(arguments: [
        (
            "service: {pipelines: {traces: {exporters: [journald, flie]}}}",
            "otel.yaml:1:54: service.pipelines.traces.exporters names flie, which is not defined"
        ),
        (
            "service: {pipelines: {traces: {exporters: [journald], processors: [batch]}}}",
            "processors names batch, which is not defined"
        ),
        (
            "service: {pipelines: {traces: {exporters: [journald], receivers: [jaeger]}}}",
            "there are these receivers: codex, otlp"
        ),
        ("service: {pipelines: {traces: {receivers: [otlp]}}}", "traces needs exporters"),
        ("service: {pipelines: {trace: }}", "known here: logs, metrics, profiles, traces"),
        ("service: {pipelines: {traces: {exporters: [[journald]]}}}", "must be a list of names"),
        (
            "service: {pipelines: {traces: {exporters: [journald, journald]}}}",
            "names journald twice"
        ),
        ("processors: {redaction: {}}", "cannot carry it out"),
        ("processors: {batch: {timeout: soon}}", "a duration, as 200ms or 1s"),
    ])
    func `a pipeline that leads nowhere is an error at its place`(yaml: String, expected: String) {
        let problems = #expect(throws: ConfigProblems.self) { try read(yaml) }
        #expect(problems?.description.contains(expected) == true, "\(problems?.description ?? "")")
    }

    @Test func `batch sets the batching of its pipelines' exporters unless they say it themselves`()
        throws
    {
        let config = try read(
            """
            processors:
              batch: {timeout: 1s, send_batch_size: 512, send_batch_max_size: 1024}
            exporters:
              otlp_http: {endpoint: 'http://one:4318'}
              otlp_http/own:
                endpoint: http://two:4318
                sending_queue: {batch: {max_size: 7}}
              otlp_http/other: {endpoint: 'http://three:4318'}
            service:
              pipelines:
                traces: {processors: [batch], exporters: [otlp_http, otlp_http/own]}
                logs: {exporters: [otlp_http/other]}
            """
        ).config
        let (one, own, other) = (
            config[otlpHTTP: "otlp_http"], config[otlpHTTP: "otlp_http/own"],
            config[otlpHTTP: "otlp_http/other"]
        )
        #expect((one.batchRecordsMax, one.flushInterval) == (512, .seconds(1)))
        #expect((own.batchRecordsMax, own.flushInterval) == (7, .seconds(1)))
        #expect((other.batchRecordsMax, other.flushInterval) == (8192, .milliseconds(200)))
    }

    @Test(arguments: ["localhost:4318", "LOCALHOST:4318", "[::1]:4318", "0.0.0.0:4318"])
    func `an endpoint that is our own receiver is refused`(place: String) {
        let yaml = "exporters: {otlp_http: {traces_endpoint: 'http://\(place)/v1/traces'}}"
        let problems = #expect(throws: ConfigProblems.self) { try read(yaml) }
        #expect(
            problems?.description.contains(
                "otel.yaml:1:42: exporters.otlp_http.traces_endpoint would send to this agent's own"
            )
                == true, "\(problems?.description ?? "")")
    }
}
