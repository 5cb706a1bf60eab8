import Export
import Testing

@testable import Agent

@Suite struct `The agent's environment` {
    func read(_ environment: [String: String], _ yaml: String = "") throws -> ConfigReading {
        try ConfigReading(yaml: yaml, file: "otel.yaml", environment: { environment[$0] })
    }

    /// What exporters there are of the environment's making: key, value and origin.
    func made(_ reading: ConfigReading) -> [String] {
        reading.config.entries(origins: reading.origins)
            .filter { $0.origin != "default" && !$0.origin.hasPrefix("otel.yaml") }
            .map { "\($0.key.replacing("exporters.", with: "")) \($0.value) \($0.origin)" }
    }

    static let standard = "OTEL_EXPORTER_OTLP_"

    @Test(arguments: [
        (
            ["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTLP_ENDPOINT": "http://b:1"],
            ["otlp_http.endpoint http://a:1 CODEX_OTEL_ENDPOINT"]
        ),
        (
            ["CODEX_OTLP_ENDPOINT": "http://b:1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"],
            ["otlp_http.endpoint http://b:1 CODEX_OTLP_ENDPOINT"]
        ),
        (
            ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"],
            ["otlp_http.endpoint http://c:1 OTEL_EXPORTER_OTLP_ENDPOINT"]
        ),
        (
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1",
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l:1/in",
            ],
            [
                "otlp_http.endpoint http://c:1 OTEL_EXPORTER_OTLP_ENDPOINT",
                "otlp_http.logs_endpoint http://l:1/in OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            ]
        ),
        (
            ["CODEX_OTEL_ENDPOINT": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1"],
            ["otlp_http.endpoint http://c:1 OTEL_EXPORTER_OTLP_ENDPOINT"]
        ),
        (["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTLP_ENABLE": "false"], []),
        (["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_EXPORTER": "journald"], []),
        (
            [
                "CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_EXPORTER": "journald",
                "CODEX_OTLP_ENABLE": "1",
            ],
            ["otlp_http.endpoint http://a:1 CODEX_OTEL_ENDPOINT"]
        ),
        (
            ["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_EXPORTER": "journald, Jaeger"],
            ["otlp_http.endpoint http://a:1 CODEX_OTEL_ENDPOINT"]
        ),
        (["CODEX_OTEL_EXPORTER": "none"], ["journald.enabled false CODEX_OTEL_EXPORTER"]),
        ([:], []),
    ])
    func `ours come before the standard's, a signal's before the common one`(
        environment: [String: String], expected: [String]
    ) throws {
        #expect(made(try read(environment)) == expected)
    }

    @Test func `every value may come from the environment`() throws {
        let reading = try read([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/v1/traces",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=b,Authorization=Bearer%20x=,semi=1;2",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
        ])
        let exporter = reading.config[otlpHTTP: "otlp_http"]
        #expect(exporter.headers.map(\.value) == ["b", "Bearer x=", "1;2"])
        #expect(exporter.timeout == .milliseconds(2500))
        #expect(exporter.compression == .none)
        #expect(exporter.encoding == .json)
        #expect(exporter.endpoint?.base == "http://c:1")
        #expect(reading.warnings == [])
        #expect(made(reading).allSatisfy { !$0.contains("Bearer") })
    }

    @Test func `headers go to the backend that is named beside them, and to no other`() throws {
        let theirs = ["OTEL_EXPORTER_OTLP_HEADERS": "key=theirs"]
        let ours = ["CODEX_OTLP_HEADERS": "key=ours;more=1", "CODEX_OTEL_ENDPOINT": "http://a:1"]
        let alone = try read(theirs.merging(["CODEX_OTEL_ENDPOINT": "http://a:1"]) { $1 })
        #expect(alone.config[otlpHTTP: "otlp_http"].headers == [])
        let both = try read(theirs.merging(ours) { $1 }).config[otlpHTTP: "otlp_http"]
        #expect(both.headers.map(\.value) == ["ours", "1"])
    }

    @Test func `signals that are sent otherwise have exporters of their own`() throws {
        let config = try read([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1", "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
            "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "1000",
        ]).config
        #expect(
            config.exporters.keys.sorted() == [
                "otlp_http/logs", "otlp_http/metrics", "otlp_http/traces",
            ])
        #expect(config.rules(of: "otlp_http/metrics").signals == [.metrics])
        #expect(config[otlpHTTP: "otlp_http/metrics"].timeout == .seconds(1))
        #expect(config[otlpHTTP: "otlp_http/logs"].timeout == .seconds(30))
    }

