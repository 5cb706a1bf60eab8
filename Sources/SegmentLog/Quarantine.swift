import SystemIO

/// Copies of damaged bytes, so that they can be looked at after the log went on. Bounded: the oldest
/// go first, and one copy takes at most a quarter.
struct Quarantine {
    let storage: any Storage
    let bytesMax: UInt64

    static let suffix = ".bytes"

    /// Copies `count` bytes of a segment from `offset` on; false if no space was left for it.
    func keep(_ file: any StorageFile, from offset: LogOffset, count: UInt64)
        throws(SystemError) -> Bool
    {
        let name = Quarantine.name(offset)
        do {
            // What was cut off cannot be copied.
            let size = try file.size()
            let there = size - min(size, UInt64(offset.position))
            let kept = min(count, there, bytesMax / 4)
            if kept == 0 { return true }
            try makeRoom(kept)
            let copy = try storage.open(name, .replace)
            var buffer = [UInt8](repeating: 0, count: Int(min(kept, 256 << 10)))
            var done: UInt64 = 0
            while done < kept {
                let piece = Int(min(UInt64(buffer.count), kept - done))
                let got = try file.read(
                    into: &buffer, range: 0..<piece, at: UInt64(offset.position) + done)
                if got == 0 { break }
                try copy.write(buffer.span.bytes.extracting(0..<got), at: done)
                done += UInt64(got)
            }
            try copy.sync()
            try storage.syncNames()
            return true
        } catch {
            // A full disk, or one that fails here, must not stop the start: the original is left or the
            // caller's report says that there is no copy.
            _ = try storage.remove(name)
            if error.isOutOfSpace { return false }
            throw error
        }
    }

    /// Whether there is a copy of what begins here.
    func holds(_ offset: LogOffset) throws(SystemError) -> Bool {
        try storage.list().contains(Quarantine.name(offset))
    }

    private static func name(_ offset: LogOffset) -> String {
        "\(offset.segment)-\(offset.position)\(suffix)"
    }

    private func makeRoom(_ wanted: UInt64) throws(SystemError) {
        var total = wanted
        var files: [(name: String, order: (UInt64, UInt64), bytes: UInt64)] = []
        for name in try storage.list() where name.hasSuffix(Quarantine.suffix) {
            guard let place = Quarantine.place(name) else { continue }
            let bytes = try storage.open(name, .read).size()
            files.append((name, place, bytes))
            total += bytes
        }
        files.sort { $0.order < $1.order }
        for file in files where total > bytesMax {
            try storage.remove(file.name)
            total -= file.bytes
        }
    }

    /// Segment and position of a copy by its name.
    static func place(_ name: String) -> (UInt64, UInt64)? {
        let parts = name.dropLast(suffix.count).split(separator: "-")
        guard parts.count == 2, let segment = SegmentNumber(parts[0]),
            segment <= SegmentName.numberMax, let position = UInt32(parts[1])
        else { return nil }
        return (UInt64(segment), UInt64(position))
    }
}
