package import Export
import Meaning

/// Names an entry for ever, with the log's id: a batch's offset and the record's index in it.
package struct EntryID: Hashable, Sendable {
    /// The batch.
    package let offset: UInt64
    /// The record.
    package let index: UInt32

    /// Both given.
    package init(offset: UInt64, index: UInt32) {
        self.offset = offset
        self.index = index
    }

    /// Appends `segment:position.index` in decimal.
    package func append(into bytes: inout [UInt8]) {
        TextFormat.decimal(offset >> 32, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        TextFormat.decimal(offset & 0xFFFF_FFFF, into: &bytes)
        bytes.append(UInt8(ascii: "."))
        TextFormat.decimal(UInt64(index), into: &bytes)
    }

    /// Reads `segment:position.index` in decimal, or nil.
    package init?(text: some Sequence<UInt8>) {
        var parts: (UInt64, UInt64, UInt64) = (0, 0, 0)
        var part = 0
        var digits = 0
        for byte in text {
            switch byte {
            case 0x30...0x39:
                let digit = UInt64(byte - 0x30)
                digits += 1
                guard digits <= 10 else { return nil }
                switch part {
                case 0: parts.0 = parts.0 * 10 + digit
                case 1: parts.1 = parts.1 * 10 + digit
                default: parts.2 = parts.2 * 10 + digit
                }
            case UInt8(ascii: ":") where part == 0 && digits > 0,
                UInt8(ascii: ".") where part == 1 && digits > 0:
                part += 1
                digits = 0
            default: return nil
            }
        }
        guard part == 2, digits > 0, parts.0 <= UInt32.max, parts.1 <= UInt32.max,
            let index = UInt32(exactly: parts.2)
        else { return nil }
        self.init(offset: parts.0 << 32 | parts.1, index: index)
    }
}

/// The bytes of entries that were encoded together, shared by them until the last is confirmed.
package final class EncodedEntries: Sendable {
    /// All of them, one after another.
    package let bytes: [UInt8]

    static let none = EncodedEntries([])

    /// Takes the bytes.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// Where every entry is between us and the journal: a pure state machine, driven by what was sent and
/// what is visible.
///
/// An entry is `queued` → (sent) → `sent` → (visible) → confirmed, and forgotten. A later one that is
/// visible makes it a *suspect*; what a second look cannot find either becomes `queued` again. journald
/// takes datagrams in the order in which they were sent, and a queue that died with it is gone as a
/// whole; so nothing else proves a loss, and nothing else may be sent again.
package struct DeliveryTracker: Sendable {
    /// Where an entry is.
    package enum State: Sendable, Equatable {
        /// To be sent, for the first time or again.
        case queued
        /// Sent, and not seen yet.
        case sent
        /// Seen, or given up. It is forgotten when it is the oldest.
        case done
    }

    /// An entry that is not confirmed.
    package struct Entry: Sendable {
        /// Its name.
        package let id: EntryID
        /// The batch that it settles, and how many records.
        package let ticket: ExportLedger.Ticket?
        /// Its bytes.
        package fileprivate(set) var encoded: EncodedEntries
        /// Where in them.
        package let range: Range<Int>
        /// See `State`.
        package fileprivate(set) var state = State.queued
        /// How often it was sent.
        package fileprivate(set) var attempts = 0
        /// When it was last sent: nanoseconds of the wall clock.
        package fileprivate(set) var sentWallNanoseconds: UInt64 = 0
        /// The place of its first sending among all.
        package fileprivate(set) var firstOrder: UInt64 = 0
        fileprivate var lastOrder: UInt64 = 0
    }

    private var entries: [Entry] = []
    private var head = 0
    private var headNumber = 0
    private var numbers: [EntryID: Int] = [:]
    /// The number of the first entry that was never sent.
    private var nextFresh = 0
    /// Numbers of entries to send again, oldest first.
    private var again: [Int] = []
    private var order: UInt64 = 0
    private var visibleOrder: UInt64 = 0
    private var barriers: [UInt64: UInt64] = [:]
    /// Bytes of entries that are not confirmed.
    package private(set) var bytes = 0
    /// Entries that were sent more than once.
    package private(set) var resent: UInt64 = 0

    /// Nothing queued.
    package init() {}

    /// Entries that are not confirmed, sent or not.
    package var unconfirmed: Int { numbers.count }
    /// Entries to be sent, or sent again.
    package var queued: Int { headNumber + entries.count - head - nextFresh + again.count }
    /// Entries sent and not confirmed.
    package var inDoubt: Int { unconfirmed - queued }
    /// When the oldest entry in doubt was last sent, nil if there is none.
    package var oldestSentWallNanoseconds: UInt64? {
        for entry in entries[head...] {
            if entry.state == .sent { return entry.sentWallNanoseconds }
            if entry.attempts == 0 { return nil }
        }
        return nil
    }

    /// The order that the next entry to be sent will have; entries in doubt have lower ones.
    package var nextOrder: UInt64 { order + 1 }
    /// The lowest order of an entry in doubt, nil if there is none.
    package var lowestOrderInDoubt: UInt64? {
        for entry in entries[head...] {
            if entry.state == .sent { return entry.firstOrder }
            if entry.attempts == 0 { return nil }
        }
        return nil
    }

    /// Whether this entry is on its way already.
    package func holds(_ id: EntryID) -> Bool { numbers[id] != nil }

    /// Queues an entry.
    package mutating func queue(
        _ id: EntryID, ticket: ExportLedger.Ticket?, encoded: EncodedEntries, range: Range<Int>
    ) {
        precondition(numbers[id] == nil)
        numbers[id] = headNumber + entries.count - head
        entries.append(Entry(id: id, ticket: ticket, encoded: encoded, range: range))
        bytes += range.count
    }

    /// The next entry to send, those to be sent again first.
    package var next: Entry? { nextNumber.map { entries[index($0)] } }

    /// Up to `limit` fresh entries whose bytes follow one another, for one system call; empty if the
    /// next to send is one that is sent again.
    package func nextRun(limit: Int) -> (encoded: EncodedEntries, starts: [Int])? {
        guard again.isEmpty, nextFresh < headNumber + entries.count - head else { return nil }
        let first = index(nextFresh)
        let encoded = entries[first].encoded
        var starts = [entries[first].range.lowerBound]
        starts.reserveCapacity(limit + 1)
        var position = first
        while position < entries.count, starts.count <= limit,
            entries[position].encoded === encoded,
            entries[position].range.lowerBound == starts[starts.count - 1]
        {
            starts.append(entries[position].range.upperBound)
            position += 1
        }
        return (encoded, starts)
    }

    /// The next `count` entries, as `next` and `nextRun` gave them, were sent.
    package mutating func sent(_ count: Int, wallNanoseconds: UInt64) {
        for _ in 0..<count {
            guard let number = nextNumber else { preconditionFailure("more sent than queued") }
            if again.isEmpty { nextFresh += 1 } else { again.removeFirst() }
            order += 1
            let position = index(number)
            if entries[position].attempts == 0 {
                entries[position].firstOrder = order
            } else {
                resent += 1
            }
            entries[position].attempts += 1
            entries[position].lastOrder = order
            entries[position].sentWallNanoseconds = wallNanoseconds
            entries[position].state = .sent
        }
    }

    /// A barrier, an entry that stands for nothing, was sent after all before it.
    package mutating func sentBarrier(_ nonce: UInt64) {
        order += 1
        barriers[nonce] = order
    }

    /// A barrier is visible; whether it was one of ours.
    package mutating func sawBarrier(_ nonce: UInt64) -> Bool {
        guard let barrier = barriers.removeValue(forKey: nonce) else { return false }
        visibleOrder = max(visibleOrder, barrier)
        barriers = barriers.filter { $0.value > barrier }
        return true
    }

    /// An entry is visible; the entry if it was not known to be.
    package mutating func saw(_ id: EntryID) -> Entry? {
        guard let number = numbers[id], entries[index(number)].attempts > 0 else { return nil }
        // One that was sent twice may be visible by its first sending: only that one's place counts.
        visibleOrder = max(visibleOrder, entries[index(number)].firstOrder)
        return finish(number)
    }

    /// Entries in doubt after which a later one is visible.
    package var suspects: [Entry] {
        var found: [Entry] = []
        for entry in entries[head...] {
            if entry.attempts == 0 || entry.firstOrder > visibleOrder { break }
            if entry.state == .sent, entry.lastOrder < visibleOrder { found.append(entry) }
        }
        return found
    }

    /// A second look did not find this suspect: it is to be sent again.
    package mutating func isMissing(_ id: EntryID) {
        guard let number = numbers[id], entries[index(number)].state == .sent else { return }
        entries[index(number)].state = .queued
        again.append(number)
    }

    /// Forgets an entry that is not confirmed, whatever its state; the entry, if it was there.
    package mutating func giveUp(_ id: EntryID) -> Entry? {
        guard let number = numbers[id] else { return nil }
        precondition(entries[index(number)].attempts > 0 || number == nextFresh)
        if entries[index(number)].attempts == 0 { nextFresh += 1 }
        again.removeAll { $0 == number }
        return finish(number)
    }

    /// Takes everything that was sent as delivered, because nobody can look.
    package mutating func takeAllSent() -> [Entry] {
        var taken: [Entry] = []
        for entry in entries[head...] where entry.state == .sent { taken.append(entry) }
        for entry in taken {
            if let number = numbers[entry.id] { _ = finish(number) }
        }
        return taken
    }

    private var nextNumber: Int? {
        if let number = again.first { return number }
        return nextFresh < headNumber + entries.count - head ? nextFresh : nil
    }

    private func index(_ number: Int) -> Int { head + number - headNumber }

    private mutating func finish(_ number: Int) -> Entry {
        let position = index(number)
        let entry = entries[position]
        if entry.state == .queued { again.removeAll { $0 == number } }
        entries[position].state = .done
        entries[position].encoded = EncodedEntries.none
        numbers[entry.id] = nil
        bytes -= entry.range.count
        while head < entries.count, entries[head].state == .done {
            head += 1
            headNumber += 1
        }
        if head >= 512, head * 2 >= entries.count {
            entries.removeFirst(head)
            head = 0
        }
        return entry
    }
}
