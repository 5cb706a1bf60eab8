import Export
import TelemetryBatch
import Testing

@testable import Agent

@Suite struct `Processors in a file` {
    func read(_ yaml: String) throws -> ConfigReading {
        try ConfigReading(
            yaml: yaml, file: "otel.yaml", environment: { $0 == "TEAM" ? "red" : nil })
    }

    @Test func `attributes, resource and filter become steps in their pipeline's order`() throws {
        let reading = try read(
            """
            processors:
              attributes/mine:
                include: {match_type: regexp, services: ['^codex'], span_names: ['tool$']}
                actions:
                  - {key: team, action: insert, value: '${env:TEAM}'}
                  - {key: count, action: upsert, value: 17}
                  - {key: text, action: upsert, value: "17"}
                  - {key: share, action: update, value: 0.5}
                  - {key: on, action: upsert, value: true}
                  - {key: owner, action: upsert, from_attribute: user}
                  - {pattern: ^secret\\., action: delete}
              resource:
                attributes: [{key: host.name, action: delete}]
              filter:
                spans: {exclude: {match_type: strict, attributes: [{key: http.route, value: /health}]}}
                logs: {include: {match_type: strict, severity_number: {min: warn, match_undefined: true}}}
            exporters: {otlp_http: {endpoint: 'http://one:4318'}}
            service:
              pipelines:
                traces: {processors: [attributes/mine, filter], exporters: [otlp_http]}
                logs: {processors: [filter, resource], exporters: [otlp_http, journald]}
            """)
        #expect(reading.warnings == [])
        let rules = reading.config.rules(of: "otlp_http")
        guard case .attributes(let actions, let choice)? = rules.steps[.traces]?.first else {
            Issue.record("\(rules.steps)")
            return
        }
        let verbs: [AttributeEdit.Verb] = [
            .insert, .upsert, .upsert, .update, .upsert, .upsert, .delete,
        ]
        #expect(actions.map(\.verb) == verbs)
        let sources: [AttributeEdit.Source?] = [
            .value(.string("red")), .value(.int(17)), .value(.string("17")), .value(.double(0.5)),
            .value(.bool(true)), .attribute("user"), nil,
        ]
        #expect(actions.map(\.source) == sources)
        #expect(actions.last?.pattern?.source == "^secret\\.")
        #expect(choice.include?.services == [.pattern(try TextPattern("^codex"))])
        #expect(choice.exclude == nil)
        guard case .filter(let spans)? = rules.steps[.traces]?.last,
            case .filter(let logs)? = rules.steps[.logs]?.first
        else {
            Issue.record("\(rules.steps)")
            return
        }
        #expect(
            spans.exclude?.attributes == [
                .init(key: "http.route", value: .equal(.string("/health")))
            ])
        #expect((logs.include?.severityLeast, logs.include?.severityUndefined) == (13, true))
        #expect(rules.steps[.metrics] == nil)
        // journald is named for logs alone, and gets the others as they are.
        let journald = reading.config.rules(of: "journald")
        #expect(journald.steps.keys.sorted { $0.rawValue < $1.rawValue } == [.logs])
        #expect(journald.signals.count == 3)
        // Values may be secrets.
        let shown = reading.config.entries(origins: reading.origins)
        #expect(
            shown.contains {
                $0.key == "processors.attributes/mine.actions[0]" && $0.value == "insert team"
            })
        #expect(!shown.contains { $0.value.contains("red") })
    }

    static let exporter = "exporters: {otlp_http: {endpoint: 'http://one:4318'}}\n"

    @Test(arguments: [
        (
            "{actions: [{key: a, action: hash}]}",
            "otel.yaml:1:54: processors.attributes.actions[0].action is 'hash'; it must be insert, update, upsert or delete; this version has no others"
        ),
        ("{actions: [{key: a, action: extract, pattern: x}]}", "action is 'extract'"),
        (
            "{actions: [{key: a, action: upsert, value: 1, converted_type: int}]}",
            "there is no action convert"
        ),
        (
            "{actions: [{key: a, action: insert, from_context: b}]}",
            "write a value, or from_attribute"
        ),
        (
            "{actions: [{key: a, action: insert}]}",
            "processors.attributes.actions[0] needs a value, or from_attribute"
        ),
        ("{actions: [{key: a, action: insert, value: 1, from_attribute: b}]}", "keep one of them"),
        (
            "{actions: [{action: upsert, value: 1}]}",
            "otel.yaml:1:37: processors.attributes.actions[0] needs a key"
        ),
        ("{actions: [{key: a}]}", "needs an action"),
        ("{actions: [{key: a, action: delete, value: 1}]}", "takes no value"),
        ("{actions: [{action: delete}]}", "needs a key, or a pattern"),
        (
            "{actions: [{action: delete, pattern: '('}]}",
            "actions[0].pattern is no regular expression that can be taken: a ( without its )"
        ),
        ("{actions: [{key: a, action: upsert, value: 1, pattern: x}]}", "only delete takes"),
        ("{actions: {key: a}}", "must be a list of actions"),
        ("{actions: []}", "needs actions"),
        (
            "{action: [], actions: [{key: a, action: delete}]}",
            "unknown key processors.attributes.action; known here: actions, exclude, include"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {services: [x]}}",
            "needs a match_type: strict or regexp"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {match_type: expr}}",
            "it must be strict or regexp"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {match_type: strict}}",
            "says nothing that is to match"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {match_type: regexp, services: ['[']}}",
            "include.services is no regular expression"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {match_type: strict, span_kinds: [client]}}",
            "none of SPAN_KIND_CLIENT"
        ),
        (
            "{actions: [{key: a, action: delete}], include: {match_type: strict, log_bodies: [x]}}",
            "processors.attributes.include.log_bodies is nothing that traces have"
        ),
    ])
    func `what attributes cannot do is an error that says what can`(
        processor: String, expected: String
    ) {
        let yaml = """
            processors: {attributes: \(processor)}
            \(Self.exporter)
            service: {pipelines: {traces: {processors: [attributes], exporters: [otlp_http]}}}
            """
        let problems = #expect(throws: ConfigProblems.self) { try read(yaml) }
        #expect(problems?.description.contains(expected) == true, "\(problems?.description ?? "")")
        #expect(problems?.problems.count == 1, "\(problems?.description ?? "")")
    }

    @Test(arguments: [
        ("{}", "processors.filter needs spans, logs or metrics, with include or exclude"),
        ("{spans: {}}", "processors.filter.spans needs include or exclude"),
        (
            "{traces: {span: ['name == \"x\"']}}",
            "with match_type strict or regexp, under spans, logs or metrics"
        ),
        ("{logs: {log_record: ['true']}}", "are not carried out"),
        (
            "{logs: {include: {match_type: strict, severity_number: {min: loud}}}}",
            "or TRACE, DEBUG"
        ),
        (
            "{spans: {include: {match_type: strict, attributes: [{value: 1}]}}}",
            "attributes[0] needs a key"
        ),
        (
            "{metrics: {include: {match_type: strict, span_names: [a]}}}",
            "unknown key processors.filter.metrics.include.span_names; known here: match_type, metric_names, regexp, resource_attributes"
        ),
    ])
    func `what a filter cannot do is an error that says what can`(
        processor: String, expected: String
    ) {
        let problems = #expect(throws: ConfigProblems.self) {
            try read("processors: {filter: \(processor)}")
        }
        #expect(problems?.description.contains(expected) == true, "\(problems?.description ?? "")")
    }

    @Test func `an exporter of two pipelines must get records in one form`() throws {
        let yaml = """
            processors: {resource: {attributes: [{key: a, action: delete}]}}
            \(Self.exporter)
            service:
              pipelines:
                traces: {processors: [resource], exporters: [otlp_http]}
                traces/all: {PROCESSORS exporters: [otlp_http]}
            """
        let problems = #expect(throws: ConfigProblems.self) {
            try read(yaml.replacing("PROCESSORS", with: ""))
        }
        let expected =
            "service.pipelines.traces/all leads to otlp_http, as traces does, with other processors"
        #expect(problems?.description.contains(expected) == true, "\(problems?.description ?? "")")
        let reading = try read(yaml.replacing("PROCESSORS", with: "processors: [resource],"))
        #expect(reading.config.rules(of: "otlp_http").steps[.traces]?.count == 1)
    }
}
