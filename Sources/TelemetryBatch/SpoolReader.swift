internal import ByteCoding

/// Finds what can be taken of a spool file's bytes, and what cannot: spool.md, "Reading".
///
/// Nothing is believed: whatever the bytes are, each is in one part, and the work is bounded.
package struct SpoolReader: Sendable {
    /// What stands at one place of the file.
    package enum Part: Sendable, Equatable {
        /// The producer's hello.
        case hello(Hello)
        /// A batch's body: its checksum is right, its content is not checked.
        case batch(Range<Int>)
        /// Bytes before a sound frame, or before the end, that are no sound frame.
        case damaged(Range<Int>)
        /// The last write, cut short.
        case torn(Range<Int>)
    }

    /// The file's suffix.
    package static let suffix = ".spool"
    /// Bytes of checksums that are computed in vain while a sound frame is looked for: many times what
    /// damage costs, and an end to what somebody can make of it.
    private static let searchedBytesMin = 64 << 20
    /// The fixed part of a batch (batch.md, "Header").
    private static let batchHeaderBytes = 64

    /// Whose batches these are: the hello's word, without a sound hello that of the file's name.
    package private(set) var producer: ProducerID?

    private let bytes: [UInt8]
    private var position = 0
    private var searchedBytesLeft: Int

    /// Reads the content of a file of this name, without its folder.
    package init(_ bytes: [UInt8], name: String) {
        self.bytes = bytes
        searchedBytesLeft = max(4 * bytes.count, Self.searchedBytesMin)
        if name.hasSuffix(Self.suffix) {
            producer = ProducerID(hex: String(name.dropLast(Self.suffix.count)))
        }
    }

    /// A part's bytes.
    package func bytes(_ range: Range<Int>) -> [UInt8] { [UInt8](bytes[range]) }

    /// The next part, nil at the end.
    package mutating func next() -> Part? {
        let start = position
        guard start < bytes.count else { return nil }
        if let (frame, body) = soundFrame(at: start), let part = part(frame, body) {
            position = body.upperBound
            return part
        }
        position = nextSoundBatch(after: start) ?? bytes.count
        return position == bytes.count && isTorn(at: start)
            ? .torn(start..<position) : .damaged(start..<position)
    }

    private mutating func part(_ frame: FrameHeader, _ body: Range<Int>) -> Part? {
        guard frame.type == .hello else { return .batch(body) }
        do throws(BatchError) {
            let hello = try Hello(decoding: bytes.span.bytes.extracting(body))
            producer = hello.producer
            return .hello(hello)
        } catch { return nil }
    }

    /// A whole frame of a type that stands in a spool file, with a right checksum. A hello is the first.
    private func soundFrame(at start: Int) -> (FrameHeader, Range<Int>)? {
        guard let header = header(at: start), header.type == .batch || start == 0 else {
            return nil
        }
        let body =
            start + FrameHeader.byteCount..<start + FrameHeader.byteCount + Int(header.length)
        guard body.upperBound <= bytes.count else { return nil }
        return crc32c(bytes.span.bytes.extracting(body)) == header.checksum ? (header, body) : nil
    }

    /// A header that may stand in a spool file, whatever follows it.
    private func header(at start: Int) -> FrameHeader? {
        guard bytes.count - start >= FrameHeader.byteCount else { return nil }
        do throws(BatchError) {
            let header = try FrameHeader(decoding: bytes.span.bytes.extracting(start...))
            try header.check()
            return header.type == .batch || header.type == .hello ? header : nil
        } catch { return nil }
    }

    /// Where the next sound batch of this producer begins. A length may be what is damaged, so every place
    /// is looked at; a checksum is computed only where the producer's id stands where it must.
    private mutating func nextSoundBatch(after start: Int) -> Int? {
        guard let producer else { return nil }
        var id = ByteWriter()
        id.write(id: producer)
        let first = id.bytes[0]
        let idStart = FrameHeader.byteCount + 8
        // Type, version, header bytes and length are looked at first, where they stand.
        var place = start + 1
        while place + FrameHeader.byteCount + Self.batchHeaderBytes <= bytes.count {
            defer { place += 1 }
            guard bytes[place + 4] == FrameType.batch.rawValue, bytes[place + idStart] == first,
                bytes[place + idStart..<place + idStart + 16].elementsEqual(id.bytes),
                let header = header(at: place), Int(header.length) >= Self.batchHeaderBytes,
                place + FrameHeader.byteCount + Int(header.length) <= bytes.count
            else { continue }
            if soundFrame(at: place) != nil { return place }
            searchedBytesLeft -= Int(header.length)
            if searchedBytesLeft < 0 { return nil }
        }
        return nil
    }

    /// Whether what stands here to the end is a write that was cut short: a frame without its end, or
    /// blocks that were allocated and never written.
    private func isTorn(at start: Int) -> Bool {
        if bytes.count - start < FrameHeader.byteCount { return true }
        if let header = header(at: start) {
            return start + FrameHeader.byteCount + Int(header.length) > bytes.count
        }
        return bytes[start...].allSatisfy { $0 == 0 }
    }
}
