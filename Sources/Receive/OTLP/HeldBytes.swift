/// Bytes of requests that are not whole yet, of one connection, in the budget that all receivers share.
struct HeldBytes {
    /// As much is not counted: it is about what a connection costs anyway.
    static let uncountedBytes = 16_384

    private let admission: Admission
    private let uid: UInt32
    private var bytes = 0
    private var counted = 0
    /// Whether there was room for what was added last.
    private(set) var hasRoom = true

    init(_ admission: Admission, uid: UInt32?) {
        self.admission = admission
        self.uid = uid ?? .max
    }

    /// So many more, or fewer.
    mutating func add(_ more: Int) {
        bytes += more
        let now = bytes < Self.uncountedBytes ? 0 : bytes
        if now != counted { hasRoom = admission.hold(uid: uid, bytes: now, instead: counted) }
        counted = now
    }

    /// None any more.
    mutating func letGo() { add(-bytes) }
}
