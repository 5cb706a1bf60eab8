import SystemIO

/// A decoder under hostile bytes.
struct FuzzTarget: Sendable {
    /// Its name on the command line of contrib/fuzz.
    let name: String
    /// Takes one input; ends the process if a promise is broken.
    let run: @Sendable ([UInt8]) -> Void
    /// Inputs to begin with, by name.
    let seeds: @Sendable (SeedFolder) throws -> [(name: String, bytes: [UInt8])]
}

/// Every decoder has a target; contrib/fuzz knows the sources that each is about.
let targets = [
    FuzzTarget(name: "frames", run: FrameFuzz.run, seeds: FrameFuzz.seeds),
    FuzzTarget(name: "batch", run: BatchFuzz.run, seeds: BatchFuzz.seeds),
    FuzzTarget(name: "records", run: RecordFuzz.run, seeds: BatchFuzz.seeds),
    FuzzTarget(name: "segment", run: SegmentFuzz.run, seeds: SegmentFuzz.seeds),
    FuzzTarget(name: "state", run: StateFuzz.run, seeds: StateFuzz.seeds),
    FuzzTarget(name: "spool", run: SpoolFuzz.run, seeds: SpoolFuzz.seeds),
    FuzzTarget(name: "otlp", run: OTLPFuzz.runProtobuf, seeds: OTLPFuzz.protobufSeeds),
    FuzzTarget(name: "otlp-json", run: OTLPFuzz.runJSON, seeds: OTLPFuzz.jsonSeeds),
    FuzzTarget(name: "http", run: HTTPFuzz.run, seeds: HTTPFuzz.seeds),
    FuzzTarget(name: "text", run: TextFuzz.run, seeds: TextFuzz.seeds),
]

/// libFuzzer's loop, in its library without a `main`; C's conventions for three words are Swift's.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutableRawPointer,
    _ one: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// The target of this process, by `FUZZ_TARGET`: the arguments are libFuzzer's, which also starts itself
/// again with others.
private let chosen: FuzzTarget = {
    let name = ThisProcess.environment("FUZZ_TARGET") ?? ""
    guard let target = targets.first(where: { $0.name == name }) else {
        fail("FUZZ_TARGET must be one of \(targets.map(\.name).joined(separator: ", "))")
    }
    return target
}()

/// Runs libFuzzer; with `FUZZ_SEEDS` the target's first inputs are written into that folder instead.
@main
enum Fuzz {
    static func main() throws {
        if let folder = ThisProcess.environment("FUZZ_SEEDS") {
            let vectors = ThisProcess.environment("FUZZ_VECTORS") ?? "contrib/protocol/vectors"
            for seed in try chosen.seeds(SeedFolder(path: vectors)) {
                try Files.replace(folder + "/" + seed.name, with: seed.bytes)
            }
            return
        }
        var count = CommandLine.argc
        // Sound: libFuzzer gets the process's own argument vector, which nobody else uses.
        var arguments = CommandLine.unsafeArgv
        let code = withUnsafeMutablePointer(to: &arguments) { arguments in
            runFuzzer(&count, arguments) { bytes, count in
                chosen.run(inputBytes(bytes, count))
                return 0
            }
        }
        if code != 0 { fail("libFuzzer ends with \(code)") }
    }
}

/// libFuzzer's bytes, copied: what is read outside of them is a bounds error or the address
/// sanitizer's.
func inputBytes(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    [UInt8](UnsafeRawBufferPointer(start: start, count: count))
}

/// Ends the process with a sentence: the fuzzer keeps the input.
func fail(_ sentence: String) -> Never { fatalError(sentence) }

/// A promise that holds for every input.
func promise(_ holds: Bool, _ sentence: @autoclosure () -> String) {
    if !holds { fail(sentence()) }
}
