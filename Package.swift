// swift-tools-version: 6.2
import PackageDescription

// Data flows down this list of targets; imports point up it. A target exists because it forbids an
// import that someone would be tempted to write: see contrib/decisions/0002.

// contrib/fuzz, which names libFuzzer's library: our own modules, and only they, are compiled for it,
// with the lines counted that an input reaches. One flag with both sanitizers: of two flags the
// compiler takes the last.
let libFuzzer = Context.environment["CODEX_TELEMETRY_FUZZ"]
let isFuzzing = libFuzzer != nil
let fuzzed: [SwiftSetting] = [
    .unsafeFlags([
        "-sanitize=fuzzer,address", "-profile-generate", "-profile-coverage-mapping", "-g",
        "-enable-testing",
    ])
]
let fuzzedC: [CSetting]? =
    isFuzzing ? [.unsafeFlags(["-fsanitize=fuzzer-no-link,address", "-g"])] : nil

let language: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]
let strict = (isFuzzing ? fuzzed : []) + language

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTP2: Target.Dependency = .product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioHPACK: Target.Dependency = .product(name: "NIOHPACK", package: "swift-nio-http2")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let httpClient: Target.Dependency = .product(
    name: "AsyncHTTPClient", package: "async-http-client")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle")

let package = Package(
    name: "codex-telemetryd",
    platforms: [.macOS(.v26)],
    products: [
        .library(name: "CodexTelemetry", targets: ["CodexTelemetry"]),
        .executable(name: "codex-telemetryd", targets: ["codex-telemetryd"]),
    ],
    traits: [
        .trait(
            name: "Journald",
            description: "Forward to systemd's journal and read it back (needs libsystemd)."),
        .default(enabledTraits: ["Journald"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    ],
    targets: [
        // Bytes.
        .target(name: "CByteCoding", cSettings: fuzzedC),
        .target(name: "ByteCoding", dependencies: ["CByteCoding"], swiftSettings: strict),
        // The only system calls and unsafe code.
        .target(name: "CSystemIO", cSettings: fuzzedC),
        .target(name: "SystemIO", dependencies: ["CSystemIO"], swiftSettings: strict),
        // Where an agent's sockets, state and configuration are: one answer for client, CLI and agent.
        .target(name: "Places", dependencies: ["SystemIO"], swiftSettings: strict),
        // The one codec of our records.
        .target(name: "TelemetryBatch", dependencies: ["ByteCoding"], swiftSettings: strict),
        // What users import. Thread-local words cost a record least, and Swift cannot say them.
        .target(name: "CThreadState"),
        .target(
            name: "CodexTelemetry",
            dependencies: ["ByteCoding", "TelemetryBatch", "SystemIO", "Places", "CThreadState"],
            swiftSettings: strict),
        // Opaque batches on disk.
        .target(
            name: "SegmentLog", dependencies: ["ByteCoding", "SystemIO"], swiftSettings: strict),
        // OpenTelemetry's protocol to batches and back.
        .target(
            name: "OTLPCodec", dependencies: ["ByteCoding", "TelemetryBatch"],
            swiftSettings: strict),
        // Dialects to operations.
        .target(
            name: "Meaning", dependencies: ["ByteCoding", "TelemetryBatch"], swiftSettings: strict),
        // Bodies of requests.
        .systemLibrary(
            name: "CDeflate", pkgConfig: "libdeflate",
            providers: [.apt(["libdeflate-dev"]), .brew(["libdeflate"])]),
        .systemLibrary(
            name: "CISAL", pkgConfig: "libisal",
            providers: [.apt(["libisal-dev"]), .brew(["isa-l"])]),
        .target(
            name: "Compression", dependencies: ["CDeflate", "CISAL"], swiftSettings: strict),
        // Certificates and keys that the configuration names.
        .target(name: "TLSFiles", dependencies: [nioSSL], swiftSettings: strict),
        // From a peer's bytes to an appended, acknowledged batch.
        .target(
            name: "Receive",
            dependencies: [
                "ByteCoding", "SystemIO", "Places", "TelemetryBatch", "SegmentLog", "OTLPCodec",
                "Compression", "TLSFiles", nio, nioHTTP, nioHTTP2, nioHPACK, nioPosix, nioSSL,
                logging, lifecycle,
            ], swiftSettings: strict),
        // What an exporter is, and the runner of its cursor.
        .target(
            name: "Export",
            dependencies: ["ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", logging],
            swiftSettings: strict),
        .systemLibrary(
            name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(
            name: "JournalExport",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Export",
                logging,
                .target(
                    name: "CSystemd",
                    condition: .when(platforms: [.linux], traits: ["Journald"])),
            ], swiftSettings: strict),
        .target(
            name: "OTLPExport",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Export",
                "OTLPCodec", "Compression", "TLSFiles", httpClient, nio, nioHTTP, nioHTTP2,
                nioHPACK, nioPosix,
                nioSSL,
            ], swiftSettings: strict),
        .target(
            name: "FileExport",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Export", "OTLPCodec",
            ], swiftSettings: strict),
        .target(
            name: "DebugExport",
            dependencies: ["ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Export"],
            swiftSettings: strict),
        // The questions a CLI may ask an agent, and the answers.
        .target(
            name: "Control", dependencies: ["ByteCoding", "SystemIO", "Places"],
            swiftSettings: strict),
        // Stored records, selected and shown to people and scripts.
        .target(
            name: "Inspect",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Control",
                "Places",
            ], swiftSettings: strict),
        // What Codex's own configuration has to say so that it sends to an agent.
        .target(name: "CodexSetup", swiftSettings: strict),
        .systemLibrary(
            name: "CLibYAML", pkgConfig: "yaml-0.1",
            providers: [.apt(["libyaml-dev"]), .brew(["libyaml"])]),
        // Configuration and wiring: the composition root.
        .target(
            name: "Agent",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Meaning", "Receive",
                "Export", "JournalExport", "OTLPExport", "FileExport", "DebugExport", "OTLPCodec",
                "Control", "Places", nio, nioPosix, logging, lifecycle, "CLibYAML",
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .target(
                    name: "CSystemd",
                    condition: .when(platforms: [.linux], traits: ["Journald"])),
            ], swiftSettings: strict),
        .executableTarget(
            name: "codex-telemetryd",
            dependencies: [
                "Agent", "Control", "Inspect", "CodexTelemetry", "SystemIO", "TelemetryBatch",
                "Export", "OTLPCodec", "OTLPExport", "SegmentLog", "Meaning", "ByteCoding",
                "Places", "CodexSetup",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict,
            // A static runtime makes every symbol of the program visible to others, 1.6 MB of names that
            // the loader reads at each start. Nobody loads us as a library.
            linkerSettings: [
                .unsafeFlags(
                    ["-Xlinker", "--no-export-dynamic"],
                    .when(platforms: [.linux], configuration: .release))
            ]),
        // Loads an agent with ready batches for contrib/bench; no product, never installed.
        .executableTarget(
            name: "batch-load", dependencies: ["ByteCoding", "SystemIO", "TelemetryBatch"],
            path: "contrib/bench/load", swiftSettings: strict),
        // Damages logs and opens them, for Tests/Witness and contrib/soak.
        .executableTarget(
            name: "damage-check",
            dependencies: ["ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog"],
            path: "Tests/Damage", swiftSettings: strict),
        // Takes OTLP requests apart and puts them together again, for Tests/OTLP and its benchmark.
        .executableTarget(
            name: "otlp-echo", dependencies: ["ByteCoding", "TelemetryBatch", "OTLPCodec"],
            path: "Tests/OTLP/echo", swiftSettings: strict),
        // What emitting costs the instrumented process.
        .target(name: "CAllocationCount", path: "contrib/bench/allocations"),
        .executableTarget(
            name: "client-bench",
            dependencies: [
                "CodexTelemetry", "TelemetryBatch", "ByteCoding", "SystemIO", "Places",
                "CAllocationCount",
            ], path: "contrib/bench/client", swiftSettings: strict),
        // A file system, clocks and a generator for tests: every fault that a disk has, by a seed.
        .target(
            name: "SimulationKit", dependencies: ["SystemIO"], path: "Tests/SimulationKit",
            swiftSettings: strict),
        // The log, its readers and the exporters' cursors on a simulated disk; no product.
        .executableTarget(
            name: "simulate",
            dependencies: [
                "SimulationKit", "SegmentLog", "Export", "Receive", "TelemetryBatch",
                "ByteCoding", "SystemIO",
            ], path: "Tests/Simulator", exclude: ["planted"], swiftSettings: strict),
        // Tests mirror the targets; end-to-end tests on the real systemd are in Tests/EndToEnd.
        .testTarget(name: "TidyTests", swiftSettings: strict),
        .testTarget(
            name: "ByteCodingTests", dependencies: ["ByteCoding", "SimulationKit"],
            swiftSettings: strict),
        .testTarget(
            name: "TelemetryBatchTests",
            dependencies: ["TelemetryBatch", "ByteCoding", "SimulationKit"],
            swiftSettings: strict),
        .testTarget(name: "SystemIOTests", dependencies: ["SystemIO"], swiftSettings: strict),
        .testTarget(
            name: "SegmentLogTests",
            dependencies: ["SegmentLog", "ByteCoding", "SystemIO", "SimulationKit"],
            swiftSettings: strict),
        .testTarget(
            name: "SimulatorTests", dependencies: ["simulate", "SimulationKit"],
            swiftSettings: strict),
        .testTarget(
            name: "CodexTelemetryTests",
            dependencies: [
                "CodexTelemetry", "TelemetryBatch", "ByteCoding", "SystemIO", "SimulationKit",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OTLPCodecTests", dependencies: ["OTLPCodec", "TelemetryBatch", "ByteCoding"],
            swiftSettings: strict),
        .testTarget(
            name: "MeaningTests",
            dependencies: ["Meaning", "TelemetryBatch", "OTLPCodec", "ByteCoding"],
            swiftSettings: strict),
        .testTarget(
            name: "CompressionTests", dependencies: ["Compression", "SimulationKit"],
            swiftSettings: strict),
        .testTarget(
            name: "ReceiveTests",
            dependencies: [
                "Receive", "SegmentLog", "TelemetryBatch", "OTLPCodec", "Compression", "ByteCoding",
                "SystemIO", "Places", "SimulationKit", nio, nioHTTP, nioHTTP2, nioHPACK, logging,
                lifecycle,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ExportTests",
            dependencies: [
                "Export", "SegmentLog", "TelemetryBatch", "ByteCoding", "SystemIO", "SimulationKit",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "OTLPExportTests",
            dependencies: [
                "OTLPExport", "OTLPCodec", "Export", "SegmentLog", "TelemetryBatch", "ByteCoding",
                "SystemIO", nio, nioHTTP2, nioSSL,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FileExportTests",
            dependencies: [
                "FileExport", "DebugExport", "Export", "SegmentLog", "TelemetryBatch", "ByteCoding",
                "SystemIO", "SimulationKit",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "JournalExportTests",
            dependencies: [
                "JournalExport", "Export", "SegmentLog", "Meaning", "TelemetryBatch", "ByteCoding",
                "SystemIO", "SimulationKit",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ControlTests", dependencies: ["Control", "ByteCoding", "SystemIO"],
            swiftSettings: strict),
        .testTarget(name: "PlacesTests", dependencies: ["Places"], swiftSettings: strict),
        .testTarget(
            name: "CodexSetupTests", dependencies: ["CodexSetup"], swiftSettings: strict),
        .testTarget(
            name: "InspectTests",
            dependencies: [
                "Inspect", "Meaning", "SegmentLog", "TelemetryBatch", "ByteCoding", "SystemIO",
                "Control",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "Agent", "FileExport", "OTLPExport", "Control", "Export", "Receive", "SegmentLog",
                "SystemIO", "ByteCoding",
                logging,
            ],
            swiftSettings: strict),
    ]
)

// The fuzz targets need libFuzzer and every module compiled for it, so they are there for
// contrib/fuzz alone. They take the batches' models from TelemetryBatchTests, which then has to go.
//
// TLS and the HTTP client have no target, and would take longer to compile than all that has one: files that
// need them are left out, and whatever needs those.
if let libFuzzer {
    package.products = []
    package.targets.removeAll { target in
        target.type == .test
            || ["Receive", "OTLPExport", "Agent", "codex-telemetryd", "simulate"].contains(
                target.name)
    }
    package.targets += [
        .target(
            name: "Receive",
            dependencies: [
                "ByteCoding", "SystemIO", "Places", "TelemetryBatch", "SegmentLog", "OTLPCodec",
                "Compression", nio, nioHTTP, nioHTTP2, nioHPACK, logging,
            ],
            exclude: [
                "IngestServer.swift", "OTLP/OTLPServer.swift", "OTLP/OTLPServerParts.swift",
                "OTLP/PlaceTLS.swift",
            ], swiftSettings: strict),
        .target(
            name: "OTLPExport", sources: ["HostAndPort.swift", "ProxyRules.swift"],
            swiftSettings: strict),
        .target(
            name: "Agent",
            dependencies: [
                "ByteCoding", "TelemetryBatch", "Export", "FileExport", "DebugExport", "OTLPExport",
                "SystemIO", "CLibYAML",
            ], path: "Sources/Agent/Configuration",
            exclude: [
                "ReceiverPlaces.swift", "OTLPHTTPMapping.swift", "OTLPGRPCMapping.swift",
                "OTLPMapping.swift", "JournaldMapping.swift", "NamedFiles.swift",
            ], swiftSettings: strict),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "ByteCoding", "SystemIO", "TelemetryBatch", "SegmentLog", "Receive",
                "Export", "JournalExport", "Meaning", "Inspect", "Control", "Agent",
                "OTLPCodec", "Compression", "CodexTelemetry", "SimulationKit", logging, nio,
                nioHTTP, nioHPACK,
            ], path: "Tests",
            exclude: ["Fuzz/README.md", "Fuzz/fuzz.dict", "Fuzz/planted"],
            sources: [
                "Fuzz", "TelemetryBatchTests/BatchModel.swift",
                "TelemetryBatchTests/ModelReading.swift",
                "TelemetryBatchTests/ModelWriting.swift", "TelemetryBatchTests/ModelJSON.swift",
            ],
            // What an input reaches here is no news to the fuzzer.
            swiftSettings: [.unsafeFlags(["-sanitize=address", "-g"])] + language,
            linkerSettings: [
                .unsafeFlags([
                    "-sanitize=address", "-profile-generate", libFuzzer, "-lstdc++",
                ])
            ]),
    ]
}
