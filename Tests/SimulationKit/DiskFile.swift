/// A file's bytes as processes see them and as the device has them.
struct DiskFile: Sendable {
    /// Bytes that a device writes whole or not at all.
    static let sectorBytes = 512

    enum Change: Sendable {
        case bytes(Int, [UInt8])
        case size(Int)
    }

    struct Unsynced: Sendable {
        /// When it was made, by the disk's count of events.
        let event: UInt64
        let change: Change
    }

    private(set) var live: [UInt8] = []
    private(set) var durable: [UInt8] = []
    private(set) var unsynced: [Unsynced] = []
    /// Names that it has.
    var links = 0
    /// After a failed sync the page cache has what the device has not: a write of one byte then writes
    /// its whole sector.
    private var hasCleanLoss = false

    init() {}

    init(bytes: [UInt8]) {
        live = bytes
        durable = bytes
    }

    mutating func change(_ change: Change, event: UInt64) {
        DiskFile.apply(change, to: &live)
        var noted = change
        if hasCleanLoss, case .bytes(let at, let content) = change {
            let start = at / DiskFile.sectorBytes * DiskFile.sectorBytes
            let end = (at + content.count + DiskFile.sectorBytes - 1) / DiskFile.sectorBytes
            noted = .bytes(
                start, Array(live[start..<min(live.count, end * DiskFile.sectorBytes)]))
        }
        unsynced.append(Unsynced(event: event, change: noted))
    }

    mutating func sync() {
        for item in unsynced { DiskFile.apply(item.change, to: &durable) }
        unsynced.removeAll(keepingCapacity: true)
    }

    mutating func failSync(_ generator: inout SeededGenerator) {
        // The file system's own journal is another matter: sizes arrive.
        durable = afterLoss(sizes: unsynced.count) { count in generator.below(count + 1) }
        unsynced = []
        hasCleanLoss = true
    }

    mutating func losePower(
        _ loss: PowerLoss, moment: UInt64, _ generator: inout SeededGenerator
    ) {
        hasCleanLoss = false
        guard !unsynced.isEmpty || live.count != durable.count || live != durable else { return }
        switch loss {
        case .nothing: break
        case .everything: sync()
        case .upToAMoment:
            for item in unsynced where item.event <= moment {
                DiskFile.apply(item.change, to: &durable)
            }
        case .anything:
            durable = afterLoss(sizes: generator.below(unsynced.count + 1)) { count in
                generator.below(count + 1)
            }
        }
        unsynced = []
        live = durable
    }

    /// Flips bits at rest; false if the byte is not there, or still on its way.
    mutating func flip(_ position: Int, _ mask: UInt8) -> Bool {
        guard position < durable.count, position < live.count,
            durable[position] == live[position]
        else { return false }
        for item in unsynced {
            switch item.change {
            case .bytes(let at, let content):
                if (at..<(at + content.count)).contains(position) { return false }
            case .size(let size): if size <= position { return false }
            }
        }
        live[position] ^= mask
        durable[position] ^= mask
        return true
    }

    /// The durable bytes with the first `sizes` changes of the size and, sector by sector, the first
    /// `versions(changes)` changes of the bytes.
    private func afterLoss(sizes: Int, versions: (Int) -> Int) -> [UInt8] {
        var kept: [Int: Int] = [:]
        var bytes = durable
        var size = durable.count
        for (index, item) in unsynced.enumerated() {
            switch item.change {
            case .size(let new):
                guard index < sizes else { continue }
                size = new
                if bytes.count > new { bytes.removeLast(bytes.count - new) }
            case .bytes(let at, let content):
                if index < sizes { size = max(size, at + content.count) }
                var done = 0
                while done < content.count {
                    let sector = (at + done) / DiskFile.sectorBytes
                    let end = min(content.count, (sector + 1) * DiskFile.sectorBytes - at)
                    let limit = kept[sector] ?? versions(unsynced.count)
                    kept[sector] = limit
                    if index < limit {
                        DiskFile.apply(.bytes(at + done, Array(content[done..<end])), to: &bytes)
                    }
                    done = end
                }
            }
        }
        DiskFile.apply(.size(size), to: &bytes)
        return bytes
    }

    static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .bytes(let at, let content):
            if bytes.count < at { bytes += [UInt8](repeating: 0, count: at - bytes.count) }
            let inside = min(content.count, bytes.count - at)
            if inside > 0 {
                bytes.replaceSubrange(at..<(at + inside), with: content[..<inside])
            }
            bytes += content[inside...]
        case .size(let size):
            if bytes.count > size {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
        }
    }
}

/// A directory's names as processes see them and as the device has them.
struct DiskDirectory: Sendable {
    enum Change: Sendable {
        case link(String, Int)
        case unlink(String)
        case rename(String, String, Int)
    }

    private(set) var live: [String: Int] = [:]
    private var durable: [String: Int] = [:]
    private var unsynced: [(event: UInt64, change: Change)] = []

    init() {}

    /// How many changes are not durable.
    var unsyncedChanges: Int { unsynced.count }

    mutating func change(_ change: Change, event: UInt64) {
        DiskDirectory.apply(change, to: &live)
        unsynced.append((event, change))
    }

    mutating func put(_ name: String, _ number: Int?) {
        live[name] = number
        durable[name] = number
        unsynced.removeAll { item in
            switch item.change {
            case .link(let other, _), .unlink(let other): other == name
            case .rename(_, let other, _): other == name
            }
        }
    }

    mutating func sync() {
        durable = live
        unsynced.removeAll(keepingCapacity: true)
    }

    mutating func losePower(
        _ loss: PowerLoss, moment: UInt64, _ generator: inout SeededGenerator
    ) {
        for item in unsynced {
            let keeps =
                switch loss {
                case .nothing: false
                case .everything: true
                case .upToAMoment: item.event <= moment
                case .anything: generator.oneIn(2)
                }
            if keeps { DiskDirectory.apply(item.change, to: &durable) }
        }
        unsynced = []
        live = durable
    }

    private static func apply(_ change: Change, to names: inout [String: Int]) {
        switch change {
        case .link(let name, let number): names[name] = number
        case .unlink(let name): names[name] = nil
        case .rename(let old, let new, let number):
            names[old] = nil
            names[new] = number
        }
    }
}
