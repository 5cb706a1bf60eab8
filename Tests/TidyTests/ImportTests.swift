import Testing

/// The table of contrib/decisions/0002: what each target may import, the standard library aside.
private let allowed: [String: Set<String>] = [
    "ByteCoding": ["CByteCoding"],
    "SystemIO": cLibraries.union(["CSystemIO"]),
    "Places": ["SystemIO"],
    "TelemetryBatch": ["ByteCoding"],
    "CodexTelemetry": ["CThreadState", "ByteCoding", "TelemetryBatch", "SystemIO", "Places"],
    "SegmentLog": ["ByteCoding", "SystemIO"],
    "OTLPCodec": ["ByteCoding", "TelemetryBatch"],
    "Meaning": ["ByteCoding", "TelemetryBatch"],
    "Compression": ["CDeflate", "CISAL"],
    "TLSFiles": ["NIOSSL"],
    "Receive": [
        "ByteCoding", "SystemIO", "Places", "TelemetryBatch", "SegmentLog", "OTLPCodec",
        "Compression", "TLSFiles", "NIOCore", "NIOHTTP1", "NIOHTTP2", "NIOHPACK", "NIOPosix",
        "NIOSSL", "Logging", "ServiceLifecycle",
    ],
    "Export": ["ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Logging"],
    "JournalExport": [
        "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Export", "Logging",
        "CSystemd",
    ],
    "OTLPExport": [
        "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Export", "OTLPCodec",
        "Compression", "TLSFiles", "AsyncHTTPClient", "NIOCore", "NIOHTTP1", "NIOHTTP2", "NIOHPACK",
        "NIOPosix", "NIOSSL",
    ],
    "FileExport": [
        "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Export", "OTLPCodec",
    ],
    "DebugExport": ["ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Export"],
    "Control": ["ByteCoding", "SystemIO", "Places", "FoundationEssentials"],
    "Inspect": [
        "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Control", "Places",
    ],
    "Agent": [
        "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Receive", "Export",
        "JournalExport", "OTLPExport", "FileExport", "DebugExport", "OTLPCodec", "Control",
        "Places", "NIOCore", "NIOPosix", "Logging", "ServiceLifecycle", "UnixSignals", "CLibYAML",
        "CSystemd", "FoundationEssentials",
    ],
    "codex-telemetryd": [
        "Agent", "Control", "Inspect", "CodexTelemetry", "SystemIO", "TelemetryBatch", "SegmentLog",
        "Meaning", "ByteCoding", "Places", "CodexSetup", "Export", "OTLPCodec", "OTLPExport",
        "ArgumentParser", "FoundationEssentials",
    ],
    "CodexSetup": [],
]

/// Targets without Swift.
private let shims: Set<String> = [
    "CByteCoding", "CSystemIO", "CSystemd", "CLibYAML", "CDeflate", "CISAL", "CThreadState",
]

private let cLibraries: Set<String> = ["Glibc", "Musl", "Darwin"]

/// Files that may import the C library beside `SystemIO`, for a structure that it does not have.
private let seesTheCLibrary: Set<String> = [
    // The kernel's word on a peer through NIO's socket options.
    "Sources/Receive/PeerInspection.swift",
    // Logarithms.
    "Sources/CodexTelemetry/Metrics/ExponentialHistogram.swift",
    // libsystemd's calls give errno and C strings.
    "Sources/JournalExport/JournalReader.swift",
    "Sources/JournalExport/JournalSocket.swift",
    // libsystemd hands the agent its sockets in C arrays.
    "Sources/Agent/ServiceManager/ServiceManager.swift",
]

/// Files, or folders, outside `SystemIO`, `ByteCoding` and `JournalExport` that handle pointers.
private let handlesPointers: Set<String> = [
    // libyaml's document is a C structure.
    "Sources/Agent/Configuration/YAMLNode.swift",
    // A span's attributes, written in the caller without a call a piece.
    "Sources/TelemetryBatch/AttributeCursor.swift",
    // The builder's tables are most of the cost of a span in the instrumented program.
    "Sources/TelemetryBatch/BatchBuilderTables.swift",
    "Sources/TelemetryBatch/EntryTable.swift",
    "Sources/TelemetryBatch/KnownText.swift",
    // Buffers that live as long as the process, found without a lock or a reference count.
    "Sources/CodexTelemetry/Engine/",
    "Sources/CodexTelemetry/AttributeKey.swift",
    "Sources/CodexTelemetry/SpanEmission.swift",
    "Sources/CodexTelemetry/Telemetry.swift",
    // A view of bytes, read through the standard library only.
    "Sources/Meaning/PrintableText.swift",
    // As above.
    "Sources/Agent/ServiceManager/ServiceManager.swift",
]

/// Modules of the toolchain that anyone may import.
private let toolchain: Set<String> = ["Swift", "Synchronization", "_Concurrency"]

/// The module that a line imports.
private func importedModule(_ line: Substring) -> String? {
    var words = line.code.split(separator: " ").map(String.init)
    while let first = words.first,
        first.hasPrefix("@") || ["public", "package", "internal", "private"].contains(first)
    {
        words.removeFirst()
    }
    guard words.first == "import", words.count >= 2 else { return nil }
    let kinds: Set = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
    let path = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
    return path.split(separator: ".").first.map(String.init)
}

@Suite struct ImportTests {
    @Test func `every target is in the table of imports`() throws {
        let folders = Set(try Repository.names(in: "Sources"))
        #expect(folders == Set(allowed.keys).union(shims))
    }

    @Test func `no target imports what it may not`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            var mayImport = (allowed[file.target] ?? []).union(toolchain)
            if seesTheCLibrary.contains(file.path) { mayImport.formUnion(cLibraries) }
            let wrong = file.lines(with: "import ").filter { index in
                importedModule(file.line(index)).map { !mayImport.contains($0) } ?? false
            }
            #expect(wrong.isEmpty, "\(file.places(wrong))")
        }
    }

    @Test func `the parser of imports sees every form`() {
        #expect(importedModule("import A") == "A")
        #expect(importedModule("@preconcurrency package import struct B.C // why") == "B")
        #expect(importedModule("internal import D") == "D")
        #expect(importedModule("// import E") == nil)
        #expect(importedModule("let important = 1") == nil)
    }

    /// Pointers are written where system calls, other people's C or the cost of a span need them, and
    /// nowhere else.
    @Test func `unsafe code is in few named places`() throws {
        let named: Set = ["ByteCoding", "SystemIO", "JournalExport"]
        let words = [
            "UnsafeRaw", "UnsafeMutable", "UnsafePointer", "UnsafeBuffer", "unsafeBitCast",
        ]
        for file in try Repository.swiftFiles(below: "Sources") where !named.contains(file.target) {
            if handlesPointers.contains(where: { file.path.hasPrefix($0) }) { continue }
            let found = file.lines(withAnyOf: words).filter { index in
                words.contains { file.line(index).code.contains($0) }
            }
            #expect(found.isEmpty, "\(file.places(found))")
        }
    }
}
