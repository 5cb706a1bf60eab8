import ByteCoding
import FoundationEssentials
import Meaning
import OTLPCodec
import TelemetryBatch
import Testing

/// What the real Codex CLI sent, if it is there.
private enum Payloads {
    static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/shared/data/codex/"
    }()
    static let areThere = FileManager.default.fileExists(atPath: folder)

    /// The sentences of a payload's operations and errors.
    static func sentences(_ name: String, _ signal: OTLPSignal) throws -> [String] {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: folder + name)))
        var decoder = OTLPDecoder()
        let request = try decoder.decode(
            bytes.span.bytes, signal: signal, encoding: name.hasSuffix(".json") ? .json : .protobuf,
            producer: ID128(high: 1, low: 1), sequence: 1)
        var sentences: [String] = []
        for decoded in request.batches {
            let batch = try Batch(decoded.payload)
            var interpreter = BatchInterpreter(batch)
            for record in batch.records {
                guard let meaning = interpreter.meaning(of: record), meaning.isOperationOrError
                else { continue }
                sentences.append(batch.sentence(meaning))
            }
        }
        return sentences
    }
}

@Suite struct CodexDialectTests {
    @Test(.enabled(if: Payloads.areThere, "no payloads of the real Codex here"))
    func `a turn with a tool call is these operations, each once`() throws {
        let spans = try Payloads.sentences("bin-tool.traces.1.bin", .traces)
        #expect(
            spans == [
                "command in 37.2 ms · session …c9daa61d · codex_exec",
                "turn gpt-5.5 in 137 ms · session …c9daa61d · codex_exec",
            ])
        let logs = try Payloads.sentences("bin-tool.logs.1.bin", .logs)
        #expect(
            logs == [
                "api request gpt-5.5 ok in 10.0 ms · session …c9daa61d · codex_exec",
                "tool exec_command ok in 50.0 ms · session …c9daa61d · codex_exec",
                "api request gpt-5.5 ok in 10.0 ms · session …c9daa61d · codex_exec",
            ])
        #expect(try Payloads.sentences("bin-tool.metrics.1.bin", .metrics) == [])
        #expect(
            try Payloads.sentences("json-tool.logs.1.json", .logs).count == logs.count,
            "in JSON as in protobuf")
    }

    @Test(.enabled(if: Payloads.areThere, "no payloads of the real Codex here"))
    func `a request that was refused says why`() throws {
        #expect(
            try Payloads.sentences("bin-http429.logs.1.bin", .logs) == [
                "api request gpt-5.5 error (rate_limited) in 10.0 ms · session …7ed59676 · codex_exec"
            ])
    }
}
