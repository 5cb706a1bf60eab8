internal import CDeflate
internal import CISAL

/// Why compressed bytes cannot be taken.
package enum CompressionError: Error, Equatable, CustomStringConvertible {
    /// They are not what they are said to be, or their checksum differs.
    case damaged
    /// They hold more than the limit, in bytes.
    case tooLarge(Int)
    /// They are more than `Decompressor.membersMax` one behind the other.
    case tooManyMembers
    /// No memory for the tables.
    case noMemory

    /// A sentence for the sender.
    package var description: String {
        switch self {
        case .damaged: "the body is not gzip, is cut short, or its checksum differs"
        case .tooLarge(let limit): "the body holds more than \(limit) bytes once decompressed"
        case .tooManyMembers: "the body has more than \(Decompressor.membersMax) members of gzip"
        case .noMemory: "no memory to decompress the body"
        }
    }
}

/// Decompresses whole buffers of gzip (RFC 1952). Not to be shared between threads.
///
/// What comes out is bounded: memory is taken as it grows, never by what the bytes claim.
package struct Decompressor: ~Copyable {
    /// Members in a buffer: empty ones cost time and hold nothing.
    package static let membersMax = 1024

    private let state: OpaquePointer

    /// Makes the tables, about 12 KB.
    package init() throws(CompressionError) {
        guard let state = libdeflate_alloc_decompressor() else { throw .noMemory }
        self.state = state
    }

    deinit { libdeflate_free_decompressor(state) }

    /// All members of `bytes`, one behind the other; at most `limit` bytes.
    package func gunzip(_ bytes: RawSpan, limit: Int) throws(CompressionError) -> [UInt8] {
        var (result, position) = try member(bytes, limit: limit)
        var members = 1
        while position < bytes.byteCount {
            members += 1
            guard members <= Self.membersMax else { throw .tooManyMembers }
            let rest = bytes.extracting(position..<bytes.byteCount)
            let (more, count) = try member(rest, limit: limit - result.count)
            result += more
            position += count
        }
        return result
    }

    /// One member, and the number of bytes that it took.
    private func member(
        _ bytes: RawSpan, limit: Int
    ) throws(CompressionError) -> (content: [UInt8], count: Int) {
        // Telemetry shrinks to a sixth or so.
        var room = min(max(bytes.byteCount * 6, 4096), limit)
        while true {
            let (code, content, count) = inflate(bytes, room: room)
            switch code {
            case LIBDEFLATE_SUCCESS: return (content, count)
            case LIBDEFLATE_INSUFFICIENT_SPACE:
                guard room < limit else { throw .tooLarge(limit) }
                room = min(room * 4, limit)
            default: throw .damaged
            }
        }
    }

    /// The library is told the bounds of both buffers and keeps no pointer into them.
    private func inflate(
        _ bytes: RawSpan, room: Int
    ) -> (code: libdeflate_result, content: [UInt8], count: Int) {
        var code = LIBDEFLATE_BAD_DATA
        var taken = 0
        let content = [UInt8](unsafeUninitializedCapacity: room) { target, made in
            code = bytes.withUnsafeBytes { source in
                libdeflate_gzip_decompress_ex(
                    state, source.baseAddress, source.count, target.baseAddress, room, &taken,
                    &made)
            }
            if code != LIBDEFLATE_SUCCESS { made = 0 }
        }
        return (code, content, taken)
    }
}

/// Compresses whole buffers to gzip, at the level that is fastest for its size. Not to be shared between
/// threads.
package struct Compressor: ~Copyable {
    private let memory: OpaquePointer

    /// Takes the working memory, about 0.4 MB.
    package init() throws(CompressionError) {
        guard let memory = cisal_make() else { throw .noMemory }
        self.memory = memory
    }

    deinit { cisal_free(memory) }

    /// One gzip member that holds `bytes`, less than 2 GiB of them.
    package func gzip(_ bytes: RawSpan) -> [UInt8] {
        // What does not shrink is stored in blocks of at most 64 KiB, of five bytes each before.
        let most = bytes.byteCount + bytes.byteCount / 1024 + 1024
        let packed = [UInt8](unsafeUninitializedCapacity: most) { target, count in
            count = bytes.withUnsafeBytes { source in
                cisal_gzip(
                    memory, source.baseAddress, UInt32(source.count), target.baseAddress,
                    UInt32(target.count))
            }
            precondition(count > 0, "gzip takes more room than its blocks may")
        }
        // Who keeps it must not keep the room that it did not need.
        var exact: [UInt8] = []
        exact.reserveCapacity(packed.count)
        exact += packed
        return exact
    }
}
