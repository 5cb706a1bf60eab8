#if Journald && os(Linux)
    /// The reader's place in the journal, over closing and opening it.
    final class JournalReadback {
        private enum Place {
            case unknown
            case head
            case after(String)
        }

        private final class Box {
            var reader: JournalReader
            init(_ reader: consuming JournalReader) { self.reader = reader }
        }

        var logID = ""
        /// Why the journal cannot be read now, nil if it can.
        private(set) var problem: String?

        private static let anchorsMax = 1024

        private let namespace: String?
        private let entriesMax: Int
        private var place = Place.unknown
        private var open: Box?
        private var restingSince: UInt64?
        /// Entries that were first sent with this order or a later one stand after the place, if they stand
        /// anywhere: they were sent when the reader was there already.
        private var anchors: [(order: UInt64, place: Place)] = []

        init(namespace: String?, entriesMax: Int) {
            self.namespace = namespace
            self.entriesMax = entriesMax
        }

        /// Whether the reader has a place.
        var isPlaced: Bool { if case .unknown = place { false } else { true } }

        /// Goes behind the newest entry of our log: only what comes from now on is read.
        func startAtEnd() {
            open = nil
            anchors = []
            place = .unknown
            do throws(JournalError) {
                var reader = try JournalReader(logID: logID, namespace: namespace)
                try reader.seekTail()
                if try reader.previous() != nil, let cursor = try reader.cursor() {
                    place = .after(cursor)
                } else {
                    place = .head
                }
                problem = nil
            } catch {
                problem = "the journal cannot be read: \(error)"
            }
        }

        /// Reads up to `limit` further entries; whether there are no more for now. `lowest` is the order of
        /// the first entry that is still looked for, `next` that of the next that will be sent.
        func read(
            limit: Int, lowest: UInt64, next: UInt64, _ body: (SeenEntry) -> Void
        ) -> Bool {
            if !isPlaced { startAtEnd() }
            guard isPlaced else { return true }
            restingSince = nil
            note(next, lowest)
            do throws(JournalError) {
                let box = try reader()
                try box.reader.refresh()
                var left = limit
                while left > 0, let seen = try box.reader.next() {
                    body(seen)
                    left -= 1
                }
                if left < limit, let cursor = try box.reader.cursor() { place = .after(cursor) }
                if box.reader.entriesRead >= entriesMax { open = nil }
                problem = nil
                return left > 0
            } catch {
                open = nil
                problem = "the journal cannot be read: \(error)"
                return true
            }
        }

        /// Looks for entries from a place before they were sent, with a reader of its own. Nil if it cannot.
        func lookAgain(
            for entries: [(id: EntryID, order: UInt64)]
        ) -> (found: Set<EntryID>, oldestWallNanoseconds: UInt64?)? {
            guard let lowest = entries.map(\.order).min() else { return nil }
            let start = anchors.last { $0.order <= lowest }?.place ?? .head
            var missing = Set(entries.map(\.id))
            var found: Set<EntryID> = []
            do throws(JournalError) {
                let again = Box(try JournalReader(logID: logID, namespace: namespace))
                try Self.seek(again, start)
                while !missing.isEmpty, let seen = try again.reader.next() {
                    if case .entry(let id) = seen, missing.remove(id) != nil { found.insert(id) }
                }
                let oldest = try again.reader.oldestMicroseconds()
                return (found, oldest.map { $0 * 1000 })
            } catch {
                problem = "the journal cannot be read: \(error)"
                return nil
            }
        }

        /// Goes back to where the reader was before it looked for `lowest`, and reads from there with the
        /// journal's files opened anew: what it did not meet may stand in a file that it never took notice
        /// of, or before its place, where journald's clock was set back.
        func goBack(to lowest: UInt64) {
            open = nil
            if let anchor = anchors.last(where: { $0.order <= lowest }) { place = anchor.place }
        }

        /// Nothing is looked for: after ten seconds the journal's files are let go.
        func rest(_ now: UInt64) {
            guard open != nil else { return }
            guard let since = restingSince else {
                restingSince = now
                return
            }
            if now - since > 10_000_000_000 { open = nil }
        }

        func close() { open = nil }

        private func note(_ next: UInt64, _ lowest: UInt64) {
            if anchors.last.map({ $0.order < next }) ?? true { anchors.append((next, place)) }
            // One at or below the lowest is enough; what is lower is not looked for any more.
            if let kept = anchors.lastIndex(where: { $0.order <= lowest }), kept > 0 {
                anchors.removeFirst(kept)
            }
            // Every second one serves as well, from further back.
            if anchors.count > Self.anchorsMax {
                anchors = anchors.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            }
        }

        private func reader() throws(JournalError) -> Box {
            if let open { return open }
            let box = Box(try JournalReader(logID: logID, namespace: namespace))
            try Self.seek(box, place)
            open = box
            return box
        }

        private static func seek(_ box: Box, _ place: Place) throws(JournalError) {
            switch place {
            case .unknown, .head: try box.reader.seekHead()
            case .after(let cursor): try box.reader.seek(after: cursor)
            }
        }
    }

    /// Finds which entries from a cursor on the journal has, from its end backwards. Entries stand in the
    /// order in which they were sent, but for those that were sent again; so it goes on until it has met as
    /// many below the cursor as can have been in doubt at a time.
    final class JournalLookBack {
        private static let stepMax = 8192

        private(set) var found: Set<EntryID> = []

        private let cursor: UInt64
        private let wanted: Set<EntryID>
        private let logID: String
        private let namespace: String?
        private var below = 0
        private var box: Box?

        private final class Box {
            var reader: JournalReader
            init(_ reader: consuming JournalReader) { self.reader = reader }
        }

        init(logID: String, namespace: String?, cursor: UInt64, wanted: Set<EntryID>) {
            self.logID = logID
            self.namespace = namespace
            self.cursor = cursor
            self.wanted = wanted
        }

        /// Reads on; true when it is done.
        func step() -> Bool {
            do throws(JournalError) {
                if box == nil {
                    let made = Box(try JournalReader(logID: logID, namespace: namespace))
                    try made.reader.seekTail()
                    box = made
                }
                guard let box else { return false }
                for _ in 0..<Self.stepMax {
                    guard let seen = try box.reader.previous() else { return true }
                    guard case .entry(let id) = seen else { continue }
                    if id.offset >= cursor {
                        below = 0
                        found.insert(id)
                    } else {
                        if wanted.contains(id) { found.insert(id) }
                        below += 1
                        if below >= JournalDelivery.unconfirmedMax { return true }
                    }
                }
                return false
            } catch {
                // From the start: what was found stays found.
                box = nil
                below = 0
                return false
            }
        }
    }
#endif
