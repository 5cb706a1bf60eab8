import ByteCoding
import Meaning
import TelemetryBatch
import Testing

private func firstRecord(of batch: Batch) -> Record? {
    var records = batch.records.makeIterator()
    return records.next()
}

/// A batch of one span with these attributes, and what it means.
private func meaning(
    span name: String, _ attributes: [Attribute], status: SpanStatus = .unset,
    resource: [Attribute] = [Attribute("service.name", .string("codex-cli"))],
    scope: [Attribute] = [], nanoseconds: UInt64 = 1_240_312_000
) throws -> (Batch, RecordMeaning) {
    var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
    builder.begin(baseTime: 1000, resource: Resource(attributes: resource))
    var scopeIndex = 0
    if !scope.isEmpty {
        let index = builder.index(of: Scope(name: "scope", attributes: scope))
        scopeIndex = try #require(index)
    }
    builder.beginSpan(
        name: builder.ref(name), kind: .internal, status: status, trace: ID128(high: 1, low: 2),
        span: SpanID(rawValue: 3), start: 1000, duration: nanoseconds, scope: scopeIndex)
    for attribute in attributes {
        builder.attribute(builder.ref(attribute.key), attribute.value)
    }
    let result = builder.endRecord()
    #expect(result == .appended)
    let batch = try Batch(builder.finish(sequence: 1))
    var interpreter = BatchInterpreter(batch)
    let record = try #require(firstRecord(of: batch))
    let found = interpreter.meaning(of: record)
    return (batch, try #require(found))
}

private func meaning(
    event name: String?, _ attributes: [Attribute], severity: UInt8 = 9, body: String? = nil
) throws -> (Batch, RecordMeaning) {
    var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
    builder.begin(baseTime: 1000)
    builder.beginLog(
        time: 1000, trace: .zero, span: .zero, severity: severity,
        eventName: name.map { builder.ref($0) } ?? .none)
    if let body { builder.body(builder.ref(body)) }
    for attribute in attributes {
        builder.attribute(builder.ref(attribute.key), attribute.value)
    }
    let result = builder.endRecord()
    #expect(result == .appended)
    let batch = try Batch(builder.finish(sequence: 1))
    var interpreter = BatchInterpreter(batch)
    let record = try #require(firstRecord(of: batch))
    let found = interpreter.meaning(of: record)
    return (batch, try #require(found))
}

@Suite struct MeaningOfRecordsTests {
    @Test func `a tool call reads as the sentence of the design`() throws {
        let (batch, meaning) = try meaning(
            span: "codex.tool",
            [
                Attribute("gen_ai.tool.name", .string("shell")),
                Attribute("session.id", .string("0199a213-81c0-7800-8aa1-9f4c1a2b")),
            ], status: .ok)
        #expect(
            batch.sentence(meaning)
                == "tool shell ok in 1.24 s · session …9f4c1a2b · codex-cli")
        #expect(meaning.operation == .tool)
        #expect(meaning.priority == .info)
        #expect(meaning.isOperationOrError)
    }

    @Test(arguments: [
        ("codex.turn", Operation.turn, "turn ok in 1.24 s · codex-cli"),
        ("codex.api_request", .apiRequest, "api request gpt-5 ok in 1.24 s · codex-cli"),
        ("codex.command", .command, "command git ok in 1.24 s · codex-cli"),
        ("codex.file", .file, "file write ok in 1.24 s · codex-cli"),
        ("codex.approval", .approval, "approval git ok in 1.24 s · codex-cli"),
        (
            "codex.attachment.cleanup", .attachmentCleanup,
            "attachment cleanup ok in 1.24 s · codex-cli"
        ),
    ])
    func `each operation has its noun and its subject`(
        name: String, operation: Operation, sentence: String
    ) throws {
        var attributes = [
            Attribute("process.executable.name", .string("git")),
            Attribute("codex.file.operation", .string("write")),
        ]
        if operation == .apiRequest {
            attributes.append(Attribute("gen_ai.request.model", .string("gpt-5")))
        }
        let (batch, meaning) = try meaning(span: name, attributes, status: .ok)
        #expect(meaning.operation == operation)
        #expect(batch.sentence(meaning) == sentence)
    }

    @Test(
        arguments: [
            (SpanStatus.unset, nil, OperationStatus.unset, Priority.info),
            (.ok, nil, .ok, .info),
            (.error, nil, .error, .error),
            (.unset, "timeout", .error, .error),
            (.error, "nonzero_exit", .error, .error),
            (.error, "approval_denied", .denied, .warning),
            (.unset, "sandbox_denied", .denied, .warning),
            (.error, "cancelled", .cancelled, .info),
            (.ok, "timeout", .ok, .info),
        ] as [(SpanStatus, String?, OperationStatus, Priority)])
    func `status and error type give status and priority`(
        said: SpanStatus, errorType: String?, status: OperationStatus, priority: Priority
    ) throws {
        let attributes = errorType.map { [Attribute("error.type", .string($0))] } ?? []
        let (batch, meaning) = try meaning(span: "codex.tool", attributes, status: said)
        #expect(meaning.status == status)
        #expect(meaning.priority == priority)
        if let errorType, status != .ok {
            #expect(batch.sentence(meaning).contains("(\(errorType))"))
        }
    }

    @Test func `what was retried is a warning even if it went well`() throws {
        for attribute in [
            Attribute("http.request.resend_count", .int(1)), Attribute("codex.attempt", .int(2)),
        ] {
            let (_, meaning) = try meaning(span: "codex.api_request", [attribute], status: .ok)
            #expect(meaning.isRetried)
            #expect(meaning.priority == .warning)
        }
        let (_, first) = try meaning(
            span: "codex.api_request", [Attribute("codex.attempt", .int(1))], status: .ok)
        #expect(first.priority == .info)
    }

    @Test func `the record counts more than its scope and the scope more than the resource`() throws
    {
        let (batch, fromRecord) = try meaning(
            span: "x", [Attribute("session.id", .string("record"))],
            resource: [Attribute("session.id", .string("resource"))],
            scope: [Attribute("session.id", .string("scope"))])
        #expect(batch.string(fromRecord.session) == "record")
        let (second, fromScope) = try meaning(
            span: "x", [], resource: [Attribute("session.id", .string("resource"))],
            scope: [Attribute("session.id", .string("scope"))])
        #expect(second.string(fromScope.session) == "scope")
        let (third, fromResource) = try meaning(
            span: "x", [], resource: [Attribute("session.id", .string("resource"))])
        #expect(third.string(fromResource.session) == "resource")
    }

    @Test func `of two keys for one role the first of the table counts`() throws {
        for order in [[0, 1], [1, 0]] {
            let both = [
                Attribute("session.id", .string("ours")),
                Attribute("gen_ai.conversation.id", .string("theirs")),
            ]
            let (batch, meaning) = try meaning(span: "x", order.map { both[$0] })
            #expect(batch.string(meaning.session) == "ours")
        }
    }

    @Test func `a span that is no operation is a part of something else`() throws {
        let (batch, meaning) = try meaning(span: "run_turn", [])
        #expect(meaning.operation == nil)
        #expect(meaning.priority == .debug)
        #expect(!meaning.isOperationOrError)
        #expect(batch.sentence(meaning) == "run_turn in 1.24 s · codex-cli")
    }

    @Test func `control characters of a peer do not reach the sentence`() throws {
        let (batch, meaning) = try meaning(
            span: "evil\u{1B}]0;x\u{07}\nname", [Attribute("session.id", .string("a\u{1B}b"))])
        let sentence = batch.sentence(meaning)
        #expect(!sentence.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F })
    }

    @Test(arguments: [
        ("codex_cli_rs", OriginatorClass.cli), ("codex_vscode", .ide), ("codex_sdk_ts", .sdk),
        ("codex_exec", .cli), ("sdk", .sdk), ("client", .other), ("", .other),
    ])
    func `an originator has a class`(name: String, expected: OriginatorClass) throws {
        let (_, meaning) = try meaning(span: "x", [Attribute("originator", .string(name))])
        #expect(meaning.originatorClass == expected)
    }

    @Test func `an event's name is its attribute, else its own, else its body`() throws {
        let (first, byAttribute) = try meaning(
            event: "src/lib.rs:12", [Attribute("event.name", .string("codex.user_prompt"))])
        #expect(first.string(byAttribute.name) == "codex.user_prompt")
        let (second, byName) = try meaning(event: "own", [], body: "text")
        #expect(second.string(byName.name) == "own")
        let (third, byBody) = try meaning(event: nil, [], body: "text")
        #expect(third.sentence(byBody) == "text")
    }

    @Test(arguments: [
        (UInt8(0), OperationStatus.unset, Priority.info), (1, .unset, .debug),
        (8, .unset, .debug), (9, .unset, .info), (13, .unset, .warning), (17, .error, .error),
        (24, .error, .error),
    ])
    func `an event's severity gives status and priority`(
        severity: UInt8, status: OperationStatus, priority: Priority
    ) throws {
        let (_, meaning) = try meaning(event: "x", [], severity: severity)
        #expect(meaning.status == status)
        #expect(meaning.priority == priority)
    }

    @Test func `an event has the duration that it says, also as text`() throws {
        for value: AttributeValue in [.double(12.5), .string("12.5")] {
            let (_, meaning) = try meaning(
                event: "codex.tool", [Attribute("duration_ms", value)])
            #expect(meaning.durationNanoseconds == 12_500_000)
            #expect(meaning.operation == .tool)
        }
        for value: AttributeValue in [.double(-1), .double(.nan), .string("x"), .double(1e300)] {
            let (_, meaning) = try meaning(event: "x", [Attribute("duration_ms", value)])
            #expect(meaning.durationNanoseconds == nil)
        }
    }

    @Test(arguments: ["tool", "codex.tool", "Tool", "api-request", "attachment.cleanup"])
    func `people may name an operation shortly`(text: String) {
        #expect(Operation(userText: text) != nil)
    }

    @Test func `every operation is found by its own name`() {
        for operation in Operation.allCases {
            #expect(Operation(userText: operation.name.description) == operation)
        }
        #expect(Operation(userText: "nothing") == nil)
    }

    @Test func `a further dialect is a further row`() throws {
        let dialect = Dialect(
            name: "test", names: [NameRule("exec_command", [.span], .command)],
            attributes: [AttributeRule("thread.id", .session)])
        let table = MeaningTable(version: 99, dialects: [.own, dialect])
        let (batch, _) = try meaning(
            span: "exec_command", [Attribute("thread.id", .string("t"))])
        var interpreter = BatchInterpreter(batch, table: table)
        let record = try #require(firstRecord(of: batch))
        let interpreted = interpreter.meaning(of: record)
        let meaning = try #require(interpreted)
        #expect(meaning.operation == .command)
        #expect(batch.string(meaning.session) == "t")
    }
}
