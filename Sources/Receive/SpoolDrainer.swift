internal import ByteCoding
package import Logging
internal import Places
package import SegmentLog
package import SystemIO
internal import TelemetryBatch

/// Takes over what producers left in the spool while there was no agent (spool.md).
///
/// Blocking: runs on a thread of the agent's. Nothing in a file is believed but its owner, which the
/// kernel tells; a file that is not exactly as it must be is left alone, counted and named once.
package struct SpoolDrainer: Sendable {
    private let directories: [String]
    private let log: GroupCommit
    private let ledger: IntakeLedger
    private let logger: Logger
    private let failpoints: Failpoints?
    /// Largest file that is read; spool.md caps what a client writes at 16 MiB.
    private static let fileBytesMax: UInt64 = 64 << 20

    /// Drains these directories, each only if it is ours alone.
    package init(
        directories: [String], log: GroupCommit, ledger: IntakeLedger, logger: Logger,
        failpoints: Failpoints? = nil
    ) {
        self.failpoints = failpoints
        self.directories = directories
        self.log = log
        self.ledger = ledger
        self.logger = logger
    }

    /// What one pass leaves for the next.
    package struct Notes: Sendable {
        fileprivate struct Taken: Sendable {
            let facts: FileFacts
            let left: Left
        }

        /// Files that were reported: each is reported once.
        fileprivate var reported: Set<String> = []
        /// Files that are taken over and cannot be taken away: only that is tried again.
        fileprivate var taken: [String: Taken] = [:]

        /// Nothing known.
        package init() {}
    }

    /// One pass over all files; the number of files taken over.
    package func drain(_ notes: inout Notes) -> Int {
        var drained = 0
        var seen: Set<String> = []
        for directory in directories {
            guard let names = files(in: directory) else { continue }
            for name in names {
                let path = directory + "/" + name
                seen.insert(path)
                do {
                    if try drain(path, &notes) {
                        drained += 1
                        ledger.spoolDrained()
                        notes.reported.remove(path)
                    }
                } catch {
                    guard notes.reported.insert(path).inserted else { continue }
                    ledger.spoolRefused(reason: error.reason)
                    logger.warning(
                        "a spool file is left alone",
                        metadata: ["file": "\(path)", "reason": "\(error)"])
                }
            }
        }
        notes.taken = notes.taken.filter { seen.contains($0.key) }
        return drained
    }

    private func files(in directory: String) -> [String]? {
        do {
            let facts = try Files.facts(directory, following: false)
            guard facts.kind == .directory, facts.uid == ThisProcess.euid,
                facts.mode & 0o077 == 0
            else { return nil }
            return try Files.list(directory).filter { $0.hasSuffix(SpoolReader.suffix) }.sorted()
        } catch {
            // No directory, no spool.
            return nil
        }
    }

    /// True if the file was taken over and removed, false if its writer lives.
    private func drain(_ path: String, _ notes: inout Notes) throws(SpoolProblem) -> Bool {
        let file = try Self.open(path)
        let facts = try Self.facts(file)
        guard facts.kind == .regular else { throw .notRegular }
        guard facts.uid == ThisProcess.euid else { throw .foreignOwner(facts.uid) }
        guard facts.links == 1 else { throw .linked }
        guard facts.mode & 0o077 == 0 else { throw .openMode }
        guard facts.size <= Self.fileBytesMax else { throw .tooLarge(facts.size) }
        do {
            guard try file.lock(exclusive: true, wait: false) else { return false }
            // Between open and lock another drainer may have taken it over and removed it.
            let now = try Files.facts(path, following: false)
            guard now.inode == facts.inode else { return false }
            // The writer may have written on until it let go of the lock.
            guard now.size <= Self.fileBytesMax else { throw SpoolProblem.tooLarge(now.size) }
            let left: Left
            if let taken = notes.taken[path], taken.facts == now {
                left = taken.left
            } else {
                left = try store(path, file, now)
                notes.taken[path] = Notes.Taken(facts: now, left: left)
            }
            try failpoints?.reach(.spoolRemove, .before)
            let isGone = try left.isEmpty ? Files.remove(path) : setAside(path, left)
            notes.taken[path] = nil
            try failpoints?.reach(.spoolRemove, .after)
            return isGone
        } catch let problem as SpoolProblem {
            throw problem
        } catch { throw .unreadable("\(error)") }
    }

    private func store(
        _ path: String, _ file: borrowing FileDescriptor, _ facts: FileFacts
    ) throws -> Left {
        var bytes = [UInt8](repeating: 0, count: Int(facts.size))
        let got = try file.read(into: &bytes, range: 0..<bytes.count, at: 0)
        bytes.removeLast(bytes.count - got)
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        return try store(SpoolReader(bytes, name: name), uid: facts.uid, gid: facts.gid)
    }

    private static func open(_ path: String) throws(SpoolProblem) -> FileDescriptor {
        do { return try Files.open(path, [.readWrite, .noFollow, .nonBlocking]) } catch {
            throw .unreadable("\(error)")
        }
    }

    private static func facts(_ file: borrowing FileDescriptor) throws(SpoolProblem) -> FileFacts {
        do { return try Files.facts(file) } catch { throw .unreadable("\(error)") }
    }

    /// What a file holds beside its batches.
    fileprivate struct Left: Sendable {
        var damaged: [Range<Int>] = []
        var damagedRanges: UInt64 = 0
        var damagedBytes = 0
        var torn: Range<Int>?
        /// A file may consist of nothing else: the first few are named, all are counted.
        static let namedMax = 8

        var isEmpty: Bool { damagedRanges == 0 && torn == nil }

        mutating func add(_ range: Range<Int>) {
            damagedRanges += 1
            damagedBytes += range.count
            if damaged.count < Self.namedMax { damaged.append(range) }
        }
    }

    /// Keeps a file of which not all could be taken, under another name, and says what was not.
    private func setAside(_ path: String, _ left: Left) throws(SystemError) -> Bool {
        let kept = try SpoolAside.keep(path)
        if let torn = left.torn {
            ledger.spoolRefused(reason: "torn")
            logger.warning(
                "the end of a spool file is no complete batch",
                metadata: [
                    "file": "\(path)", "offset": "\(torn.lowerBound)", "bytes": "\(torn.count)",
                    "kept": "\(kept)",
                ])
        }
        if left.damagedRanges > 0 {
            ledger.spoolDamaged(ranges: left.damagedRanges, bytes: UInt64(left.damagedBytes))
            let offsets = left.damaged.map { "\($0.lowerBound)" }.joined(separator: ",")
            logger.error(
                "a spool file is damaged; all else in it is taken",
                metadata: [
                    "file": "\(path)", "offset": "\(offsets)", "ranges": "\(left.damagedRanges)",
                    "bytes": "\(left.damagedBytes)", "kept": "\(kept)",
                ])
        }
        return true
    }

    /// Hands every sound batch to the log and waits until it is durable there: after that the file goes.
    /// What could not be taken.
    private func store(
        _ content: SpoolReader, uid: UInt32, gid: UInt32
    ) throws(SpoolProblem) -> Left {
        var content = content
        var left = Left()
        let outcomes = Monitor<Outcomes>(Outcomes())
        // The file is drained again from its front if one of it could not be stored.
        let stream = AppendStream()
        while let part = content.next() {
            switch part {
            case .hello: continue
            case .batch(let body):
                guard let producer = content.producer else { throw .noHello }
                let peer = PeerIdentity(uid: uid, gid: gid)
                submit(content.bytes(body), producer, peer, stream, outcomes)
            case .damaged(let range):
                // Whose batches follow, nobody says.
                guard content.producer != nil else { throw .noHello }
                left.add(range)
            case .torn(let range): left.torn = range
            }
        }
        let failed = outcomes.wait { $0.waiting == 0 ? .some($0.failed) : nil } ?? true
        guard !failed else { throw .logFull }
        do { try log.sync() } catch { throw .logFull }
        return left
    }

    private struct Outcomes {
        var waiting = 0
        var failed = false
    }

    private func submit(
        _ body: [UInt8], _ producer: ProducerID, _ peer: PeerIdentity, _ stream: AppendStream,
        _ outcomes: Monitor<Outcomes>
    ) {
        let summary: BatchSummary
        do {
            summary = try BatchValidator.validate(body.span.bytes)
        } catch {
            ledger.received(records: 0)
            ledger.refused(records: 0, cause: error.code)
            return
        }
        let records = UInt64(summary.records)
        ledger.received(records: records)
        guard summary.header.producer == producer else {
            ledger.refused(records: records, cause: .wrongProducer)
            return
        }
        var request = AppendRequest(
            payload: body, payloadCRC: crc32c(body.span.bytes), peer: peer, receiver: .file,
            summary: summary)
        request.stream = stream
        outcomes.withLock { $0.waiting += 1 }
        let ledger = self.ledger
        let settle: @Sendable (Result<AppendOutcome, LogError>) -> Void = { result in
            switch SettledOutcome(result) {
            case .stored: ledger.stored(records: records, header: summary.header)
            case .duplicate: ledger.duplicate(records: records)
            case .failed(let code): ledger.refused(records: records, cause: code)
            }
            outcomes.update { outcomes in
                outcomes.waiting -= 1
                if case .failure = result { outcomes.failed = true }
            }
        }
        // This thread may wait; the queue empties within milliseconds.
        while true {
            switch log.submit(request, completion: settle) {
            case .accepted: return
            case .busy:
                let soon = Clocks.monotonic() + 5_000_000
                let _: Bool? = outcomes.wait(until: soon) { _ in nil }
            case .closed: return settle(.failure(.closed))
            }
        }
    }
}

/// Why a spool file is left alone.
enum SpoolProblem: Error, CustomStringConvertible {
    case unreadable(String)
    case notRegular
    case foreignOwner(UInt32)
    case linked
    case openMode
    case tooLarge(UInt64)
    case noHello
    case logFull

    /// A name for the counter.
    var reason: String {
        switch self {
        case .unreadable: "unreadable"
        case .notRegular: "not_regular"
        case .foreignOwner: "foreign_owner"
        case .linked: "linked"
        case .openMode: "open_mode"
        case .tooLarge: "too_large"
        case .noHello: "no_hello"
        case .logFull: "log_full"
        }
    }

    var description: String {
        switch self {
        case .unreadable(let error): error
        case .notRegular: "it is no regular file"
        case .foreignOwner(let uid): "it belongs to uid \(uid)"
        case .linked: "it has more than one link"
        case .openMode: "others may read or write it"
        case .tooLarge(let size): "it has \(size) bytes"
        case .noHello: "neither its begin nor its name says whose batches it holds"
        case .logFull: "the log cannot take it now"
        }
    }
}
