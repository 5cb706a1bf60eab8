/// A batch's position in the log: segment number and byte in its file. Ever growing, never reused.
package struct LogOffset: RawRepresentable, Comparable, Hashable, Sendable {
    /// `segment << 32 | position`.
    package let rawValue: UInt64

    /// From the 64 bits that files and frames carry.
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The byte `position` of segment `segment`.
    package init(segment: SegmentNumber, position: UInt32) {
        rawValue = UInt64(segment) << 32 | UInt64(position)
    }

    /// No offset: below every entry.
    package static let none = LogOffset(rawValue: 0)

    /// The segment's number, from 1.
    package var segment: SegmentNumber { SegmentNumber(truncatingIfNeeded: rawValue >> 32) }
    /// The byte in the segment's file.
    package var position: UInt32 { UInt32(truncatingIfNeeded: rawValue) }

    /// Whether no entry of its segment is below it.
    package var isBeforeEntries: Bool { position <= UInt32(SegmentHeader.encodedBytes) }

    /// The order of the log.
    package static func < (left: LogOffset, right: LogOffset) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The offset `count` bytes further in the same segment.
    func advanced(by count: Int) -> LogOffset { LogOffset(rawValue: rawValue + UInt64(count)) }
}

/// The number of a segment: from 1, rising, never reused.
package typealias SegmentNumber = UInt32

extension SegmentNumber {
    /// `0000000003.segment`.
    package var fileName: String { SegmentName.make(self) }
}

extension LogOffset: LosslessStringConvertible {
    /// `3:8256`.
    package var description: String { "\(segment):\(position)" }

    /// Reads `3:8256`; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let segment = SegmentNumber(parts[0]), segment > 0,
            let position = UInt32(parts[1])
        else { return nil }
        self.init(segment: segment, position: position)
    }
}

/// The file name of a segment, and back.
enum SegmentName {
    static let suffix = ".segment"
    /// A file with a higher number is no segment. A log never comes so far; numbers above are left so that
    /// a stray file's name can neither use up the numbers nor make one be used again.
    static let numberMax: SegmentNumber = .max - (1 << 24)

    /// From here on a number counts as used only if a header of this log says so: a stray file must not leave
    /// too few to go on with.
    static let strayMin: SegmentNumber = numberMax - (1 << 24)

    static func make(_ number: SegmentNumber) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 10 - digits.utf8.count)) + digits + suffix
    }

    static func number(_ name: String) -> SegmentNumber? {
        guard name.hasSuffix(suffix), name.utf8.count == 10 + suffix.utf8.count,
            let number = SegmentNumber(name.dropLast(suffix.count)), number > 0,
            number <= numberMax,
            // Digits alone: a sign would be read, too, and then another name be opened.
            make(number) == name
        else { return nil }
        return number
    }
}
