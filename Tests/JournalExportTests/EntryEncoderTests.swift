import ByteCoding
import Export
import Meaning
import SegmentLog
import TelemetryBatch
import Testing

@testable import JournalExport

private func firstRecord(of batch: Batch) -> Record? {
    var records = batch.records.makeIterator()
    return records.next()
}

/// The entries of a batch of one span as fields.
private func encode(
    name: String = "codex.tool", _ attributes: [Attribute], isRoot: Bool = false,
    peer: PeerIdentity = PeerIdentity(uid: 1000, gid: 1000, pid: 4242)
) throws -> [UInt8] {
    var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
    builder.begin(
        baseTime: 1_763_724_554_000_000_000,
        resource: Resource(attributes: [Attribute("service.name", .string("codex-cli"))]))
    builder.beginSpan(
        name: builder.ref(name), kind: .client, status: .ok,
        trace: ID128(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C),
        span: SpanID(rawValue: 0xB7AD_6B71_6920_3331), parent: SpanID(rawValue: 0x00F0_67AA),
        start: 1_763_724_554_123_456_789, duration: 1_240_312_000)
    for attribute in attributes {
        builder.attribute(builder.ref(attribute.key), attribute.value)
    }
    let result = builder.endRecord()
    #expect(result == .appended)
    let batch = try Batch(builder.finish(sequence: 1))
    var ledger = ExportLedger(cursor: .none)
    let export = ExportBatch(
        batch: batch, offset: LogOffset(segment: 3, position: 8256),
        ticket: ledger.take(records: 1, end: LogOffset(segment: 3, position: 9000)),
        receiptNanoseconds: 1, peer: peer)
    var encoder = EntryEncoder(logID: String(repeating: "ab", count: 16), isRoot: isRoot)
    encoder.begin(export)
    var interpreter = BatchInterpreter(batch)
    let record = try #require(firstRecord(of: batch))
    let interpreted = interpreter.meaning(of: record)
    let meaning = try #require(interpreted)
    let range = encoder.encode(record, meaning, in: batch)
    let bytes = encoder.take()
    #expect(range == 0..<bytes.count)
    return bytes
}

/// An independent reader of the native protocol.
func fields(_ bytes: [UInt8]) throws -> [(name: String, value: [UInt8])] {
    var found: [(String, [UInt8])] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        let end = try #require(rest.firstIndex(of: 0x0A))
        let line = rest[..<end]
        if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
            found.append(
                (
                    String(decoding: line[..<equals], as: UTF8.self),
                    Array(line[(equals + 1)...])
                ))
            rest = rest[(end + 1)...]
        } else {
            let name = String(decoding: line, as: UTF8.self)
            rest = rest[(end + 1)...]
            var length = 0
            for (shift, byte) in rest.prefix(8).enumerated() { length |= Int(byte) << (8 * shift) }
            rest = rest.dropFirst(8)
            found.append((name, Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
            #expect(rest.first == 0x0A)
            rest = rest.dropFirst()
        }
    }
    return found
}

private func text(_ found: [(name: String, value: [UInt8])], _ name: String) -> String? {
    found.first { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) }
}

