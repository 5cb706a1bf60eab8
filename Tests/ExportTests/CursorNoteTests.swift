import ByteCoding
import Export
import Foundation
import SystemIO
import Testing

@Suite struct `A note beside a cursor` {
    private let directory = "/tmp/cursor-note-\(ID128.random().hex)"
    private let logID = String(repeating: "a", count: 32)

    private func note(_ id: String? = nil) throws -> CursorNote {
        try CursorNote(
            state: try DirectoryStorage(creating: directory), exporter: "it", logID: id ?? logID)
    }

    private func remove() {
        do { try FileManager.default.removeItem(atPath: directory) } catch { return }
    }

    @Test func `is what was written last`() throws {
        defer { remove() }
        #expect(try note().body.isEmpty)
        for number in 1...5 { try note().write([UInt8](repeating: UInt8(number), count: number)) }
        #expect(try note().body == [5, 5, 5, 5, 5])
        try note().write([UInt8](repeating: 9, count: CursorNote.bodyBytesMax))
        #expect(try note().body.count == CursorNote.bodyBytesMax)
    }

    @Test func `of another log says nothing`() throws {
        defer { remove() }
        try note().write([1])
        #expect(try note(String(repeating: "b", count: 32)).body.isEmpty)
    }

    @Test func `that was torn leaves the one before it`() throws {
        defer { remove() }
        let written = try note()
        try written.write([1, 1])
        try written.write([2, 2])
        let file = try Files.open(directory + "/cursors/it.note", [.readWrite])
        // The second of them stands in the first slot.
        let wrong: [UInt8] = [3]
        try file.write(wrong.span.bytes, at: 41)
        #expect(try note().body == [1, 1])
        try note().write([4])
        #expect(try note().body == [4])
    }

    @Test func `that was taken away says nothing`() throws {
        defer { remove() }
        try note().write([1])
        try CursorNote.remove(state: try DirectoryStorage(creating: directory), exporter: "it")
        #expect(try note().body.isEmpty)
    }
}
