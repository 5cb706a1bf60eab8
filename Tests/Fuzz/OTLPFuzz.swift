import ByteCoding
import OTLPCodec
import TelemetryBatch

/// Requests of other people's SDKs: from bytes to batches and out again. The input begins with a byte that
/// chooses signal, size of a batch and what all batches may cost; the rest is the request.
enum OTLPFuzz {
    static func runProtobuf(_ bytes: [UInt8]) { run(bytes, .protobuf) }

    static func runJSON(_ bytes: [UInt8]) { run(bytes, .json) }

    /// The golden batches, each as a request of each signal that it has.
    static func protobufSeeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        try seeds(folder, .protobuf)
    }

    static func jsonSeeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        try seeds(folder, .json)
    }

    private static func seeds(
        _ folder: SeedFolder, _ encoding: OTLPEncoding
    ) throws -> [(name: String, bytes: [UInt8])] {
        var seeds: [(name: String, bytes: [UInt8])] = []
        for vector in try folder.hex("batches/valid") {
            guard let batch = BatchFuzz.batch(vector.bytes) else { continue }
            for (number, signal) in OTLPSignal.allCases.enumerated() {
                var encoder = OTLPEncoder(signal: signal)
                if encoder.append(batch) == 0 { continue }
                seeds.append(
                    (vector.name + "-" + signal.rawValue, [UInt8(number)] + encoder.bytes(encoding))
                )
            }
        }
        return seeds
    }

    private static func run(_ bytes: [UInt8], _ encoding: OTLPEncoding) {
        var input = FuzzInput(bytes)
        let choice = Int(input.byte())
        let signal = OTLPSignal.allCases[choice % 3]
        let bytesMax = choice & 0x80 == 0 ? BatchLimits.batchBytesMax : 1_024
        let costMax = choice & 0x40 == 0 ? OTLP.requestBatchBytesMax : 8_192
        let request = Array(input.rest)
        guard let first = decode(request, signal, encoding, bytesMax, costMax) else { return }
        promise(first.byteCount <= costMax, "batches cost more than they may")
        checkAdditions(first, signal)
        let again = encode(first, signal)
        // Equal resources that were written differently are one from now on, and repaired text is text.
        guard let second = decode(again.protobuf, signal, .protobuf) else {
            fail("what the encoder writes is no request")
        }
        promise(
            second.accepted == first.accepted && second.rejections.total == 0,
            "records are lost on the second way")
        promise(
            second.unknownFields.total == 0 && second.repairedTexts == 0,
            "the encoder writes what the decoder does not know")
        let settled = encode(second, signal)
        promise(
            encode(decode(settled.protobuf, signal, .protobuf), signal) == settled, "no fixed point"
        )
        guard let third = decode(settled.json, signal, .json) else {
            fail("what is written as JSON is none")
        }
        // The bits of a NaN are not in JSON: compared there.
        promise(encode(third, signal).json == settled.json, "JSON reads differently")
    }

    /// What an exporter adds leaves a request that holds as many records.
    private static func checkAdditions(_ decoded: DecodedRequest, _ signal: OTLPSignal) {
        var encoder = OTLPEncoder(signal: signal, addsDurations: true)
        for made in decoded.batches {
            if let batch = BatchFuzz.batch(made.payload) { encoder.append(batch) }
        }
        let again = decode(encoder.bytes(.protobuf), signal, .protobuf)
        // One attribute more may be one too many.
        promise(
            again.map { $0.accepted + $0.rejections.total } == decoded.accepted,
            "an addition breaks the request")
    }

    private struct Requests: Equatable {
        var protobuf: [UInt8] = []
        var json: [UInt8] = []
    }

    private static func decode(
        _ request: [UInt8], _ signal: OTLPSignal, _ encoding: OTLPEncoding,
        _ bytesMax: Int = BatchLimits.batchBytesMax,
        _ costMax: Int = OTLP.requestBatchBytesMax
    ) -> DecodedRequest? {
        var decoder = OTLPDecoder(bytesMax: bytesMax, requestBytesMax: costMax)
        do throws(OTLPError) {
            return try decoder.decode(
                request.span.bytes, signal: signal, encoding: encoding,
                producer: ProducerID(high: 1, low: 1), sequence: 1)
        } catch {
            promise(error.position <= request.count, "an error outside the request: \(error)")
            return nil
        }
    }

    /// The requests that are made of the batches; each batch is checked on the way.
    private static func encode(_ decoded: DecodedRequest?, _ signal: OTLPSignal) -> Requests {
        guard let decoded else { fail("our own request is refused") }
        var encoder = OTLPEncoder(signal: signal, addsDurations: false)
        for made in decoded.batches {
            guard let batch = BatchFuzz.batch(made.payload) else {
                fail("what the decoder writes is no batch")
            }
            promise(batch.summary == made.summary, "the decoder's summary is wrong")
            encoder.append(batch)
        }
        promise(encoder.recordCount == Int(decoded.accepted), "records are counted wrongly")
        return Requests(protobuf: encoder.bytes(.protobuf), json: encoder.bytes(.json))
    }
}
