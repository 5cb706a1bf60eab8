internal import ByteCoding
internal import Places
internal import SystemIO

/// One producer's spool file (contrib/protocol/spool.md): where batches go when no agent takes them.
///
/// Every append is one `write` of complete frames; the file is locked from its creation until it is
/// closed, so that nobody drains a file that is still written.
struct Spool: ~Copyable {
    /// What became of an append.
    enum Outcome: Equatable {
        /// It stands in the file.
        case stored
        /// There is no room in the directory, or no directory.
        case refused(String)
    }

    /// Bytes of one file, and of all files of the directory.
    static let fileBytesMax = 16 << 20
    static let directoryBytesMax: UInt64 = 64 << 20
    /// How often, in bytes, the directory is measured again.
    private static let measureEvery = 1 << 20

    private let candidates: [String]
    private let euid: UInt32
    private var file: OpenFile?
    private(set) var path: String?
    private var producer: ID128?
    private var bytes = 0
    private var bytesUntilMeasured = 0

    init(surroundings: Surroundings) {
        candidates = SpoolPlaces.candidates(surroundings: surroundings)
        euid = surroundings.euid
    }

    /// Appends a batch's frame to the producer's file, which begins with `hello`.
    mutating func append(
        _ frame: [UInt8], producer: ID128, hello: @autoclosure () -> [UInt8]
    ) -> Outcome {
        do {
            if self.producer != producer {
                close()
                try create(producer, hello: hello())
            }
            guard bytes + frame.count <= Self.fileBytesMax else {
                return .refused("the spool file is full")
            }
            bytesUntilMeasured -= frame.count
            if bytesUntilMeasured < 0 { try measure(adding: frame.count) }
            try write(frame)
            return .stored
        } catch {
            return .refused(error.description)
        }
    }

    /// Whether the next producer id should begin: there is room left only for a full queue.
    var isFileFull: Bool { bytes > Self.fileBytesMax - (4 << 20) }

    /// The open file's descriptor, -1 if none is.
    var descriptorNumber: Int32 { file?.descriptor.number ?? -1 }

    /// Closes the file, and with it gives it free to be drained.
    mutating func close() {
        file = nil
        producer = nil
        path = nil
    }

    private mutating func create(_ producer: ID128, hello: [UInt8]) throws(SpoolError) {
        let directory = try openDirectory()
        do {
            let name = producer.hex + ".spool"
            let file = try Files.open(
                name, in: directory.descriptor,
                [.readWrite, .create, .exclusive, .noFollow, .append], mode: 0o600)
            // A drainer may see the new file before it is locked, and take it away.
            guard try file.lock(), try Files.facts(file).links == 1 else {
                throw SpoolError(description: "\(name) was taken by a drainer")
            }
            self.file = OpenFile(file)
            self.path = directory.path + "/" + name
        } catch {
            throw SpoolError(description: "\(error)")
        }
        self.producer = producer
        bytes = 0
        try measure(adding: hello.count)
        try write(hello)
    }

    private mutating func write(_ frame: [UInt8]) throws(SpoolError) {
        guard let file else { throw SpoolError(description: "no file") }
        do {
            try file.descriptor.writeAll(frame.span.bytes)
            bytes += frame.count
        } catch {
            // A part of a frame must not stand before a whole one.
            do { try file.descriptor.setSize(UInt64(bytes)) } catch { close() }
            throw SpoolError(description: error.description)
        }
    }

    /// The first candidate that exists or can be made, if it is private to us.
    private func openDirectory() throws(SpoolError) -> OpenDirectory {
        var problem = "no place"
        for candidate in candidates {
            do {
                try Files.makeDirectories(candidate)
            } catch {
                problem = error.description
                continue
            }
            do {
                let descriptor = try Files.open(candidate, [.read, .directory, .noFollow])
                let facts = try Files.facts(descriptor)
                guard facts.uid == euid, facts.mode & 0o077 == 0 else {
                    throw SpoolError(description: "\(candidate) is not private to this user")
                }
                return OpenDirectory(path: candidate, descriptor: descriptor)
            } catch let error as SpoolError {
                throw error
            } catch {
                throw SpoolError(description: "\(candidate): \(error)")
            }
        }
        throw SpoolError(description: problem)
    }

    private mutating func measure(adding count: Int) throws(SpoolError) {
        guard let path, let slash = path.lastIndex(of: "/") else { return }
        let directory = String(path[..<slash])
        var total = UInt64(count)
        do {
            for name in try Files.list(directory) where name.hasSuffix(".spool") {
                // A file may be drained while we look: then it takes no room.
                let facts = try? Files.facts(directory + "/" + name, following: false)
                total += facts?.size ?? 0
            }
        } catch {
            throw SpoolError(description: error.description)
        }
        guard total <= Self.directoryBytesMax else {
            throw SpoolError(description: "\(directory) holds its \(Self.directoryBytesMax) bytes")
        }
        bytesUntilMeasured = Self.measureEvery
    }
}

/// An optional of something that cannot be copied cannot be borrowed; a reference can.
private final class OpenFile {
    let descriptor: FileDescriptor
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

private struct OpenDirectory: ~Copyable {
    let path: String
    let descriptor: FileDescriptor
}

private struct SpoolError: Error {
    let description: String
}
