package import ByteCoding

/// The resource attribute by which an agent knows records that it sent itself, once they come back through
/// another program: headers do not survive a Collector, resources do. A list of the agents that records went
/// through, each by the first half of its log's id, with commas between.
package struct HopMark: Sendable, Equatable {
    /// The attribute's key.
    package static let key = "codex.telemetry.hops"

    /// Of this agent: 16 hexadecimal digits.
    package let name: String

    /// The mark of the agent with a log.
    package init(log: ID128) { name = String(log.hex.prefix(16)) }

    /// Whether a resource, in protobuf, has it. A value of a producer's own that has the same 64 random bits
    /// is not to be expected.
    func isIn(_ resource: RawSpan) -> Bool {
        let digits = Array(name.utf8)
        let last = resource.byteCount - digits.count
        guard last >= 0 else { return false }
        var position = 0
        while position <= last {
            if resource.unsafeLoad(fromByteOffset: position, as: UInt8.self) == digits[0] {
                var same = 1
                while same < digits.count,
                    resource.unsafeLoad(fromByteOffset: position + same, as: UInt8.self)
                        == digits[same]
                {
                    same += 1
                }
                if same == digits.count { return true }
            }
            position += 1
        }
        return false
    }

    /// The attribute's value behind this agent, for a resource that has, or has not, been marked by others;
    /// nil if it has ours.
    func value(behind before: String?) -> String? {
        guard let before, !before.isEmpty else { return name }
        return before.contains(name) ? nil : "\(before),\(name)"
    }
}
