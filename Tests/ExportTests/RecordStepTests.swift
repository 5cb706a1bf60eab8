import ByteCoding
import TelemetryBatch
import Testing

@testable import Export

@Suite struct `Processors before an exporter` {
    /// Two spans, two log events, a point, in turn: span, log, span, log, point.
    func batch() throws -> Batch {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(
            baseTime: 1,
            resource: Resource(attributes: [
                Attribute("service.name", .string("codex-cli")), Attribute("host", .string("h1")),
            ]))
        let scope = builder.index(of: Scope(name: "lib", version: "2"))
        for (index, name) in ["codex.turn", "codex.tool"].enumerated() {
            builder.beginSpan(
                name: builder.ref(name), kind: index == 0 ? .internal : .client, status: .unset,
                trace: ID128(high: 1, low: 5), span: SpanID(rawValue: 1), start: 1, duration: 1,
                scope: scope ?? 0)
            builder.attribute(builder.ref("user"), builder.ref("ada"))
            builder.attribute(builder.ref("count"), Int64(index))
            _ = builder.endRecord()
            builder.beginLog(time: 1, severity: index == 0 ? 9 : 0)
            builder.body(builder.ref(index == 0 ? "it began" : "it ended"))
            builder.attribute(builder.ref("user"), builder.ref("ada"))
            builder.severityText(builder.ref("INFO"))
            _ = builder.endRecord()
        }
        let metric = builder.index(of: Metric(kind: .sum, name: "tokens.used")) ?? 0
        builder.beginNumber(metric: metric, time: 1)
        builder.attribute(builder.ref("user"), builder.ref("ada"))
        builder.number(.int(3))
        _ = builder.endRecord()
        return try Batch(builder.finish(sequence: 1))
    }

    /// Records that share a long text: to go through it for each of them may take an exporter for minutes.
    @Test func `ask once of a text that many records have`() throws {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        let (key, text) = (builder.ref("k"), builder.ref(String(repeating: "x", count: 3_000)))
        for _ in 0..<20_000 {
            builder.beginLog(time: 1, severity: 9)
            builder.attribute(key, text)
            _ = builder.endRecord()
        }
        let batch = try Batch(builder.finish(sequence: 1))
        var match = RecordMatch()
        let pattern = try TextPattern("(x+x+)+y")
        match.attributes = [RecordMatch.Attribute(key: "k", value: .pattern(pattern))]
        var found = BatchMatch(match, in: batch)
        var held = 0
        for place in batch.places where found.holds(place) { held += 1 }
        #expect(held == 0)
        #expect(found.textsAsked == 1)
    }

    func choice(_ change: (inout RecordMatch) -> Void) -> RecordStep.Choice {
        var choice = RecordStep.Choice()
        var match = RecordMatch()
        change(&match)
        choice.include = match
        return choice
    }

    func action(
        _ verb: AttributeEdit.Verb, _ key: String, _ value: String? = nil
    ) -> AttributeAction {
        var action = AttributeAction()
        action.verb = verb
        action.key = key
        action.source = value.map { .value(.string($0)) }
        return action
    }

    /// The places of what is left, and how much was filtered.
    func filtered(_ choice: RecordStep.Choice) throws -> ([Int], Int) {
        var rules = RecordRules.everything
        for signal in RecordRules.Signal.allCases { rules.steps[signal] = [.filter(choice)] }
        let batch = try batch()
        var selection = rules.select(from: batch)
        let parts = rules.process(batch, &selection)
        #expect(parts.count <= 1)
        let left = parts.flatMap { $0.ranges.flatMap(Array.init) }
        #expect(left.count + (selection.excluded[.filtered] ?? 0) == 5)
        return (left, selection.excluded[.filtered] ?? 0)
    }

    @Test(arguments: matches.indices)
    func `a filter keeps what is meant`(index: Int) throws {
        let (change, expected) = matches[index]
        #expect(try filtered(choice(change)).0 == expected)
    }

    @Test func `expressions are found in texts`() throws {
        let turn = try TextPattern("^codex\\.(turn|approval)$")
        #expect(try filtered(choice { $0.spanNames = [.pattern(turn)] }).0 == [0, 1, 3, 4])
        let ada = try TextPattern("^a.a$")
        let user = RecordMatch.Attribute(key: "user", value: .pattern(ada))
        #expect(try filtered(choice { $0.attributes = [user] }).1 == 0)
    }

    @Test func `exclude stands above include`() throws {
        var both = choice { $0.services = [.strict("codex-cli")] }
        both.exclude = RecordMatch()
        both.exclude?.spanNames = [.strict("codex.tool")]
        both.exclude?.bodies = [.strict("it began")]
        both.exclude?.metricNames = [.strict("none")]
        #expect(try filtered(both).0 == [0, 3, 4])
    }

