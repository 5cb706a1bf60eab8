import ByteCoding
import OTLPCodec
import TelemetryBatch

#if canImport(Glibc)
    import Glibc
    private let readBytes = Glibc.read
#elseif canImport(Musl)
    import Musl
    private let readBytes = Musl.read
#else
    import Darwin
    private let readBytes = Darwin.read
#endif

/// Requests on standard input: length (32 bits, little-endian), signal (0 traces, 1 logs, 2 metrics), its
/// encoding and the answer's (0 protobuf, 1 JSON), flags (1: with additions; 2: small batches), and the
/// bytes. Answers on standard output: 0, or 1 for a refused request; length; the request made of the
/// batches again, or the error's text; length; a JSON object of what was counted.
enum Echo {
    static func run() throws {
        var decoder = OTLPDecoder()
        var small = OTLPDecoder(bytesMax: 131_072)
        while let header = read(8) {
            var reader = ByteReader(header.span.bytes)
            let length = Int(try reader.readUInt32())
            let signal = OTLPSignal.allCases[Int(try reader.readUInt8())]
            let input: OTLPEncoding = try reader.readUInt8() == 0 ? .protobuf : .json
            let output: OTLPEncoding = try reader.readUInt8() == 0 ? .protobuf : .json
            let flags = try reader.readUInt8()
            guard let body = length == 0 ? [] : read(length) else { exit(65) }
            let producer = ProducerID(high: 1, low: 2)
            do throws(OTLPError) {
                let decoded =
                    flags & 2 != 0
                    ? try small.decode(
                        body.span.bytes, signal: signal, encoding: input, producer: producer,
                        sequence: 1)
                    : try decoder.decode(
                        body.span.bytes, signal: signal, encoding: input, producer: producer,
                        sequence: 1)
                var encoder = OTLPEncoder(signal: signal, addsDurations: flags & 1 != 0)
                for made in decoded.batches { check(made, &encoder) }
                answer(0, encoder.bytes(output), counts(decoded))
            } catch {
                answer(1, Array(error.description.utf8), "{}")
            }
        }
    }

    /// Encodes a batch, after comparing what the decoder says of it with what the validator finds.
    private static func check(_ made: DecodedBatch, _ encoder: inout OTLPEncoder) {
        do {
            let batch = try Batch(made.payload)
            guard batch.summary == made.summary else {
                print("a summary that is not the batch's: \(made.summary) \(batch.summary)")
                exit(70)
            }
            encoder.append(batch)
        } catch {
            print("a batch that is none: \(error)")
            exit(70)
        }
    }

    private static func counts(_ decoded: DecodedRequest) -> String {
        var json = JSONWriter()
        json.beginObject()
        json.key("accepted")
        json.integer(decoded.accepted)
        json.key("batches")
        json.integer(decoded.batches.count)
        json.key("rejected")
        json.integer(decoded.rejections.total)
        json.key("reasons")
        json.string(decoded.rejections.description)
        json.key("repaired")
        json.integer(decoded.repairedTexts)
        json.key("unknown")
        json.beginObject()
        for field in decoded.unknownFields.fields {
            json.key(field.path)
            json.integer(field.count)
        }
        json.endObject()
        json.endObject()
        return json.text
    }

    private static func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = bytes.withUnsafeMutableBytes {
                readBytes(0, $0.baseAddress?.advanced(by: got), count - got)
            }
            if more <= 0 { return nil }
            got += more
        }
        return bytes
    }

    private static func answer(_ status: UInt8, _ body: [UInt8], _ counts: String) {
        var writer = ByteWriter()
        writer.write(uint8: status)
        writer.write(uint32: UInt32(body.count))
        writer.write(bytes: body)
        writer.write(uint32: UInt32(counts.utf8.count))
        writer.write(utf8: counts)
        writer.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let more = write(1, bytes.baseAddress?.advanced(by: sent), bytes.count - sent)
                if more <= 0 { exit(74) }
                sent += more
            }
        }
    }
}
