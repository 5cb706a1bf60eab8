import ByteCoding
import OTLPCodec
import TelemetryBatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Takes OTLP requests to batches and back, for the tests of Tests/OTLP.
@main
enum Main {
    static let usage = """
        usage: otlp-echo echo                       requests on standard input, see Echo.swift
               otlp-echo measure SIGNAL FILE COUNT  nanoseconds a record, decoding and encoding FILE
        """

    static func main() throws {
        let words = Array(CommandLine.arguments.dropFirst())
        switch (words.first, words.count) {
        case ("echo", 1): try Echo.run()
        case ("measure", 4):
            guard let signal = OTLPSignal(rawValue: words[1]), let count = Int(words[3]) else {
                fallthrough
            }
            try Measurement.run(signal, words[2], count)
        default:
            print(usage)
            exit(64)
        }
    }
}
