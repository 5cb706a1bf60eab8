internal import NIOCore
internal import Synchronization

/// Outcomes on their way from the log's thread to an event loop: one wake-up for all that came
/// together, instead of one for each batch.
final class Mailbox<Letter: Sendable>: Sendable {
    private let eventLoop: any EventLoop
    private let deliver: @Sendable ([Letter]) -> Void
    /// Guards the letters; held for an append or a swap.
    private let letters = Mutex<[Letter]>([])

    init(eventLoop: any EventLoop, deliver: @escaping @Sendable ([Letter]) -> Void) {
        self.eventLoop = eventLoop
        self.deliver = deliver
    }

    /// From any thread; `deliver` runs on the event loop soon.
    func post(_ letter: Letter) {
        let first = letters.withLock { letters in
            letters.append(letter)
            return letters.count == 1
        }
        guard first else { return }
        eventLoop.execute {
            let batch = self.letters.withLock { letters in
                let taken = letters
                letters.removeAll(keepingCapacity: true)
                return taken
            }
            self.deliver(batch)
        }
    }
}
