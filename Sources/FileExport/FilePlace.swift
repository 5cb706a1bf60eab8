import ByteCoding
import SystemIO

/// How far a file has what is in the log.
struct FilePlace: Equatable {
    /// The file's identity on its file system.
    var inode: UInt64 = 0
    /// Its length.
    var length: UInt64 = 0
    /// The last batch whose records are within that length.
    var through: UInt64 = 0

    func write(to writer: inout ByteWriter) {
        writer.write(uint64: inode)
        writer.write(uint64: length)
        writer.write(uint64: through)
    }

    init(inode: UInt64 = 0, length: UInt64 = 0, through: UInt64 = 0) {
        (self.inode, self.length, self.through) = (inode, length, through)
    }

    init(_ reader: inout ByteReader) throws(ByteError) {
        inode = try reader.readUInt64()
        length = try reader.readUInt64()
        through = try reader.readUInt64()
    }
}

/// What is written before bytes are: whoever comes after a death finds out by it whether they are there.
struct FileNote: Equatable {
    /// The system's run: what is noted holds for the page cache, not for what loss of power left.
    var boot: [UInt8]
    /// What survives loss of power.
    var synced: FilePlace
    /// What was written.
    var written: FilePlace
    /// The number of bytes that are about to follow, their checksum, and the last batch in them.
    var pendingBytes: UInt64 = 0
    var pendingCRC: UInt32 = 0
    var pendingThrough: UInt64 = 0

    private static let version: UInt8 = 1
    private static let bootBytes = 36

    init(boot: [UInt8], synced: FilePlace, written: FilePlace) {
        self.boot = Self.padded(boot)
        self.synced = synced
        self.written = written
    }

    /// Whether this run of the system wrote it.
    func isOfBoot(_ boot: [UInt8]) -> Bool { self.boot == Self.padded(boot) }

    private static func padded(_ boot: [UInt8]) -> [UInt8] {
        Array((boot + [UInt8](repeating: 0, count: bootBytes)).prefix(bootBytes))
    }

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 160)
        writer.write(uint8: Self.version)
        writer.write(bytes: boot)
        synced.write(to: &writer)
        written.write(to: &writer)
        writer.write(uint64: pendingBytes)
        writer.write(uint32: pendingCRC)
        writer.write(uint64: pendingThrough)
        return writer.bytes
    }

    /// Nil if there is none, or another version's.
    init?(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes.span.bytes)
        do throws(ByteError) {
            guard try reader.readUInt8() == Self.version else { return nil }
            boot = []
            for _ in 0..<Self.bootBytes { boot.append(try reader.readUInt8()) }
            synced = try FilePlace(&reader)
            written = try FilePlace(&reader)
            pendingBytes = try reader.readUInt64()
            pendingCRC = try reader.readUInt32()
            pendingThrough = try reader.readUInt64()
        } catch {
            return nil
        }
    }

    /// Names this run of the system; the same for ever where the system does not say.
    static var bootOfThisSystem: [UInt8] {
        do throws(SystemError) {
            let id = try Files.read("/proc/sys/kernel/random/boot_id", limit: 64)
            return Array(id.prefix(bootBytes))
        } catch {
            return []
        }
    }
}
