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

/// What decoding and encoding a request costs, a record.
enum Measurement {
    static func run(_ signal: OTLPSignal, _ path: String, _ count: Int) throws {
        guard let file = fopen(path, "rb") else {
            print("\(path) cannot be read")
            exit(66)
        }
        var body = [UInt8](repeating: 0, count: 64 << 20)
        let size = body.withUnsafeMutableBytes { fread($0.baseAddress, 1, $0.count, file) }
        fclose(file)
        body.removeLast(body.count - size)
        let encoding: OTLPEncoding = body.first == UInt8(ascii: "{") ? .json : .protobuf
        let producer = ProducerID(high: 1, low: 2)
        var decoder = OTLPDecoder()
        var decoded = DecodedRequest()
        let decoding = try nanoseconds(count) {
            decoded = try decoder.decode(
                body.span.bytes, signal: signal, encoding: encoding, producer: producer,
                sequence: 1)
        }
        let records = Double(decoded.accepted)
        let validating = try nanoseconds(count) {
            for made in decoded.batches { _ = try Batch(made.payload) }
        }
        let batches = try decoded.batches.map { try Batch($0.payload) }
        var encoder = OTLPEncoder(signal: signal)
        let encodings = nanoseconds(count) {
            encoder.removeAll()
            for batch in batches { encoder.append(batch) }
        }
        var length = 0
        let json = nanoseconds(max(count / 10, 1)) { length = encoder.bytes(.json).count }
        print(
            "records \(decoded.accepted) request \(size) bytes, batch \(decoded.batches[0].payload.count),"
                + " protobuf \(encoder.byteCount), JSON \(length)")
        print(
            "ns a record: decode \(Int(decoding / records)), encode \(Int(encodings / records)),"
                + " open a batch \(Int(validating / records)), protobuf to JSON \(Int(json / records))"
        )
    }

    /// The shortest of some rounds.
    private static func nanoseconds(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        var best = Duration.seconds(1_000)
        for _ in 0..<count { best = min(best, try clock.measure(body)) }
        return Double(best.components.attoseconds) / 1e9 + Double(best.components.seconds) * 1e9
    }
}
