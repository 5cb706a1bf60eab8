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

    private let state: any Storage
    private let exporter: String

    init(state: any Storage, exporter: String) {
        self.state = state
        self.exporter = exporter
    }

    /// Keeps a request; durable on return.
    func keep(
        _ body: [UInt8], suffix: String, reason: String, wallNanoseconds: UInt64
    ) throws(SystemError) {
        let directory = try state.directory("rejected", create: true)
            .directory(exporter, create: true)
        try makeRoom(in: directory, for: UInt64(body.count))
        let name = "\(wallNanoseconds)"
        try write(body, "\(name).\(suffix)", in: directory)
        try write(Array((reason + "\n").utf8), "\(name).reason", in: directory)
        try directory.syncNames()
    }

    private func write(
        _ bytes: [UInt8], _ name: String, in directory: any Storage
    ) throws(SystemError) {
        let aside = name + Self.unfinished
        let file = try directory.open(aside, .replace)
        try file.write(bytes.span.bytes, at: 0)
        try file.sync()
        try directory.rename(aside, to: name)
    }

    /// Names begin with their time, of the same number of digits: the oldest come first.
    private func makeRoom(in directory: any Storage, for bytes: UInt64) throws(SystemError) {
        let names = try directory.list()
        var total = bytes
        var requests = 1
        for name in names.reversed() {
            if name.hasSuffix(Self.unfinished) {
                try directory.remove(name)
                continue
            }
            total += try directory.open(name, .read).size()
            if !name.hasSuffix(".reason") { requests += 1 }
            if requests > Self.requestsMax || total > Self.bytesMax { try directory.remove(name) }
        }
    }
}