@Suite struct EntryEncoderTests {
    @Test func `a tool call's entry is these bytes`() throws {
        let bytes = try encode(
            [
                Attribute("gen_ai.tool.name", .string("shell")),
                Attribute("session.id", .string("0199a213-9f4c1a2b")),
                Attribute("originator", .string("codex_cli_rs")),
            ], isRoot: true)
        let expected = """
            MESSAGE=tool shell ok in 1.24 s · session …9f4c1a2b · codex-cli
            PRIORITY=6
            MESSAGE_ID=c9b85e82b9864615aa6f2e773ed3d878
            SYSLOG_IDENTIFIER=codex-telemetry
            CODEX_LOG_ID=abababababababababababababababab
            CODEX_PEER_PID=4242
            OBJECT_PID=4242
            CODEX_PEER_UID=1000
            CODEX_OFFSET=3:8256.0
            CODEX_RECORD=span
            CODEX_NAME=codex.tool
            CODEX_OPERATION=codex.tool
            CODEX_SERVICE=codex-cli
            CODEX_ORIGINATOR=codex_cli_rs
            CODEX_SESSION_ID=0199a213-9f4c1a2b
            CODEX_STATUS=ok
            CODEX_DURATION_MS=1240.312
            CODEX_START_TIME=2025-11-21T11:29:14.123456789Z
            CODEX_SPAN_KIND=client
            CODEX_TRACE_ID=0af7651916cd43dd8448eb211c80319c
            CODEX_SPAN_ID=b7ad6b7169203331
            CODEX_PARENT_SPAN_ID=0000000000f067aa
            CODEX_ATTR_GEN_AI_TOOL_NAME=shell
            CODEX_ATTR_SESSION_ID=0199a213-9f4c1a2b
            CODEX_ATTR_ORIGINATOR=codex_cli_rs

            """
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test func `an unprivileged agent does not claim an object`() throws {
        let found = try fields(encode([]))
        #expect(text(found, "OBJECT_PID") == nil)
        #expect(text(found, "CODEX_PEER_PID") == "4242")
    }

    @Test func `a peer that is unknown is left out`() throws {
        let found = try fields(encode([], isRoot: true, peer: .unknown))
        for name in ["OBJECT_PID", "CODEX_PEER_PID", "CODEX_PEER_UID"] {
            #expect(text(found, name) == nil)
        }
    }

    @Test func `a value with a newline takes the length form and cannot forge a field`() throws {
        let bytes = try encode([Attribute("note", .string("a\nCODEX_LOG_ID=forged\nb"))])
        let found = try fields(bytes)
        #expect(text(found, "CODEX_ATTR_NOTE") == "a\nCODEX_LOG_ID=forged\nb")
        #expect(found.filter { $0.name == "CODEX_LOG_ID" }.count == 1)
        let start = "CODEX_ATTR_NOTE\n\u{17}\0\0\0\0\0\0\0a\n"
        let whole = String(decoding: bytes, as: UTF8.self)
        #expect(whole.contains(start))
    }

    @Test func `a name with a newline cannot forge a field either`() throws {
        let found = try fields(encode(name: "x\nPRIORITY=0", []))
        #expect(found.filter { $0.name == "PRIORITY" }.map(\.value) == [Array("7".utf8)])
        #expect(text(found, "CODEX_NAME") == "x\nPRIORITY=0")
        #expect(text(found, "MESSAGE") == "x PRIORITY=0 ok in 1.24 s · codex-cli")
    }

    @Test func `values of every type have a text`() throws {
        let found = try fields(
            encode([
                Attribute("b", .bool(true)), Attribute("i", .int(-5)), Attribute("d", .double(0.5)),
                Attribute("x", .bytes([1, 2, 255, 0])),
                Attribute("l", .array([.string("a\n"), .int(1), .double(.nan), .none])),
                Attribute("m", .map([Attribute("k", .bool(false))])),
                Attribute("n", .none),
            ]))
        #expect(text(found, "CODEX_ATTR_B") == "true")
        #expect(text(found, "CODEX_ATTR_I") == "-5")
        #expect(text(found, "CODEX_ATTR_D") == "0.5")
        #expect(text(found, "CODEX_ATTR_X") == "AQL/AA==")
        #expect(text(found, "CODEX_ATTR_L") == "[\"a\\n\",1,\"NaN\",null]")
        #expect(text(found, "CODEX_ATTR_M") == "{\"k\":false}")
        #expect(text(found, "CODEX_ATTR_N") == "")
    }

    @Test func `keys that would share a name are told apart`() throws {
        let found = try fields(
            encode([
                Attribute("a.b", .int(1)), Attribute("a_b", .int(2)), Attribute("a.b", .int(3)),
            ]))
        let names = found.map(\.name).filter { $0.hasPrefix("CODEX_ATTR_A") }
        #expect(names.count == 3)
        #expect(names[0] == "CODEX_ATTR_A_B")
        #expect(names[1].hasPrefix("CODEX_ATTR_A_B_") && names[1].count == 23)
        #expect(names[2] == "CODEX_ATTR_A_B")
    }

    @Test func `an entry never has more fields than journald takes`() throws {
        let many = (0..<3000).map { Attribute("key\($0)", .int(Int64($0))) }
        let found = try fields(encode(many))
        #expect(found.count < 1024)
        #expect(text(found, "CODEX_ATTRIBUTES_DROPPED") == "2100")
    }

    @Test func `a value that repeats a large text many times stays bounded`() throws {
        let large = String(repeating: "x", count: 50_000)
        let list = AttributeValue.array(Array(repeating: .string(large), count: 600))
        let bytes = try encode([Attribute("bomb", list)])
        #expect(bytes.count < 3_000_000)
    }
}

@Suite struct AttributeFieldNameTests {
    @Test(arguments: [
        ("gen_ai.tool.name", "CODEX_ATTR_GEN_AI_TOOL_NAME"), ("A-b 9", "CODEX_ATTR_A_B_9"),
        ("grün", "CODEX_ATTR_GR_N"), ("_x", "CODEX_ATTR__X"), ("", "CODEX_ATTR_"),
        ("a=b\nc", "CODEX_ATTR_A_B_C"),
    ])
    func `a key becomes upper case and underscores`(key: String, name: String) {
        let made = AttributeFieldName.plain(ArraySlice(key.utf8))
        #expect(String(decoding: made, as: UTF8.self) == name)
    }

    @Test func `a long key is cut to 64 characters and ends in a hash of the whole key`() {
        let fits = String(repeating: "k", count: 53)
        #expect(AttributeFieldName.plain(ArraySlice(fits.utf8)).count == 64)
        let long = ArraySlice((fits + "a").utf8)
        let other = ArraySlice((fits + "b").utf8)
        let name = AttributeFieldName.plain(long)
        #expect(name.count == 64)
        #expect(name != AttributeFieldName.plain(other))
        let text = String(decoding: name, as: UTF8.self)
        #expect(text.hasPrefix("CODEX_ATTR_" + String(repeating: "K", count: 44) + "_"))
        #expect(text.allSatisfy { $0.isUppercase || $0.isNumber || $0 == "_" })
    }
}
