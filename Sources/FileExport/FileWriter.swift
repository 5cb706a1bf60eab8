import ByteCoding
import Export
import SystemIO

/// The file, how far it has what is in the log, and where that is noted.
struct FileWriter {
    private static let stateVersion: UInt8 = 1

    private let name: String
    private let configuration: FileExportConfiguration
    private let state: any Storage
    private let time: any TimeSource
    private let backups: BackupFiles
    private let boot = FileNote.bootOfThisSystem
    private var logID = ""
    private var saved = FilePlace()
    private var noteFile: CursorNote?
    private var file: OutputFile?
    private var written = FilePlace()
    private var synced = FilePlace()
    private var rotations: UInt64 = 0
    private var cutBytes: UInt64 = 0
    private var syncFailures: UInt64 = 0
    private var warning = ""
    private var notingProblem = ""
    private var removalProblem = ""
    /// Whether it is known what the file has.
    private(set) var isPlaced = false

    init(
        _ name: String, _ configuration: FileExportConfiguration, _ state: any Storage,
        _ time: any TimeSource
    ) {
        self.name = name
        self.configuration = configuration
        self.state = state
        self.time = time
        backups = BackupFiles(configuration)
    }

    /// The last batch that is in the file; 0 for none.
    var through: UInt64 { written.through }

    var details: [String: String] {
        var found = ["path": configuration.path, "rotations": String(rotations)]
        if cutBytes > 0 { found["cut_bytes"] = String(cutBytes) }
        if syncFailures > 0 { found["sync_failures"] = String(syncFailures) }
        if !warning.isEmpty { found["warning"] = warning }
        if !notingProblem.isEmpty { found["not_noted"] = notingProblem }
        if !removalProblem.isEmpty { found["not_removed"] = removalProblem }
        return found
    }

    // MARK: Where we are

    mutating func resume(logID: String, state: [UInt8]) {
        self.logID = logID
        guard state.first == Self.stateVersion else { return }
        let bytes = Array(state.dropFirst())
        var reader = ByteReader(bytes.span.bytes)
        do throws(ByteError) { saved = try FilePlace(&reader) } catch { return }
    }

    /// What to save with the cursor: it survives loss of power.
    var checkpoint: [UInt8] {
        var writer = ByteWriter(capacity: 32)
        writer.write(uint8: Self.stateVersion)
        (isPlaced ? synced : saved).write(to: &writer)
        return writer.bytes
    }

    /// Finds out what the run before us left in the file.
    mutating func place() throws(FileProblem) {
        let noteFile = try translated { () throws(SystemError) in
            try CursorNote(state: state, exporter: name, logID: logID)
        }
        self.noteFile = noteFile
        let file = try OutputFile(configuration.path)
        self.file = file
        let note = FileNote(noteFile.body)
        // A note that names another run of the system says what was in memory, and that is gone.
        if let note, note.written.through >= saved.through, note.isOfBoot(boot) {
            written.through = try resolve(note, file)
        } else {
            let known = note?.synced ?? saved
            written.through = try settle(known.through > saved.through ? known : saved, file)
        }
        try endLine(file)
        try file.sync()
        written = FilePlace(
            inode: file.inode, length: try file.size(), through: written.through)
        synced = written
        try write(FileNote(boot: boot, synced: synced, written: written))
        removeOldBackups()
        isPlaced = true
    }

    /// A process died: what it noted is exact. What it had announced is there, or in part, or not at all.
    private mutating func resolve(
        _ note: FileNote, _ file: OutputFile
    ) throws(FileProblem) -> UInt64 {
        guard note.pendingBytes > 0 else { return note.written.through }
        let start = note.written.length
        let range = start..<start + note.pendingBytes
        if file.inode == note.written.inode {
            if try file.checksum(range) == note.pendingCRC { return note.pendingThrough }
            let size = try file.size()
            // All of it is the beginning of what was announced.
            if size > start, size < range.upperBound { try cut(file, to: start, size) }
            return note.written.through
        }
        // Somebody set the file aside, or we were about to.
        let moved = try translated { () throws(SystemError) in
            try backups.path(withInode: note.written.inode)
        }
        guard let moved else { return note.written.through }
        let isThere = try OutputFile(moved).checksum(range) == note.pendingCRC
        return isThere ? note.pendingThrough : note.written.through
    }

