import ByteCoding
import SystemIO

/// Walks a segment's bytes in a bounded window. Bytes are the disk's: nothing of them is trusted.
struct SegmentScanner {
    static let windowBytes = 256 << 10

    let file: any StorageFile
    let number: SegmentNumber
    private var window: [UInt8] = []
    private var windowStart: UInt64 = 0
    private var windowCount = 0

    init(_ file: any StorageFile, number: SegmentNumber) {
        self.file = file
        self.number = number
    }

    /// Forgets what it has read: the file may have changed.
    mutating func forget() { windowCount = 0 }

    /// Makes `count` bytes at `position` available, fewer at the file's end or at `limit`; their place in
    /// the window.
    private mutating func load(_ position: UInt64, _ count: Int, limit: UInt64)
        throws(SystemError) -> Range<Int>
    {
        let wanted = Int(min(UInt64(count), limit > position ? limit - position : 0))
        let inside =
            position >= windowStart
            && position + UInt64(wanted) <= windowStart + UInt64(windowCount)
        if !inside {
            let size = max(wanted, SegmentScanner.windowBytes)
            let target = Int(min(UInt64(size), limit - min(limit, position)))
            if window.count < target {
                window = [UInt8](repeating: 0, count: target)
            }
            windowCount = 0
            windowStart = position
            windowCount = try file.read(into: &window, range: 0..<target, at: position)
        }
        let start = Int(position - windowStart)
        return start..<min(start + wanted, max(start, windowCount))
    }

    /// The envelope at `position` whose payload ends at or below `limit`; nil if there is none. Padding may
    /// be cut off: it means nothing.
    mutating func envelope(at position: UInt64, nonce: UInt64?, limit: UInt64)
        throws(SystemError) -> Envelope?
    {
        guard position < UInt64(UInt32.max) else { return nil }
        let offset = LogOffset(segment: number, position: UInt32(position))
        var range = try load(position, Envelope.encodedBytes, limit: limit)
        guard range.count == Envelope.encodedBytes else { return nil }
        let size = Int(window[range.lowerBound + 6]) | Int(window[range.lowerBound + 7]) << 8
        if size > Envelope.encodedBytes { range = try load(position, size, limit: limit) }
        let found = Envelope.decode(
            window.span.bytes.extracting(range), at: offset, nonce: nonce)
        guard let found, position + UInt64(found.envelopeBytes + found.payloadBytes) <= limit else {
            return nil
        }
        return found
    }

    /// Whether a payload's checksum is right, read piece by piece.
    mutating func payloadIsRight(_ envelope: Envelope) throws(SystemError) -> Bool {
        var position = UInt64(envelope.offset.position) + UInt64(envelope.envelopeBytes)
        let end = position + UInt64(envelope.payloadBytes)
        var crc: UInt32 = 0
        while position < end {
            let piece = min(Int(end - position), SegmentScanner.windowBytes)
            let range = try load(position, piece, limit: end + UInt64(SegmentScanner.windowBytes))
            if range.isEmpty { return false }
            crc = crc32c(window.span.bytes.extracting(range), seed: crc)
            position += UInt64(range.count)
        }
        return crc == envelope.payloadCRC
    }

    /// A payload, nil if its checksum is wrong.
    mutating func payload(_ envelope: Envelope) throws(SystemError) -> [UInt8]? {
        let position = UInt64(envelope.offset.position) + UInt64(envelope.envelopeBytes)
        let count = envelope.payloadBytes
        var bytes: [UInt8] = []
        let start = position >= windowStart ? position - windowStart : .max
        if start <= UInt64(windowCount), UInt64(count) <= UInt64(windowCount) - start {
            bytes = Array(window[Int(start)..<(Int(start) + count)])
        } else {
            var read = [UInt8](repeating: 0, count: count)
            guard try file.read(into: &read, range: 0..<count, at: position) == count else {
                return nil
            }
            bytes = read
        }
        let crc = crc32c(bytes.span.bytes)
        return crc == envelope.payloadCRC ? bytes : nil
    }

    /// Whether a footer begins here, as far as its first bytes tell: those that are there, if a write of it was
    /// cut short.
    mutating func isFooter(at position: UInt64) throws(SystemError) -> Bool {
        let range = try load(position, 4, limit: .max)
        let bytes = Array(window[range])
        guard let last = bytes.lastIndex(where: { $0 != 0 }) else { return false }
        return bytes[...last].enumerated().allSatisfy { index, byte in
            byte == UInt8(truncatingIfNeeded: SegmentFooter.magic >> (8 * UInt32(index)))
        }
    }

