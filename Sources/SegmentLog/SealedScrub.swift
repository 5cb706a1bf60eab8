import Synchronization
package import SystemIO

/// Reads once what lay in sealed segments at a start, behind the cursors of all that read: damage there would
/// be met by nobody until it is asked for. Memory is bounded by a window; it repairs nothing.
package struct SealedScrub: Sendable {
    struct Sealed: Sendable {
        let number: SegmentNumber
        let nonce: UInt64
        let entriesEnd: UInt64
    }

    /// How fast it reads at most.
    package static let bytesPerSecond: UInt64 = 16 << 20

    let storage: any Storage
    let quarantine: Quarantine
    let segments: [Sealed]

    /// Reads them, oldest first. `pace` is asked after each piece that was read, with its bytes: it waits as long
    /// as is right, and says whether to go on. `found` gets each damaged range of which the quarantine has no copy: what
    /// it has was told of before. Throws what the device says of a file; the others are read all the same.
    package func run(
        pace: @escaping @Sendable (Int) -> Bool, found: (DamagedRange) -> Void
    ) throws(SystemError) {
        var failure: SystemError?
        for segment in segments {
            do {
                let base = try storage.open(SegmentName.make(segment.number), .read)
                let file = PacedFile(base, pace)
                try scrub(segment, file, found)
                if file.isOver { return }
            } catch {
                // Retention was faster.
                if error.isNotFound { continue }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    private func scrub(
        _ segment: Sealed, _ file: PacedFile, _ found: (DamagedRange) -> Void
    ) throws(SystemError) {
        var head = [UInt8](repeating: 0, count: 4096)
        let got = try file.read(into: &head, range: 0..<head.count, at: 0)
        let header = SegmentHeader.decode(
            head.span.bytes.extracting(0..<got), number: segment.number)
        var scanner = SegmentScanner(file, number: segment.number)
        var position = UInt64(header?.bytes ?? SegmentHeader.encodedBytes)
        let end = segment.entriesEnd
        while position < end, !file.isOver {
            let next = try scanner.resynchronise(
                from: position, nonce: segment.nonce, limit: end)
            let envelope = try next.map { (at) throws(SystemError) in
                try scanner.envelope(at: at, nonce: segment.nonce, limit: end)
            }
            // Told to end in the midst of it: what was not read is not wrong.
            if file.isOver { return }
            let offset = LogOffset(segment: segment.number, position: UInt32(position))
            if next != position {
                try report(DamagedRange(from: offset, count: (next ?? end) - position), found)
            }
            guard let envelope = envelope ?? nil else { return }
            let isRight = try scanner.payloadIsRight(envelope)
            if file.isOver { return }
            if !isRight {
                try report(
                    DamagedRange(
                        from: envelope.offset, count: UInt64(envelope.entryBytes),
                        envelope: envelope), found)
            }
            position = UInt64(envelope.offset.position) + UInt64(envelope.entryBytes)
        }
    }

    private func report(_ range: DamagedRange, _ found: (DamagedRange) -> Void)
        throws(SystemError)
    {
        if try !quarantine.holds(range.from) { found(range) }
    }
}

/// A file that is read at somebody's pace, and leaves nothing of it in the page cache that others need.
private final class PacedFile: StorageFile {
    private let base: any StorageFile
    private let pace: @Sendable (Int) -> Bool
    private let ended = Mutex(false)

    init(_ base: any StorageFile, _ pace: @escaping @Sendable (Int) -> Bool) {
        self.base = base
        self.pace = pace
    }

    /// Whether `pace` said that it is enough.
    var isOver: Bool { ended.withLock { $0 } }

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        if isOver { return 0 }
        let got = try base.read(into: &bytes, range: range, at: position)
        base.forget(position..<(position + UInt64(got)))
        if !pace(got) { ended.withLock { $0 = true } }
        return got
    }

    func size() throws(SystemError) -> UInt64 { try base.size() }
    func allocated() throws(SystemError) -> UInt64 { try base.allocated() }
    func isNamed() throws(SystemError) -> Bool { try base.isNamed() }
    func forget(_ range: Range<UInt64>) { base.forget(range) }
    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) { throw readOnly }
    func setSize(_ size: UInt64) throws(SystemError) { throw readOnly }
    func allocate(_ range: Range<UInt64>) throws(SystemError) { throw readOnly }
    func sync() throws(SystemError) { throw readOnly }
    func lock() throws(SystemError) -> Bool { throw readOnly }

    private var readOnly: SystemError {
        SystemError(errno: SystemError.inputOutput, operation: .write)
    }
}