    @Test func `steps are carried out in their order`() throws {
        var rules = RecordRules.everything
        let gone = choice { $0.attributes = [.init(key: "team", value: .equal(.string("red")))] }
        rules.steps[.traces] = [
            .attributes(
                [action(.insert, "team", "red")], choice { $0.spanNames = [.strict("codex.tool")] }),
            .attributes([action(.delete, "user")], RecordStep.Choice()),
            .filter(gone),
        ]
        let batch = try batch()
        var selection = rules.select(from: batch)
        let parts = rules.process(batch, &selection)
        #expect(parts.map(\.ranges) == [[1..<5]])
        #expect(selection.excluded == [.filtered: 1])
        let result = parts[0].batch
        for record in result.records {
            switch record {
            case .span(let span):
                #expect(result.attribute("user", in: span.attributes) == nil)
                #expect((result.string("team", in: span.attributes) == "red") == (span.index == 2))
            case .log(let log): #expect(result.string("user", in: log.attributes) == "ada")
            case .point(let point): #expect(result.string("user", in: point.attributes) == "ada")
            case .unknown: Issue.record("unknown")
            }
        }
    }

    @Test func `a resource that is changed for one signal comes in a part for each`() throws {
        var rules = RecordRules.everything
        rules.steps[.traces] = [.resource([action(.upsert, "host", "secret")])]
        let batch = try batch()
        var selection = rules.select(from: batch)
        let parts = rules.process(batch, &selection)
        #expect(parts.map(\.ranges) == [[0..<1, 2..<3], [1..<2, 3..<4], [4..<5]])
        let hosts = parts.map { $0.batch.string("host", in: $0.batch.resource.attributes) }
        #expect(hosts == ["secret", "h1", "h1"])
        #expect(selection.excluded.isEmpty)
        // Changed for all alike it is one.
        for signal in RecordRules.Signal.allCases { rules.steps[signal] = rules.steps[.traces] }
        #expect(rules.process(batch, &selection).map(\.ranges) == [[0..<5]])
        // And if the exporter gets one signal alone.
        rules.signals = [.traces]
        rules.steps = [.traces: rules.steps[.traces] ?? []]
        selection = rules.select(from: batch)
        let spans = rules.process(batch, &selection)
        #expect(spans.map(\.ranges) == [[0..<1, 2..<3]])
        #expect(spans[0].batch.string("host", in: spans[0].batch.resource.attributes) == "secret")
    }

    @Test func `nothing is touched where there is nothing to do`() throws {
        let batch = try batch()
        var selection = RecordRules.everything.select(from: batch)
        let parts = RecordRules.everything.process(batch, &selection)
        #expect(parts.count == 1 && parts[0].batch === batch && parts[0].ranges == [0..<5])
    }
}

private typealias Change = @Sendable (inout RecordMatch) -> Void
private let matches: [(Change, [Int])] = [
    ({ $0.services = [.strict("codex-cli")] }, [0, 1, 2, 3, 4]),
    ({ $0.services = [.strict("codex")] }, []),
    ({ $0.resource = [.init(key: "host", value: .equal(.string("h1")))] }, [0, 1, 2, 3, 4]),
    ({ $0.spanNames = [.strict("codex.turn")] }, [0, 1, 3, 4]),
    ({ $0.spanKinds = [.client] }, [1, 2, 3, 4]),
    ({ $0.attributes = [.init(key: "count", value: .equal(.int(1)))] }, [2]),
    ({ $0.attributes = [.init(key: "count", value: .equal(.string("1")))] }, []),
    ({ $0.attributes = [.init(key: "count", value: .any)] }, [0, 2]),
    (
        {
            $0.attributes = [
                .init(key: "count", value: .any),
                .init(key: "user", value: .equal(.string("bob"))),
            ]
        }, []
    ),
    ({ $0.libraries = [.init(name: .strict("lib"), version: nil)] }, [0, 2]),
    ({ $0.libraries = [.init(name: .strict("lib"), version: .strict("3"))] }, []),
    ({ $0.bodies = [.strict("it ended")] }, [0, 2, 3, 4]),
    ({ $0.severityLeast = 9 }, [0, 1, 2, 4]),
    ({ ($0.severityLeast, $0.severityUndefined) = (10, true) }, [0, 2, 3, 4]),
    ({ $0.severityTexts = [.strict("WARN")] }, [0, 2, 4]),
    ({ $0.metricNames = [.strict("other")] }, [0, 1, 2, 3]),
]
