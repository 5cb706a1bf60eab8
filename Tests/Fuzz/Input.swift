import ByteCoding
import SystemIO

/// What an input's first bytes choose; the rest is what the decoder gets. At the end of the bytes zeros
/// follow, so that every input means something.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func word() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }

    mutating func long() -> UInt64 {
        (0..<8).reduce(0) { value, place in value | UInt64(byte()) << (8 * UInt64(place)) }
    }

    /// The next `count` bytes, fewer at the end.
    mutating func take(_ count: Int) -> [UInt8] {
        let part = rest.prefix(count)
        rest = rest.dropFirst(part.count)
        return Array(part)
    }

    /// The bytes up to the next newline or NUL, as text: what an environment or a directory can hold.
    mutating func line() -> String {
        let line = rest.prefix { $0 != 0x0A && $0 != 0 }
        rest = rest.dropFirst(line.count + 1)
        return String(decoding: line, as: UTF8.self)
    }
}

extension [UInt8] {
    /// A little-endian integer, if it is inside.
    func little<Number: FixedWidthInteger>(_ type: Number.Type, at position: Int) -> Number? {
        let size = MemoryLayout<Number>.size
        guard position >= 0, position + size <= count else { return nil }
        return (0..<size).reduce(0) {
            $0 | Number(truncatingIfNeeded: self[position + $1]) << ($1 * 8)
        }
    }

    /// Puts a little-endian integer there, if it is inside.
    mutating func put(_ value: some FixedWidthInteger, at position: Int) {
        let size = value.bitWidth / 8
        guard position >= 0, position + size <= count else { return }
        for place in 0..<size {
            self[position + place] = UInt8(truncatingIfNeeded: value >> (place * 8))
        }
    }

    /// CRC32C of a part.
    func checksum(_ range: Range<Int>) -> UInt32 { crc32c(span.bytes.extracting(range)) }
}

/// The golden vectors of contrib/protocol/vectors.
struct SeedFolder: Sendable {
    let path: String

    /// The bytes of each `.hex` file of a folder.
    func hex(_ folder: String) throws -> [(name: String, bytes: [UInt8])] {
        let names = try Files.list(path + "/" + folder).filter { $0.hasSuffix(".hex") }.sorted()
        return try names.map { name in
            let text = try Files.read(path + "/" + folder + "/" + name, limit: 32 << 20)
            return (String(name.dropLast(4)), SeedFolder.bytes(text))
        }
    }

    /// `.hex`: digits; from `#` to the end of a line is a comment.
    private static func bytes(_ text: [UInt8]) -> [UInt8] {
        var digits: [UInt8] = []
        for line in text.split(separator: 0x0A) {
            for byte in line.prefix(while: { $0 != UInt8(ascii: "#") }) {
                if let value = Character(UnicodeScalar(byte)).hexDigitValue {
                    digits.append(UInt8(value))
                }
            }
        }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }
}