    /// The power failed, or nothing was noted: what stands behind the place that is known comes again.
    private mutating func settle(
        _ place: FilePlace, _ file: OutputFile
    ) throws(FileProblem) -> UInt64 {
        let size = try file.size()
        guard place.inode == file.inode, size > place.length else { return place.through }
        var check = TailCheck(configuration.format)
        try file.read(place.length..<size) { check.take($0) }
        if check.isOurs {
            try cut(file, to: place.length, size)
        } else {
            warning =
                "bytes of somebody else were left in the file; "
                + "records beside them may be there twice"
        }
        return place.through
    }

    private mutating func cut(
        _ file: OutputFile, to length: UInt64, _ size: UInt64
    ) throws(FileProblem) {
        try file.cut(to: length)
        cutBytes += size - length
    }

    /// What somebody else left without a line's end gets one.
    private func endLine(_ file: OutputFile) throws(FileProblem) {
        let size = try file.size()
        guard configuration.format == .json, size > 0 else { return }
        var last: UInt8 = 0x0A
        try file.read(size - 1..<size) { last = $0.last ?? 0x0A }
        if last != 0x0A { try file.append([0x0A], length: size) }
    }

    // MARK: Writing

    /// Whether a file is to be set aside before so many bytes. Asked of the file itself: somebody may have moved
    /// or emptied it, or it was set aside and the next one could not be made then.
    mutating func isFull(for count: Int) throws(FileProblem) -> Bool {
        guard let most = configuration.bytesMax else { return false }
        let length = try current().size()
        return length > 0 && length + UInt64(count) > most
    }

    /// Writes at the file's end; it outlives this process.
    mutating func append(_ bytes: [UInt8], through: UInt64) throws(FileProblem) {
        let file = try current()
        // Somebody may have emptied it, or written to it.
        let size = try file.size()
        written.inode = file.inode
        written.length = size
        var note = FileNote(boot: boot, synced: synced, written: written)
        note.pendingBytes = UInt64(bytes.count)
        note.pendingCRC = crc32c(bytes.span.bytes)
        note.pendingThrough = through
        try write(note)
        try file.append(bytes, length: size)
        written = FilePlace(
            inode: file.inode, length: size + UInt64(bytes.count), through: through)
        // They are there, so nothing may bring them again. Without this note the one before says as much.
        do throws(FileProblem) {
            try write(FileNote(boot: boot, synced: synced, written: written))
            notingProblem = ""
        } catch {
            notingProblem = "\(error)"
        }
    }

    /// The file that the path leads to: made anew where somebody moved or removed ours.
    private mutating func current() throws(FileProblem) -> OutputFile {
        if let file, file.isNamed() { return file }
        if let file { try file.sync() }
        self.file = nil
        let found = try OutputFile(configuration.path)
        try endLine(found)
        file = found
        return found
    }

    /// Returns once all that was written survives loss of power.
    mutating func sync() throws(FileProblem) {
        let file = try current()
        do throws(FileProblem) {
            try file.sync()
        } catch {
            syncFailures += 1
            throw error
        }
        synced = written
    }

    /// Sets the file aside and begins another; all of it is synced.
    mutating func rotate() throws(FileProblem) {
        let now = time.wall()
        try translated { () throws(SystemError) in try backups.setAside(wallNanoseconds: now) }
        rotations += 1
        file = nil
        let file = try current()
        try file.syncName()
        written = FilePlace(
            inode: file.inode, length: try file.size(), through: written.through)
        synced = written
        try write(FileNote(boot: boot, synced: synced, written: written))
        try translated { () throws(SystemError) in try noteFile?.sync() }
        removeOldBackups()
    }

    /// One that cannot be removed is said, and stops nothing.
    private mutating func removeOldBackups() {
        removalProblem = backups.removeOld(wallNanoseconds: time.wall())?.description ?? ""
    }

    /// The next attempt opens it anew.
    mutating func letGo() { file = nil }

    private func write(_ note: FileNote) throws(FileProblem) {
        try translated { () throws(SystemError) in try noteFile?.write(note.encoded()) }
    }

    private func translated<Value>(
        _ body: () throws(SystemError) -> Value
    ) throws(FileProblem) -> Value {
        do throws(SystemError) { return try body() } catch { throw FileProblem(error) }
    }
}
