internal import ByteCoding
internal import Control
internal import SegmentLog
internal import SystemIO

/// The log over the control socket, for a reader that may not open its files: the same entries, only
/// those of the asking uid.
struct StoredEntryStream: Sendable {
    let stateDirectory: String
    let log: GroupCommit

    /// Sends entries until all are sent (or, following, until `send` fails).
    func run(
        _ question: ReadQuestion, uid: UInt32?, send: (ControlKind, [UInt8]) -> Bool
    ) {
        do {
            try stream(question, uid: uid, send: send)
        } catch {
            _ = send(.failed, [1] + Array("the log cannot be read: \(error)".utf8))
        }
    }

    private func stream(
        _ question: ReadQuestion, uid: UInt32?, send: (ControlKind, [UInt8]) -> Bool
    ) throws(LogError) {
        let start: ReadStart =
            switch question.from {
            case 0: .beginning
            case UInt64.max: .end
            default: .offset(LogOffset(rawValue: question.from), ordinal: nil)
            }
        let log = self.log
        let reader = try LogReader(
            state: DirectoryStorage(opening: stateDirectory), at: start,
            committed: { log.committed })
        while true {
            while let item = try reader.next(where: { uid == nil || $0.peer.uid == uid }) {
                guard case .batch(let batch) = item else { continue }
                guard send(.entry, Self.body(of: batch)) else { return }
            }
            guard send(.caughtUp, Self.bytes(of: reader.cursor)), question.follow else {
                _ = send(.done, [])
                return
            }
            // A second's silence is broken by `caughtUp`, which finds a peer that has gone.
            let deadline = Clocks.monotonic() + 1_000_000_000
            _ = log.waitForCommit(beyond: reader.cursor, until: deadline)
        }
    }

    private static func bytes(of offset: LogOffset) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(uint64: offset.rawValue)
        return writer.bytes
    }

    private static func body(of batch: StoredBatch) -> [UInt8] {
        var writer = ByteWriter()
        batch.encodeEntry(into: &writer)
        return writer.bytes
    }
}
