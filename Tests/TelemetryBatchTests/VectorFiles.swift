import ByteCoding
import Foundation
import TelemetryBatch
import Testing

/// The files of contrib/protocol/vectors. With CODEX_TELEMETRY_REGENERATE_VECTORS=1 they are
/// written; without, they are compared.
struct VectorFiles {
    static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "contrib/protocol/vectors")

    static let regenerates =
        ProcessInfo.processInfo.environment["CODEX_TELEMETRY_REGENERATE_VECTORS"] == "1"

    /// Writes or compares one file.
    static func check(_ path: String, _ content: String) throws {
        let url = root.appending(path: path)
        if regenerates {
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try content.write(to: url, atomically: true, encoding: .utf8)
        }
        let found = try String(contentsOf: url, encoding: .utf8)
        #expect(found == content, "\(path) differs: regenerate it if the change is meant")
    }

    /// Bytes as lines of hexadecimal text, a comment before them.
    static func hexText(_ note: String, _ bytes: [UInt8]) -> String {
        var lines = ["# \(note)"]
        for start in stride(from: 0, to: bytes.count, by: 32) {
            lines.append(hex(bytes[start..<min(start + 32, bytes.count)]))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The names of the files in a folder, without the index.
    static func names(_ folder: String) throws -> Set<String> {
        let files = try FileManager.default.contentsOfDirectory(
            atPath: root.appending(path: folder).path(percentEncoded: false))
        return Set(files.filter { $0 != "index.json" })
    }

    /// A list of JSON objects, one a line.
    static func list(_ objects: [String]) -> String {
        "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    static func object(_ write: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter()
        json.beginObject()
        write(&json)
        json.endObject()
        return json.text
    }
}

@Suite("Vector files", .serialized)
struct VectorFileTests {
    @Test func `valid batches stand in their files`() throws {
        var index: [String] = []
        var files: Set<String> = []
        for example in validCases {
            let bytes = try #require(example.bytes ?? example.model?.encoded())
            let batch = try Batch(bytes)
            let folder = "batches/valid/\(example.name)"
            try VectorFiles.check("\(folder).hex", VectorFiles.hexText(example.note, bytes))
            try VectorFiles.check("\(folder).json", BatchModel(batch).json(batch.summary) + "\n")
            files.formUnion(["\(example.name).hex", "\(example.name).json"])
            index.append(
                VectorFiles.object {
                    $0.field("name", example.name)
                    $0.field("note", example.note)
                    $0.field("reference", example.model != nil)
                })
        }
        try VectorFiles.check("batches/valid/index.json", VectorFiles.list(index))
        #expect(try VectorFiles.names("batches/valid") == files)
    }

    @Test func `invalid batches stand in their files`() throws {
        var index: [String] = []
        var files: Set<String> = []
        for example in invalidCases {
            if example.isFile {
                try VectorFiles.check(
                    "batches/invalid/\(example.name).hex",
                    VectorFiles.hexText(example.note, example.bytes))
                files.insert("\(example.name).hex")
            }
            index.append(
                VectorFiles.object {
                    $0.field("name", example.name)
                    $0.field("note", example.note)
                    $0.field("error", example.error.name)
                    $0.field("code", example.error.rawValue)
                    if example.isFile { return }
                    $0.field("parts", example.parts) { json, part in
                        json.beginObject()
                        json.field("hex", hex(part.bytes))
                        json.field("times", part.times)
                        json.endObject()
                    }
                })
        }
        try VectorFiles.check("batches/invalid/index.json", VectorFiles.list(index))
        #expect(try VectorFiles.names("batches/invalid") == files)
    }

    @Test(arguments: ["frames/valid", "spool"])
    func `valid streams and spool files stand in their files`(_ folder: String) throws {
        let examples = folder == "spool" ? spoolCases : validStreams
        for example in examples {
            let path = "\(folder)/\(example.name)"
            try VectorFiles.check("\(path).hex", VectorFiles.hexText(example.note, example.bytes))
            let json = try folder == "spool" ? spoolJSON(example.bytes) : streamJSON(example.bytes)
            try VectorFiles.check("\(path).json", json + "\n")
        }
        let index = examples.map { example in
            VectorFiles.object {
                $0.field("name", example.name)
                $0.field("note", example.note)
            }
        }
        try VectorFiles.check("\(folder)/index.json", VectorFiles.list(index))
        #expect(try VectorFiles.names(folder).count == examples.count * 2)
    }

    @Test func `invalid streams stand in their files and get their error`() throws {
        var index: [String] = []
        for example in invalidStreams {
            let error = try #require(example.error)
            #expect(firstError(inClientStream: example.bytes) == error, "\(example.name)")
            try VectorFiles.check(
                "frames/invalid/\(example.name).hex",
                VectorFiles.hexText(example.note, example.bytes))
            index.append(
                VectorFiles.object {
                    $0.field("name", example.name)
                    $0.field("note", example.note)
                    $0.field("error", error.name)
                    $0.field("code", error.rawValue)
                })
        }
        try VectorFiles.check("frames/invalid/index.json", VectorFiles.list(index))
        #expect(try VectorFiles.names("frames/invalid").count == invalidStreams.count)
    }
}
