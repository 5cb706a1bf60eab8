import ByteCoding
import OTLPCodec
import TelemetryBatch
import Testing

@Suite struct HostileInputTests {
    static let broken: [(String, [UInt8], Int)] = [
        ("a length beyond the end", [0x0A, 5, 1], 1), ("a cut varint", [0x0A, 0x80], 1),
        ("a tag without content", [0x09, 1], 1),
        ("eleven bytes of varint", [UInt8](repeating: 0xFF, count: 11), 0),
        ("a group", [0x0B, 0x0C], 1), ("field number 0", [0x02, 0], 2),
        ("a length of 2^63", [0x0A] + varint(1 << 63), 1), ("JSON", Array("{}".utf8), 1),
        ("broken within a span", field(1, field(2, [0x12, 2, 0x2A, 9])), 7),
        ("broken within a value", request(field(9, [0x12, 1, 0x80])), 10),
    ]

    @Test(arguments: broken)
    func `broken framing is an error with its place`(
        _ what: String, _ bytes: [UInt8], _ position: Int
    ) {
        #expect(throws: OTLPError.self, "\(what)") { try decode(bytes) }
        do throws(OTLPError) {
            _ = try decode(bytes)
        } catch {
            #expect(error.position == position, "\(what): \(error)")
        }
    }

    @Test(arguments: richRequests)
    func `every prefix is decoded or refused`(_ signal: OTLPSignal, _ bytes: [UInt8]) throws {
        for length in 0..<bytes.count {
            do throws(OTLPError) {
                let decoded = try decode(Array(bytes[..<length]), signal)
                #expect(decoded.rejections.total <= 9)
            } catch {
                #expect(error.position <= length)
            }
        }
    }

    /// What comes out is a valid batch whatever goes in.
    private func check(_ bytes: [UInt8], _ signal: OTLPSignal, _ encoding: OTLPEncoding) throws {
        let decoded: DecodedRequest
        do throws(OTLPError) {
            decoded = try decode(bytes, signal, encoding)
        } catch {
            return
        }
        for made in decoded.batches {
            #expect(try Batch(made.payload).summary == made.summary)
        }
        _ = try encode(decoded, signal, .json)
    }

    @Test(arguments: richRequests)
    func `damaged requests make valid batches or none`(
        _ signal: OTLPSignal, _ bytes: [UInt8]
    ) throws {
        let json = try encode(try decode(bytes, signal), signal, .json)
        var random = SeededGenerator(seed: 41)
        for (original, encoding) in [(bytes, OTLPEncoding.protobuf), (json, .json)] {
            for _ in 0..<600 {
                var damaged = original
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let place = Int.random(in: 0..<damaged.count, using: &random)
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: damaged[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: damaged[place] ^= 1 << UInt8.random(in: 0...7, using: &random)
                    case 2: damaged.remove(at: place)
                    default: damaged.insert(damaged[place], at: place)
                    }
                    if damaged.isEmpty { break }
                }
                try check(damaged, signal, encoding)
            }
        }
    }

    @Test func `protobuf nested 100,000 deep is a record left out`() throws {
        // Lengths shrink on the way in: written from the outside.
        var lengths: [Int] = []
        var size = 0
        for _ in 0..<100_000 {
            lengths.append(size)
            size += 1 + varint(UInt64(size)).count
            lengths.append(size)
            size += 1 + varint(UInt64(size)).count
        }
        var value: [UInt8] = []
        for (index, length) in lengths.enumerated().reversed() {
            value += [index % 2 == 0 ? 0x0A : 0x2A] + varint(UInt64(length))
        }
        let decoded = try decode(request(attribute(9, "k", value), field(5, "good")))
        #expect(decoded.rejections.counts == [.nesting: 1])
        #expect(decoded.accepted == 1)
    }

    @Test(arguments: ["[", #"{"resourceSpans":"#, #"{"a":["#])
    func `JSON nested 100,000 deep is an error`(_ part: String) {
        let bytes = String(repeating: part, count: 100_000)
        #expect(throws: OTLPError.self) { try decode(json: bytes) }
        let unknown = #"{"unknown":"# + String(repeating: "[", count: 100_000)
        do throws(OTLPError) {
            _ = try decode(json: unknown)
        } catch {
            #expect(error.reason.contains("nested deeper"))
        }
    }

    @Test func `resources without end are refused`() {
        let bytes = [UInt8](repeating: 0x0A, count: 0) + (0...65_536).flatMap { _ in field(1) }
        #expect(throws: OTLPError.self) { try decode(bytes) }
    }

    @Test func `records that fail after many texts cost little`() throws {
        // Each brings a text and is refused at its end: what it brought is undone, not the whole table.
        let texts = (0..<4_000).map { attribute(9, "\($0)", field(1, "text \($0)")) }
        let filler = (0..<20).flatMap { round in
            field(2, texts[(round * 200)..<(round * 200 + 200)].flatMap { $0 })
        }
        let bad = (0..<5_000).flatMap { field(2, attribute(9, "new \($0)", deepValue(33))) }
        let decoded = try decode(field(1, field(2, filler, bad)))
        #expect(decoded.accepted == 20)
        #expect(decoded.rejections.counts == [.nesting: 5_000])
        #expect(try Batch(decoded.batches[0].payload).stringCount == 8_000)
    }

    @Test func `a decoder is as new after an error`() throws {
        var decoder = OTLPDecoder()
        let producer = ProducerID(high: 1, low: 1)
        let good = request(someIDs + field(5, "x"))
        let bad = request(field(5, "y"), attribute(9, "k", [0x0A, 9]))
        for bytes in [bad, good, bad, good] {
            let decoded: DecodedRequest
            do throws(OTLPError) {
                decoded = try decoder.decode(
                    bytes.span.bytes, signal: .traces, encoding: .protobuf, producer: producer,
                    sequence: 1)
            } catch {
                #expect(bytes == bad)
                continue
            }
            #expect(try encode(decoded) == good)
        }
    }
}

/// A generator whose numbers are those of its seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
