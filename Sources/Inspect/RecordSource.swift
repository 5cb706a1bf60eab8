import ByteCoding
package import Control
package import SegmentLog
package import SystemIO
import TelemetryBatch

/// Why stored records cannot be read.
package enum SourceError: Error, Sendable, CustomStringConvertible {
    /// The log's files failed.
    case log(LogError)
    /// A file or directory could not be read.
    case files(SystemError)
    /// The agent did not answer as it should.
    case control(ControlError)

    /// A sentence for people.
    package var description: String {
        switch self {
        case .log(let error): error.description
        case .files(let error): error.description
        case .control(let error): error.description
        }
    }
}

/// What a source gives, in the log's order.
package enum SourceItem: Sendable {
    /// A stored batch.
    case entry(StoredEntry)
    /// Something that cannot be shown, as a sentence.
    case gap(String)
}

/// Where stored records are read: the log's own files where we may, else the agent's control socket.
/// One reader, two sources.
package final class RecordSource {
    private enum Reader {
        case files(LogReader)
        case control(Conversation)
    }

    /// A client has one owner; an enum of two readers cannot hold it directly.
    private final class Conversation {
        var client: ControlClient
        var isEnded = false
        init(_ client: consuming ControlClient) { self.client = client }
    }

    private let reader: Reader
    private let filter: RecordFilter

    /// Whether the agent has said that nothing more will come. Files never end.
    package var isEnded: Bool {
        if case .control(let conversation) = reader { return conversation.isEnded }
        return false
    }

    /// Reads the files of the agent whose state is in `directory`.
    package init(
        state directory: String, at start: ReadStart, filter: RecordFilter
    ) throws(SourceError) {
        do throws(LogError) {
            let files = try LogReader(state: DirectoryStorage(opening: directory), at: start)
            files.segmentIsWanted = { filter.mayWant($0) }
            reader = .files(files)
        } catch {
            throw .log(error)
        }
        self.filter = filter
    }

    /// Asks the agent behind a control socket for what our uid may see.
    package init(
        control path: String, from offset: UInt64, follow: Bool, filter: RecordFilter
    ) throws(SourceError) {
        do throws(ControlError) {
            var client = try ControlClient(path: path)
            try client.read(ReadQuestion(from: offset, follow: follow))
            reader = .control(Conversation(client))
        } catch {
            throw .control(error)
        }
        self.filter = filter
    }

    /// The next entry that may hold wanted records; nil if there is nothing yet, or nothing more. Does not
    /// wait, but for the agent's answers.
    package func next() throws(SourceError) -> SourceItem? {
        switch reader {
        case .files(let files): return try Self.next(files, filter)
        case .control(let conversation):
            do throws(ControlError) {
                return try Self.next(conversation, filter)
            } catch {
                // Nothing came within the time limit: a follower asks again.
                if case .socket(let problem) = error, problem.wouldBlock { return nil }
                throw .control(error)
            }
        }
    }

    private static func next(
        _ files: LogReader, _ filter: RecordFilter
    ) throws(SourceError) -> SourceItem? {
        do throws(LogError) {
            switch try files.next(where: { filter.mayWant($0) }) {
            case nil: return nil
            case .batch(let stored)?:
                return entry(files.logID ?? .zero, stored.envelope, stored.payload)
            case .damaged(let range)?: return .gap(GapLine.text(range))
            case .missed(let range)?: return .gap(GapLine.text(range))
            }
        } catch {
            throw .log(error)
        }
    }

    private static func next(
        _ conversation: Conversation, _ filter: RecordFilter
    ) throws(ControlError) -> SourceItem? {
        guard !conversation.isEnded else { return nil }
        while let answer = try conversation.client.next() {
            switch answer.kind {
            case .entry:
                guard let stored = StoredBatch(entry: answer.body) else {
                    throw .protocolMismatch
                }
                if filter.mayWant(stored.envelope) {
                    return entry(.zero, stored.envelope, stored.payload)
                }
            case .caughtUp: return nil
            case .done:
                conversation.isEnded = true
                return nil
            default: throw .protocolMismatch
            }
        }
        conversation.isEnded = true
        return nil
    }

    private static func entry(_ logID: ID128, _ envelope: Envelope, _ payload: [UInt8])
        -> SourceItem
    {
        do throws(BatchError) {
            return .entry(
                try StoredEntry(logID: logID, envelope: envelope, payload: payload))
        } catch {
            return .gap("the batch at \(envelope.offset) cannot be decoded: \(error)")
        }
    }
}
