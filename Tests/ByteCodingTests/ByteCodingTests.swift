import ByteCoding
import SimulationKit
import Testing

@Suite("CRC32C")
struct ChecksumTests {
    @Test func `the check value of RFC 3720 comes out`() {
        let bytes = Array("123456789".utf8)
        #expect(crc32c(bytes.span.bytes) == 0xE306_9283)
        #expect(crc32cSoftware(bytes.span.bytes) == 0xE306_9283)
        #expect(crc32c([UInt8](repeating: 0, count: 32).span.bytes) == 0x8A91_36AA)
        #expect(crc32c([UInt8]().span.bytes) == 0)
    }

    @Test func `the instruction and the table agree at every length and split`() {
        var random = SeededGenerator(seed: 1)
        let bytes = (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) }
        for length in 0...300 {
            let part = bytes.span.bytes.extracting(0..<length)
            let whole = crc32c(part)
            #expect(whole == crc32cSoftware(part))
            let split = Int.random(in: 0...length, using: &random)
            let first = crc32c(part.extracting(0..<split))
            #expect(crc32c(part.extracting(split..<length), seed: first) == whole)
        }
    }
}

@Suite("Reader and writer")
struct ReaderWriterTests {
    @Test func `what is written is read back`() throws {
        var writer = ByteWriter(capacity: 1)
        writer.write(uint8: 1)
        writer.write(uint16: 0x0203)
        writer.write(uint32: 0x0405_0607)
        writer.write(uint64: 0x0809_0A0B_0C0D_0E0F)
        writer.write(double: -2.5)
        writer.write(bigEndian: 0x0102)
        let numbers: [UInt64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 1 << 63, .max]
        for number in numbers {
            let before = writer.count
            writer.write(varint: number)
            #expect(writer.count - before == ByteWriter.size(varint: number))
        }
        for number in [0, -1, 1, Int64.min, .max, -64, 64] { writer.write(zigzag: number) }
        writer.write(utf8: "é")
        let bytes = writer.bytes
        var reader = ByteReader(bytes.span.bytes)
        #expect(try reader.readUInt8() == 1)
        #expect(try reader.readUInt16() == 0x0203)
        #expect(try reader.readUInt32() == 0x0405_0607)
        #expect(try reader.readUInt64() == 0x0809_0A0B_0C0D_0E0F)
        #expect(try reader.readDouble() == -2.5)
        #expect(try reader.readBigEndianUInt64() == 0x0102)
        for number in numbers { #expect(try reader.readVarint() == number) }
        for number in [0, -1, 1, Int64.min, .max, -64, 64] {
            #expect(try reader.readZigzag() == number)
        }
        #expect(reader.remaining == 2)
        try reader.skip(2)
        #expect(throws: ByteError.truncated(at: reader.position)) { try readOne(bytes) }
    }

    private func readOne(_ bytes: [UInt8]) throws(ByteError) {
        var reader = ByteReader(bytes.span.bytes, in: bytes.count..<bytes.count)
        _ = try reader.readUInt8()
    }

    private func varint(_ bytes: [UInt8]) throws(ByteError) -> UInt64 {
        var reader = ByteReader(bytes.span.bytes)
        return try reader.readVarint()
    }

    @Test func `varints are padded up to ten bytes and no further`() throws {
        #expect(try varint([0x81, 0x80, 0x00]) == 1)
        #expect(try varint([UInt8](repeating: 0x80, count: 9) + [0x00]) == 0)
        #expect(try varint([UInt8](repeating: 0xFF, count: 9) + [0x01]) == .max)
        #expect(throws: ByteError.badVarint(at: 0)) {
            try varint([UInt8](repeating: 0xFF, count: 9) + [0x02])
        }
        #expect(throws: ByteError.badVarint(at: 0)) {
            try varint([UInt8](repeating: 0x80, count: 10) + [0x00])
        }
        #expect(throws: ByteError.truncated(at: 0)) {
            try varint([UInt8](repeating: 0x80, count: 9))
        }
        #expect(throws: ByteError.truncated(at: 0)) { try varint([]) }
    }

    @Test func `a patched length moves what follows`() {
        var writer = ByteWriter()
        writer.write(uint8: 0)
        writer.write(bytes: [UInt8](repeating: 7, count: 200))
        writer.patch(varint: 200, at: 0, size: 1)
        #expect(writer.bytes == [0xC8, 0x01] + [UInt8](repeating: 7, count: 200))
        writer.patch(varint: 5, at: 0, size: 2)
        #expect(writer.bytes == [5] + [UInt8](repeating: 7, count: 200))
    }
}

@Suite("Text")
struct TextTests {
    @Test func `UTF-8 is judged as the standard library judges it`() {
        var random = SeededGenerator(seed: 2)
        let pieces: [[UInt8]] = [
            [0x41], [0xC3, 0xA9], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x9A, 0x80], [0x80], [0xC0],
            [0xC1, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xED, 0x9F, 0xBF], [0xF4],
            [0xF4, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], [0xF5, 0x80, 0x80, 0x80],
            [0xE2, 0x82], [0xF0, 0x9F], [0xFF], [0xF0, 0x80, 0x80, 0x80],
        ]
        for _ in 0..<5_000 {
            var bytes = [UInt8](repeating: 0x61, count: Int.random(in: 0...17, using: &random))
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes += pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }
            #expect(isUTF8(bytes.span.bytes) == (String(validating: bytes, as: UTF8.self) != nil))
        }
    }

    @Test func `ids are hexadecimal text and back`() throws {
        let id = ID128(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)
        #expect(id.hex == "00112233445566778899aabbccddeeff")
        #expect(ID128(hex: id.hex.uppercased()) == id)
        #expect(ID128(hex: "00112233445566778899aabbccddeef") == nil)
        #expect(ID128(hex: "00112233445566778899aabbccddeefg") == nil)
        #expect(ID128(high: 1, low: 0) > ID128(high: 0, low: .max))
        #expect(ID128.random() != ID128.random())
    }

    @Test func `JSON tells a terminal nothing and reads back the same`() {
        var json = JSONWriter()
        json.string("\u{1B}\u{7F}\u{9B}5m\u{202E}\u{2028}\u{200F}\u{2066}é–…€\u{A0}")
        #expect(
            json.text == "\"\\u001b\\u007f\\u009b5m\\u202e\\u2028\\u200f\\u2066é–…€\u{A0}\"")
    }

    @Test func `JSON is escaped, separated and finite`() {
        var json = JSONWriter()
        json.beginObject()
        json.key("a\"b")
        json.string("line\nquote\" back\\ tab\t bell\u{07} é🚀")
        json.key("n")
        json.beginArray()
        json.integer(-5)
        json.double(0.1)
        json.double(.nan)
        json.double(-.infinity)
        json.bool(true)
        json.null()
        json.beginObject()
        json.endObject()
        json.endArray()
        json.key("bad")
        let broken: [UInt8] = [0x61, 0xFF]
        json.string(utf8: broken.span.bytes)
        json.endObject()
        #expect(
            json.text
                == #"{"a\"b":"line\nquote\" back\\ tab\t bell\u0007 é🚀","n":[-5,0.1,"NaN","#
                + #""-Infinity",true,null,{}],"bad":"a\#u{FFFD}"}"#)
    }
}
