import ByteCoding
import SystemIO
import TelemetryBatch

/// An agent that stores nothing: reads frames, acks batches. Run as a process of its own, so that its
/// work is not counted to the client.
enum Sink {
    static func run(_ path: String) throws {
        let listener = try UnixSocket.listen(path, mode: 0o600)
        while true {
            let number = try listener.accept().release()
            _ = try SystemThread.start(name: "sink") {
                // A connection that ends badly ends; the bench sees what was not acked.
                do { try serve(UnixSocket(owning: number, blocking: true)) } catch { return }
            }
        }
    }

    private static func serve(_ socket: consuming UnixSocket) throws {
        var frames = FrameBuffer()
        var bytes: [UInt8] = []
        while true {
            bytes.removeAll(keepingCapacity: true)
            guard try socket.receive(appendingTo: &bytes, limit: 1 << 18) > 0 else { return }
            frames.append(bytes)
            var last: UInt64 = 0
            while let frame = try frames.next() {
                switch frame.type {
                case .hello:
                    try socket.sendAll(
                        Welcome(
                            logID: ID128(high: 1, low: 1), storedSequence: 0, windowBytes: 4 << 20,
                            synced: 0
                        ).frame.encoded.span.bytes)
                case .batch:
                    var reader = ByteReader(frame.body.span.bytes)
                    try reader.skip(24)
                    last = try reader.readUInt64()
                default: break
                }
            }
            if last > 0 {
                try socket.sendAll(
                    Ack(sequence: last, offset: 8, synced: 0).frame.encoded.span.bytes)
            }
        }
    }
}
