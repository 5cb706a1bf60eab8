import SimulationKit
import Testing

@testable import Compression

struct GzipTests {
    private func sizes() -> [Int] { [0, 1, 2, 63, 4096, 65_535, 65_536, 65_537, 1 << 20] }

    @Test func `what is packed unpacks to the same bytes, whatever they are`() throws {
        var generator = SeededGenerator(seed: 11)
        let compressor = try Compressor()
        let decompressor = try Decompressor()
        for size in sizes() {
            // Bytes that shrink much, some, and not at all.
            for kinds: UInt8 in [1, 16, 255] {
                let bytes = (0..<size).map { _ in
                    UInt8.random(in: 0...(kinds - 1), using: &generator)
                }
                let packed = compressor.gzip(bytes.span.bytes)
                #expect(packed.count <= size + size / 1024 + 1024)
                #expect(try decompressor.gunzip(packed.span.bytes, limit: size) == bytes)
            }
        }
    }

    @Test func `what is packed takes no more memory than its bytes need`() throws {
        let packed = try Compressor().gzip([UInt8](repeating: 7, count: 1 << 20).span.bytes)
        #expect(packed.capacity < 2 * packed.count + 64)
    }

    @Test func `more than the limit is refused, and damage is`() throws {
        let bytes = [UInt8](repeating: 7, count: 100_000)
        var packed = try Compressor().gzip(bytes.span.bytes)
        let decompressor = try Decompressor()
        #expect(throws: CompressionError.tooLarge(99_999)) {
            try decompressor.gunzip(packed.span.bytes, limit: 99_999)
        }
        packed[packed.count - 6] ^= 1
        #expect(throws: CompressionError.damaged) {
            try decompressor.gunzip(packed.span.bytes, limit: 1 << 20)
        }
    }
}
