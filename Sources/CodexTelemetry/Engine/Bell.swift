internal import SystemIO

/// Wakes the flushing thread out of its wait for the socket: a pipe, since a wait on a descriptor can
/// be ended by nothing else.
final class Bell: Sendable {
    private let pipe: Pipe

    init?() {
        do {
            pipe = try Pipe()
            try pipe.reading.setBlocking(false)
            try pipe.writing.setBlocking(false)
        } catch {
            return nil
        }
    }

    /// Never blocks: a full pipe has been rung already.
    func ring() {
        let one: [UInt8] = [1]
        do { try pipe.writing.writeAll(one.span.bytes) } catch { return }
    }

    /// Waits for the bell, for the socket, or until `deadline` (nil: for ever).
    func wait(until deadline: UInt64?, socket: (number: Int32, what: Readiness)?) {
        var waits: [(number: Int32, what: Readiness)] = [(pipe.reading.number, .readable)]
        if let socket { waits.append(socket) }
        do {
            let ready = try Readiness.wait(
                forAnyOf: waits, milliseconds: Self.milliseconds(until: deadline))
            guard ready[0] else { return }
            var drained: [UInt8] = []
            _ = try pipe.reading.readSome(appendingTo: &drained, limit: 512)
        } catch {
            // The wait failed (out of memory): do not spin.
            Self.pause(nanoseconds: 10_000_000)
        }
    }

    /// Waits for one descriptor, at most this long.
    static func wait(on socket: (number: Int32, what: Readiness), nanoseconds: UInt64) {
        do {
            _ = try Readiness.wait(
                for: socket.what, on: socket.number,
                milliseconds: Int32(clamping: max(nanoseconds / 1_000_000, 1)))
        } catch {
            pause(nanoseconds: min(nanoseconds, 1_000_000))
        }
    }

    /// Sleeps.
    static func pause(nanoseconds: UInt64) {
        do {
            _ = try Readiness.wait(
                forAnyOf: [], milliseconds: Int32(clamping: max(nanoseconds / 1_000_000, 1)))
        } catch {
            return
        }
    }

    private static func milliseconds(until deadline: UInt64?) -> Int32 {
        guard let deadline else { return -1 }
        let now = Clocks.monotonic()
        guard deadline > now else { return 0 }
        // Rounded up, else the last millisecond is spent in a loop.
        return Int32(clamping: (deadline - now + 999_999) / 1_000_000)
    }
}