    /// The first position from `start` on, below `limit`, where an entry begins; nil if there is none.
    mutating func resynchronise(from start: UInt64, nonce: UInt64?, limit: UInt64)
        throws(SystemError) -> UInt64?
    {
        var position = (start + 7) & ~7
        while position < limit {
            let range = try load(position, SegmentScanner.windowBytes, limit: limit)
            guard range.count >= 8 else { return nil }
            let base = position
            var step = 0
            while step + 8 <= range.count {
                let at = range.lowerBound + step
                if window[at] == 0x43, window[at + 1] == 0x58, window[at + 2] == 0x54,
                    window[at + 3] == 0x45
                {
                    let candidate = base + UInt64(step)
                    if try envelope(at: candidate, nonce: nonce, limit: limit) != nil {
                        return candidate
                    }
                    // The look may have moved the window: begin it again behind the candidate.
                    position = candidate + 8
                    break
                }
                step += 8
            }
            if position == base { position = base + UInt64(range.count & ~7) }
        }
        return nil
    }

    /// The nonce of a segment whose header and footer do not give it: that of its first right entry.
    mutating func nonceOfFirstEntry(from start: UInt64, limit: UInt64)
        throws(SystemError) -> UInt64?
    {
        guard let first = try resynchronise(from: start, nonce: nil, limit: limit) else {
            return nil
        }
        return try envelope(at: first, nonce: nil, limit: limit)?.nonce
    }

    /// Where the last byte that is not zero ends, in `range`; its start if all are zero.
    mutating func contentEnd(_ range: Range<UInt64>) throws(SystemError) -> UInt64 {
        var position = range.lowerBound
        var end = range.lowerBound
        while position < range.upperBound {
            let piece = try load(position, SegmentScanner.windowBytes, limit: range.upperBound)
            if piece.isEmpty { break }
            if let last = window[piece].lastIndex(where: { $0 != 0 }) {
                end = position + UInt64(last - piece.lowerBound) + 1
            }
            position += UInt64(piece.count)
        }
        return end
    }
}

/// What stands at the two ends of a segment's file.
struct SegmentEnds {
    var header: SegmentHeader?
    var footer: SegmentFooter?
    var fileBytes: UInt64

    /// Where the first entry stands.
    var firstEntry: UInt64 { UInt64(header?.bytes ?? SegmentHeader.encodedBytes) }
    var nonce: UInt64? { header?.nonce ?? footer?.summary.nonce }

    /// Reads header and, if there is a right one, footer.
    static func read(_ file: any StorageFile, number: SegmentNumber) throws(SystemError)
        -> SegmentEnds
    {
        let size = try file.size()
        var bytes = [UInt8](repeating: 0, count: 4096)
        let got = try file.read(into: &bytes, range: 0..<bytes.count, at: 0)
        let header = SegmentHeader.decode(bytes.span.bytes.extracting(0..<got), number: number)
        let footer = try readFooter(file, number: number, size: size)
        return SegmentEnds(header: header, footer: footer, fileBytes: size)
    }

    /// Reads the header alone: the first thing of a segment that is being written.
    static func readFooter(_ file: any StorageFile, number: SegmentNumber, size: UInt64)
        throws(SystemError) -> SegmentFooter?
    {
        let trailerBytes = SegmentFooter.trailerBytes
        guard size >= UInt64(SegmentHeader.encodedBytes + trailerBytes) else { return nil }
        var trailer = [UInt8](repeating: 0, count: trailerBytes)
        let trailerAt = size - UInt64(trailerBytes)
        guard
            try file.read(into: &trailer, range: 0..<trailerBytes, at: trailerAt) == trailerBytes,
            let (count, crc) = SegmentFooter.decodeTrailer(trailer.span.bytes),
            UInt64(count) + UInt64(SegmentHeader.encodedBytes) <= trailerAt
        else { return nil }
        let position = trailerAt - UInt64(count)
        var bytes = [UInt8](repeating: 0, count: count)
        guard try file.read(into: &bytes, range: 0..<count, at: position) == count,
            crc32c(bytes.span.bytes) == crc
        else { return nil }
        return SegmentFooter.decode(bytes.span.bytes, number: number, position: position)
    }
}
