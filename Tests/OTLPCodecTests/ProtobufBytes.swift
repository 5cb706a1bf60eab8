import ByteCoding
import OTLPCodec
import TelemetryBatch

// Protobuf by hand, so that what is tested is not what writes the test.

func varint(_ value: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(varint: value)
    return writer.bytes
}

/// A field with a length.
func field(_ number: UInt64, _ content: [UInt8]...) -> [UInt8] {
    let content = content.flatMap { $0 }
    return varint(number << 3 | 2) + varint(UInt64(content.count)) + content
}

func field(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

func field(_ number: UInt64, integer: UInt64) -> [UInt8] { varint(number << 3) + varint(integer) }

func field(_ number: UInt64, fixed64: UInt64) -> [UInt8] {
    varint(number << 3 | 1) + withUnsafeBytes(of: fixed64.littleEndian) { Array($0) }
}

func field(_ number: UInt64, double: Double) -> [UInt8] {
    field(number, fixed64: double.bitPattern)
}

func attribute(_ number: UInt64, _ key: String, _ value: [UInt8]) -> [UInt8] {
    field(number, field(1, key), field(2, value))
}

/// A request with one resource without attributes, one scope without a name, and these records.
func request(_ records: [UInt8]...) -> [UInt8] {
    field(1, field(2, records.flatMap { field(2, $0) }))
}

/// A metrics request with one metric of these data.
func metricRequest(_ data: [UInt8]) -> [UInt8] { request(field(1, "m") + data) }

let someTrace = (1...16).map { UInt8($0) }
let someSpan = (1...8).map { UInt8($0) }
let someIDs = field(1, someTrace) + field(2, someSpan)

/// A value so many arrays deep.
func deepValue(_ depth: Int) -> [UInt8] {
    var value: [UInt8] = []
    for _ in 0..<depth { value = field(5, field(1, value)) }
    return value
}

/// Decodes with a decoder of its own.
func decode(
    _ bytes: [UInt8], _ signal: OTLPSignal = .traces, _ encoding: OTLPEncoding = .protobuf,
    bytesMax: Int = BatchLimits.batchBytesMax
) throws(OTLPError) -> DecodedRequest {
    var decoder = OTLPDecoder(bytesMax: bytesMax)
    return try decoder.decode(
        bytes.span.bytes, signal: signal, encoding: encoding, producer: ProducerID(high: 7, low: 9),
        sequence: 5)
}

func decode(
    json: String, _ signal: OTLPSignal = .traces
) throws(OTLPError) -> DecodedRequest {
    try decode(Array(json.utf8), signal, .json)
}

/// The records of a decoded request as a request again. Throws if a batch is not valid.
func encode(
    _ decoded: DecodedRequest, _ signal: OTLPSignal = .traces, _ encoding: OTLPEncoding = .protobuf
) throws(BatchError) -> [UInt8] {
    var encoder = OTLPEncoder(signal: signal, addsDurations: false)
    for made in decoded.batches { encoder.append(try Batch(made.payload)) }
    return encoder.bytes(encoding)
}

func encodeJSON(_ decoded: DecodedRequest, _ signal: OTLPSignal = .traces) throws -> String {
    String(decoding: try encode(decoded, signal, .json), as: UTF8.self)
}
