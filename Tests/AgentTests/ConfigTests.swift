import Testing

@testable import Agent

@Suite struct `The configuration file` {
    func read(_ yaml: String, _ environment: [String: String] = [:]) throws -> ConfigReading {
        try ConfigReading(yaml: yaml, file: "otel.yaml", environment: { environment[$0] })
    }

    @Test(arguments: ["", "# nothing\n", "receivers:\n", "log: {}\n"])
    func `an empty file is the built-in default`(yaml: String) throws {
        #expect(try read(yaml).config == AgentConfig())
    }

    @Test func `a file adds to the default and says where each value came from`() throws {
        let reading = try read(
            """
            exporters:
              journald:
                detail: all
            log:
              fsync: every_commit
              cap: 64MiB
            """)
        #expect(reading.config.journald.detail == .all)
        #expect(reading.config.journald.enabled)
        #expect(reading.config.log.fsync == .everyCommit)
        #expect(reading.config.log.capBytes == 64 << 20)
        #expect(reading.origins["log.cap"] == "otel.yaml:6")
        #expect(reading.origins["log.retention"] == nil)
        let entries = reading.config.entries(origins: reading.origins)
        #expect(entries.first { $0.key == "log.cap" }?.value == "64MiB")
        #expect(entries.first { $0.key == "log.retention" }?.value == "7d")
    }

    @Test func `variables are taken from the agent's environment`() throws {
        let yaml = "log: {cap: '${env:CAP}', retention: '${env:AGE:-2d}'}"
        let reading = try read(yaml, ["CAP": "16MiB"])
        #expect(reading.config.log.capBytes == 16 << 20)
        #expect(reading.config.log.retention == .seconds(2 * 86_400))
        #expect(throws: ConfigProblems.self) { try read(yaml) }
    }

    @Test(arguments: [
        ("exporters:\n  journal: {}\n", "otel.yaml:2:3: unknown key exporters.journal"),
        ("log:\n  cap: lots\n", "otel.yaml:2:8: log.cap is 'lots'; it must be a size"),
        ("log: [1]\n", "log must be a mapping"),
        ("log:\n  fsync: sometimes\n", "one of interval, every_commit"),
        ("log: {cap: 1MiB}\n", "at least 8MiB"),
        ("log:\n  - : :\n bad", "not YAML"),
        ("receivers: {codex: {enabled: yes please}}", "true or false"),
        ("exporters: {otlp_http/a/b: {endpoint: 'http://a:1'}}", "has a name that cannot be"),
        ("exporters: {otlp_http/: {endpoint: 'http://a:1'}}", "has a name that cannot be"),
        (
            "exporters: {otlp_http: {endpoint: 'http://a:1', headers: {Content-Length: '5'}}}",
            "none of the body's own"
        ),
        ("log: {cap: '${env:X'}", "'${' without its '}'; a '$' itself is written $$"),
        ("log: {cap: '${file:/etc/passwd}'}", "no reference that is known"),
        ("a: &a [*a]", "take the nesting or the aliases out"),
        ("log: {}\n---\nlog: {}\n", "otel.yaml:3:1: not YAML: a second document begins"),
    ])
    func `an error says where, what and what is known`(yaml: String, expected: String) {
        do {
            _ = try read(yaml)
            Issue.record("accepted: \(yaml)")
        } catch {
            #expect("\(error)".contains(expected))
        }
    }

    @Test func `what others write is read as they mean it`() throws {
        let yaml = """
            exporters:
              otlp_http/a: &one
                endpoint: http://a:1
                headers: {price: '$$5', key: '${KEY}'}
                timeout: 1m30s
              otlp_http/b:
                <<: *one
                endpoint: http://b:1
            service: {telemetry: {logs: {level: WARN}}}
            """
        let config = try read(yaml, ["KEY": "v"]).config
        let (one, two) = (config[otlpHTTP: "otlp_http/a"], config[otlpHTTP: "otlp_http/b"])
        #expect(one.headers.map(\.value) == ["$5", "v"])
        #expect(one.timeout == .seconds(90))
        #expect((two.endpoint?.host, two.timeout, two.headers) == ("b", one.timeout, one.headers))
        #expect(config.logLevel == .warn)
    }

    @Test(arguments: [
        ("1.5h", Duration.seconds(5400)), ("1m30s", .seconds(90)), ("0", .zero),
        ("2us", .microseconds(2)),
    ])
    func `durations are read as Go writes them`(text: String, value: Duration) {
        #expect(Quantity.duration(parsing: text) == value)
    }

    @Test(arguments: [
        ("250ms", Duration.milliseconds(250)), ("7d", .seconds(604_800)), ("12h", .seconds(43_200)),
    ])
    func `durations are written as they are read`(text: String, value: Duration) {
        #expect(Quantity.duration(parsing: text) == value)
        #expect(Quantity.duration(value) == text)
    }

    @Test(arguments: ["", "-1s", "1", "1 week", "99999999999999999d", "ms"])
    func `what is no duration is refused`(text: String) {
        #expect(Quantity.duration(parsing: text) == nil)
    }
}
