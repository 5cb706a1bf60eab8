/// Lower-case hexadecimal text of bytes.
package enum Hexadecimal {
    /// The digit of a value 0–15, as ASCII.
    @inlinable
    package static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? 0x30 + value : 0x57 + value
    }

    /// The value of an ASCII digit of either case, or nil.
    @inlinable
    package static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x57
        case 0x41...0x46: digit - 0x37
        default: nil
        }
    }

    /// Sixteen digits: `word` with its most significant byte first.
    package static func text(_ word: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { digits in
            for index in 0..<16 {
                digits[index] = digit(UInt8(truncatingIfNeeded: word >> (60 - 4 * index)) & 0xF)
            }
            return 16
        }
    }

    /// The word that exactly sixteen digits give, or nil.
    package static func word(_ digits: Substring.UTF8View) -> UInt64? {
        guard digits.count == 16 else { return nil }
        var word: UInt64 = 0
        for digit in digits {
            guard let value = value(digit) else { return nil }
            word = word << 4 | UInt64(value)
        }
        return word
    }
}