    @Test(arguments: [
        (["OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"], "this agent's own receiver"),
        (
            ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1]:4318/v1/traces"],
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not used"
        ),
        (["OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"], "it must be a URL"),
        (["CODEX_OTEL_EXPORTER": "otlp"], "no variable names an endpoint"),
        (["CODEX_OTLP_ENABLE": "true"], "CODEX_OTLP_ENABLE asks for OTLP"),
        (["CODEX_OTEL_EXPORTER": "consle"], "CODEX_OTEL_EXPORTER names 'consle'"),
        (["CODEX_OTLP_ENABLE": "maybe"], "CODEX_OTLP_ENABLE must be true or false"),
    ])
    func `a bad value is one warning that names it, and everything else goes on`(
        environment: [String: String], expected: String
    ) throws {
        let reading = try read(environment)
        #expect(reading.warnings.count == 1)
        #expect(reading.warnings.first?.description.contains(expected) == true)
        #expect(reading.config == AgentConfig())
        #expect(made(reading) == [])
    }

    @Test func `the receiver's own port is the one of the file`() throws {
        let yaml = "receivers: {otlp: {protocols: {http: {endpoint: 'localhost:14318'}}}}"
        let standard = try read(["OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"], yaml)
        #expect(standard.config.exporters.count == 1)
        let own = try read(["OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:14318"], yaml)
        #expect(own.config.exporters.isEmpty)
    }

    @Test func `the file's own OTLP exporters take the environment's place, with a warning`() throws
    {
        let yaml = "exporters: {otlp_http/mine: {endpoint: 'http://m:1'}}"
        let reading = try read(
            ["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_HEADERS": "key=secret"], yaml)
        #expect(reading.config.exporters.keys.sorted() == ["otlp_http/mine"])
        #expect(made(reading) == [])
        #expect(
            reading.warnings.first?.description.hasPrefix(
                "environment: CODEX_OTEL_ENDPOINT is not used: the file has exporters.otlp_http/mine"
            )
                == true)
        let named = try read(
            ["CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_HEADERS": "key=secret"],
            "exporters: {otlp_http: {endpoint: 'http://m:1'}}")
        #expect(named.config[otlpHTTP: "otlp_http"].headers == [])
        #expect(named.config[otlpHTTP: "otlp_http"].endpoint?.host == "m")
    }

    @Test func `pipelines of the file do not take away what the environment asks for`() throws {
        let reading = try read(
            ["CODEX_OTEL_ENDPOINT": "http://a:1"],
            "service: {pipelines: {traces: {exporters: [journald]}}}")
        #expect(reading.config.isUsed("otlp_http"))
        #expect(reading.config.rules(of: "otlp_http").areEverything)
        #expect(reading.warnings == [])
    }

    @Test func `resource attributes are inserted by exporters of the environment alone`() throws {
        let environment = [
            "CODEX_OTEL_ENDPOINT": "http://a:1", "CODEX_OTEL_EXPORTER": "otlp,console",
            "OTEL_RESOURCE_ATTRIBUTES": " team = blue%2C%20red ,session.id=s,a=b=%3D,",
        ]
        let reading = try read(
            environment,
            """
            exporters: {file: {path: /a}}
            processors: {attributes: {actions: [{key: k, action: delete}]}}
            service: {pipelines: {traces: {processors: [attributes], exporters: [file, otlp_http]}}}
            """)
        #expect(reading.warnings == [])
        let config = reading.config
        guard case .resource(let actions)? = config.rules(of: "debug").steps[.metrics]?.first else {
            Issue.record("there is no step")
            return
        }
        #expect(actions.map { "\($0.verb) \($0.key)" } == ["insert team", "insert a"])
        #expect("\(actions.map(\.source))".contains("\"blue, red\""))
        #expect("\(actions.map(\.source))".contains("\"b==\""))
        // A pipeline that names it adds its processors behind.
        #expect(config.rules(of: "otlp_http").steps[.traces]?.count == 2)
        #expect(config.rules(of: "otlp_http").steps[.logs] == nil)
        #expect(config.rules(of: "file").steps[.traces]?.count == 1)
        #expect(config.rules(of: "journald").steps.isEmpty)
    }

    @Test(arguments: [
        ("team=blue,red", "there is no = in its pair 2"),
        ("a=1,=b", "there is no key in its pair 2"),
        ("a=1,b=%zz", "a % begins no code of a byte of UTF-8 in its pair 2"),
        ("a=%ff", "a % begins no code"), ("a=1,b=2,a=3", "a key stands again in its pair 3"),
    ])
    func `resource attributes that are wrong are said once, and none is used`(
        text: String, expected: String
    ) throws {
        let variable = "OTEL_RESOURCE_ATTRIBUTES"
        let used = try read(["CODEX_OTEL_ENDPOINT": "http://a:1", variable: text])
        #expect(used.warnings.count == 1)
        #expect(
            used.warnings.first?.description.hasPrefix(
                "environment: \(variable) is not used: \(expected)") == true)
        #expect(used.config.rules(of: "otlp_http").steps.isEmpty)
        // Nothing here would use it.
        #expect(try read([variable: text]).warnings == [])
    }
}
