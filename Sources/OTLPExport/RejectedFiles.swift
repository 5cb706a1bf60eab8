import Export
import OTLPCodec
import SystemIO

/// What a backend refused for good: kept as it was sent, with the reason beside it, in `rejected/<exporter>` of
/// the state directory. The oldest makes room.
struct RejectedFiles {
    /// Requests that are kept, and their bytes.
    static let requestsMax = 100
    static let bytesMax: UInt64 = 64 << 20
    /// Ends the names of files that are being written, or were when an agent died.
    private static let unfinished = ".tmp"

    /// A request that is kept: what begins with its time.
    private struct Kept {
        let time: Substring
        var names: [String] = []
        var bytes: UInt64 = 0
    }

    private let state: any Storage
    private let exporter: String
    /// The oldest first; nil while it is not known what is there.
    private var kept: [Kept]?

    init(state: any Storage, exporter: String) {
        self.state = state
        self.exporter = fileName(ofExporter: exporter)
    }

    /// Keeps a request; durable on return.
    mutating func keep(
        _ body: [UInt8], suffix: String, reason: String, wallNanoseconds: UInt64
    ) throws(SystemError) {
        let directory = try state.directory("rejected", create: true)
            .directory(exporter, create: true)
        var kept: [Kept]
        if let known = self.kept { kept = known } else { kept = try Self.look(in: directory) }
        // What fails by half is looked for again.
        self.kept = nil
        let reason = Array((reason + "\n").utf8)
        var new = Kept(time: "\(wallNanoseconds)")
        new.bytes = UInt64(body.count + reason.count)
        try Self.makeRoom(in: directory, for: new, &kept)
        for (bytes, name) in [(body, "\(new.time).\(suffix)"), (reason, "\(new.time).reason")] {
            try Self.write(bytes, name, in: directory)
            new.names.append(name)
        }
        try directory.syncNames()
        kept.append(new)
        self.kept = kept
    }

    private static func write(
        _ bytes: [UInt8], _ name: String, in directory: any Storage
    ) throws(SystemError) {
        let aside = name + unfinished
        let file = try directory.open(aside, .replace)
        try file.write(bytes.span.bytes, at: 0)
        try file.sync()
        try directory.rename(aside, to: name)
    }

    /// What is kept already; what another agent did not finish goes. Times have the same number of digits, so that
    /// the oldest comes first.
    private static func look(in directory: any Storage) throws(SystemError) -> [Kept] {
        var found: [Kept] = []
        for name in try directory.list() {
            if name.hasSuffix(unfinished) {
                try directory.remove(name)
                continue
            }
            let time = name.prefix { $0 != "." }
            if found.last?.time != time { found.append(Kept(time: time)) }
            found[found.count - 1].names.append(name)
            found[found.count - 1].bytes += try directory.open(name, .read).size()
        }
        return found
    }

    private static func makeRoom(
        in directory: any Storage, for new: Kept, _ kept: inout [Kept]
    ) throws(SystemError) {
        var total = kept.reduce(new.bytes) { $0 + $1.bytes }
        while let oldest = kept.first, kept.count >= requestsMax || total > bytesMax {
            for name in oldest.names { try directory.remove(name) }
            total -= oldest.bytes
            kept.removeFirst()
        }
    }
}
