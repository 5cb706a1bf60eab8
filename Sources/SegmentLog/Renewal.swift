import SystemIO

/// Entries that no sync was ever known to have brought to the device, to be written again as they are. If the
/// last agent's sync failed, the kernel took them for written: another sync would do nothing, and succeed.
struct Renewal: Sendable {
    let file: any StorageFile
    let range: Range<UInt64>

    /// Does it, all of it. Throws for want of space on a file system that copies on write.
    func perform() throws(SystemError) {
        var position = range.lowerBound
        var buffer = [UInt8](repeating: 0, count: SegmentScanner.windowBytes)
        while position < range.upperBound {
            let piece = Int(min(UInt64(buffer.count), range.upperBound - position))
            let got = try file.read(into: &buffer, range: 0..<piece, at: position)
            if got == 0 { return }
            try file.write(buffer.span.bytes.extracting(0..<got), at: position)
            position += UInt64(got)
        }
    }
}
