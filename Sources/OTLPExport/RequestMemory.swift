import Synchronization

/// Bytes of requests that wait in this process, of all exporters together: many whose backends are away must not
/// each read far ahead in the log.
package final class RequestMemory: Sendable {
    /// What an exporter may hold whatever the others do.
    static let shareBytes = 1 << 20

    private let bytesMax: Int
    private let held = Atomic<Int>(0)

    /// With a limit.
    package init(bytesMax: Int = 64 << 20) { self.bytesMax = bytesMax }

    /// Whether an exporter that holds so many may hold more.
    func hasRoom(with own: Int) -> Bool {
        own < Self.shareBytes || held.load(ordering: .relaxed) < bytesMax
    }

    /// An exporter holds more than before, or less.
    func change(by bytes: Int) { held.add(bytes, ordering: .relaxed) }

    /// What all hold.
    var bytes: Int { held.load(ordering: .relaxed) }
}
