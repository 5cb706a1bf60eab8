import SimulationKit
import Testing

@testable import JournalExport

/// A script of what was sent and what became visible.
private struct Script {
    var tracker = DeliveryTracker()
    var confirmed: [UInt32] = []

    static func id(_ number: UInt32) -> EntryID { EntryID(offset: 1 << 32 | 64, index: number) }

    mutating func queue(_ numbers: ClosedRange<UInt32>) {
        let bytes = EncodedEntries([UInt8](repeating: 0x41, count: numbers.count * 10))
        for (place, number) in numbers.enumerated() {
            tracker.queue(
                Self.id(number), ticket: nil, encoded: bytes,
                range: (place * 10)..<(place * 10 + 10))
        }
    }

    mutating func send(_ count: Int? = nil) {
        tracker.sent(count ?? tracker.queued, wallNanoseconds: 1)
    }

    mutating func see(_ numbers: UInt32...) {
        for number in numbers where tracker.saw(Self.id(number)) != nil {
            confirmed.append(number)
        }
    }

    var suspects: [UInt32] { tracker.suspects.map(\.id.index) }
}

@Suite struct DeliveryTrackerTests {
    @Test func `what is visible in order is confirmed and forgotten`() {
        var script = Script()
        script.queue(0...4)
        script.send()
        #expect(script.tracker.inDoubt == 5)
        script.see(0, 1, 2, 3, 4)
        #expect(script.tracker.unconfirmed == 0)
        #expect(script.tracker.bytes == 0)
        #expect(script.suspects == [])
    }

    @Test func `an entry is suspected only when a later one is visible`() {
        var script = Script()
        script.queue(0...2)
        script.send()
        script.see(0)
        #expect(script.suspects == [])
        script.see(2)
        #expect(script.suspects == [1])
    }

    @Test func `the last entries are never suspected without a barrier after them`() {
        var script = Script()
        script.queue(0...2)
        script.send()
        script.see(0)
        script.tracker.sentBarrier(7)
        #expect(script.suspects == [])
        #expect(script.tracker.sawBarrier(8) == false)
        #expect(script.tracker.sawBarrier(7) == true)
        #expect(script.suspects == [1, 2])
    }

    @Test func `a missing entry is sent again alone and before all others`() throws {
        var script = Script()
        script.queue(0...2)
        script.send()
        script.see(0, 2)
        script.tracker.isMissing(Script.id(1))
        script.queue(3...4)
        #expect(script.tracker.queued == 3)
        #expect(script.tracker.nextRun(limit: 64) == nil)
        #expect(script.tracker.next?.id.index == 1)
        script.send(1)
        #expect(script.tracker.nextRun(limit: 64)?.starts == [0, 10, 20])
        script.send()
        #expect(script.suspects == [])
        script.see(3)
        #expect(script.suspects == [1])
        script.see(1)
        #expect(script.suspects == [])
        #expect(script.tracker.resent == 1)
        #expect(script.confirmed == [0, 2, 3, 1])
    }

    @Test func `what was sent twice proves by its first sending only`() {
        // 0 was lost, or so it seemed: both copies may become visible, the first one first.
        var script = Script()
        script.queue(0...1)
        script.send()
        script.see(1)
        script.tracker.isMissing(Script.id(0))
        script.queue(2...2)
        script.send()
        // Order now: 0 first, 1, 0 again, 2. If the first 0 is visible nothing is said of 2.
        script.see(0)
        #expect(script.suspects == [])
        #expect(script.tracker.inDoubt == 1)
    }

    @Test func `a second visible copy changes nothing`() {
        var script = Script()
        script.queue(0...1)
        script.send()
        script.see(0, 0, 1, 1)
        #expect(script.confirmed == [0, 1])
    }

    @Test func `an entry that was never sent is not confirmed by a forged one`() {
        var script = Script()
        script.queue(0...1)
        script.see(0)
        #expect(script.confirmed == [])
        #expect(script.tracker.queued == 2)
    }

    @Test func `a journald that is killed ten times loses nothing and doubles nothing`() {
        // Each death loses what journald has taken and not written: some entries in a row.
        var random = SeededGenerator(seed: 7)
        var script = Script()
        var journal: [UInt32] = []
        var queue: [UInt32] = []
        var deaths = 0
        var next: UInt32 = 0
        while script.confirmed.count < 5000 {
            if next < 5000, script.tracker.unconfirmed < 500 {
                script.queue(next...(next + 49))
                next += 50
            }
            while let entry = script.tracker.next, queue.count < 200 {
                queue.append(entry.id.index)
                script.send(1)
            }
            let taken = min(queue.count, Int(random.next() % 80))
            let batch = Array(queue.prefix(taken))
            queue.removeFirst(taken)
            if deaths < 10, random.next() % 8 == 0 {
                deaths += 1
                journal += batch.dropLast(Int(random.next() % 3))
            } else {
                journal += batch
            }
            for number in journal.suffix(200) { script.see(number) }
            if queue.isEmpty, script.tracker.inDoubt > 0, script.tracker.queued == 0 {
                // Nothing later would come: a barrier goes after all, and is taken after all.
                script.tracker.sentBarrier(UInt64(script.confirmed.count) + 1_000_000)
                _ = script.tracker.sawBarrier(UInt64(script.confirmed.count) + 1_000_000)
            }
            for suspect in script.tracker.suspects where !journal.contains(suspect.id.index) {
                script.tracker.isMissing(suspect.id)
            }
        }
        #expect(deaths == 10)
        #expect(journal.count == 5000)
        #expect(Set(journal).count == 5000)
        #expect(script.tracker.resent > 0)
    }

    @Test func `where nobody can look what was sent is taken as delivered and never sent again`() {
        var script = Script()
        script.queue(0...4)
        script.send(3)
        #expect(script.tracker.takeAllSent().map(\.id.index) == [0, 1, 2])
        #expect(script.tracker.queued == 2)
        #expect(script.tracker.unconfirmed == 2)
        #expect(script.tracker.next?.id.index == 3)
    }

    @Test func `an entry that is given up is forgotten in every state`() {
        var script = Script()
        script.queue(0...2)
        script.send(2)
        #expect(script.tracker.giveUp(Script.id(0)) != nil)
        #expect(script.tracker.giveUp(Script.id(2)) != nil)
        script.see(1)
        #expect(script.tracker.unconfirmed == 0)
        #expect(script.tracker.queued == 0)
    }

    @Test func `runs end where the bytes of another group begin and at the limit`() {
        var script = Script()
        script.queue(0...4)
        script.queue(5...6)
        #expect(script.tracker.nextRun(limit: 3)?.starts == [0, 10, 20, 30])
        script.send(3)
        #expect(script.tracker.nextRun(limit: 64)?.starts == [30, 40, 50])
        script.send(2)
        #expect(script.tracker.nextRun(limit: 64)?.starts == [0, 10, 20])
    }

    @Test(
        arguments: [
            ("3:8256.17", EntryID(offset: 3 << 32 | 8256, index: 17)),
            ("1:0.0", EntryID(offset: 1 << 32, index: 0)),
            ("", nil), ("3:8256", nil), ("3.8256:17", nil), ("3:8256.", nil), (":1.2", nil),
            ("4294967296:1.2", nil), ("3:8256.17x", nil), ("3:8256.17.1", nil),
            ("1:1.99999999999999999999", nil),
        ] as [(String, EntryID?)])
    func `an entry's name is read as it is written`(text: String, id: EntryID?) {
        #expect(EntryID(text: text.utf8) == id)
        if let id {
            var bytes: [UInt8] = []
            id.append(into: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == text)
        }
    }
}
