import ByteCoding
import Foundation
import TelemetryBatch
import Testing

/// The worked example of contrib/protocol/wire.md: the document's hexadecimal text is what the code
/// writes.
@Suite("The worked example")
struct WorkedExampleTests {
    static let hello = Hello(
        producer: someProducer, properties: [.init(key: "client.name", value: "demo")]
    ).frame.encoded

    static let batch = frame(
        .batch,
        model(
            [
                .span(
                    span {
                        $0.kind = .client
                        $0.status = .error
                        $0.start = someTime + 1_000
                        $0.attributes = [
                            Attribute("gen_ai.tool.name", .string("shell")),
                            Attribute("exit", .int(3)),
                        ]
                    })
            ], resource: Resource(attributes: [Attribute("service.name", .string("demo"))])
        ).encoded())

    /// The hexadecimal digits of the document's example: in its code blocks, what stands before the
    /// explanation, which two spaces set apart.
    private func documented() throws -> String {
        let url = VectorFiles.root.deletingLastPathComponent().appending(path: "wire.md")
        let text = try String(contentsOf: url, encoding: .utf8)
        let section = try #require(text.components(separatedBy: "## Worked example").last)
        var digits = ""
        var isCode = false
        for line in section.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                isCode.toggle()
            } else if isCode, let bytes = line.components(separatedBy: "  ").first {
                digits += bytes.filter { $0 != " " }
            }
        }
        return digits
    }

    @Test func `the document's bytes are what the code writes`() throws {
        #expect(try documented() == hex(Self.hello + Self.batch))
    }
}
