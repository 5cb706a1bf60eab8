/// Fields of journal entries as bytes of the native protocol (systemd, "Native Journal Protocol"):
/// `NAME=value\n`, or `NAME\n`, the value's length in 64 bits little-endian, the value, `\n`, where a
/// value has a newline. An entry is the fields, one datagram.
package struct FieldEncoder: Sendable {
    /// What is written.
    package private(set) var bytes: [UInt8] = []

    /// Empty.
    package init() {}

    /// Forgets the content and keeps the memory.
    package mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// Takes the content out.
    package mutating func take() -> [UInt8] {
        let taken = bytes
        bytes = []
        bytes.reserveCapacity(taken.count)
        return taken
    }

    /// Cuts the content to its first `count` bytes.
    package mutating func truncate(to count: Int) { bytes.removeSubrange(count...) }

    /// Writes fields that are encoded already.
    package mutating func append(_ encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

    /// Writes a field whose value cannot have a newline.
    package mutating func field(_ nameAndEquals: StaticString, _ value: StaticString) {
        nameAndEquals.withUTF8Buffer { bytes.append(contentsOf: $0) }
        value.withUTF8Buffer { bytes.append(contentsOf: $0) }
        bytes.append(0x0A)
    }

    /// Writes a field whose value `body` appends and cannot have a newline.
    package mutating func field(_ nameAndEquals: StaticString, _ body: (inout [UInt8]) -> Void) {
        nameAndEquals.withUTF8Buffer { bytes.append(contentsOf: $0) }
        body(&bytes)
        bytes.append(0x0A)
    }

    /// Writes a field whose value is a peer's and may have any bytes.
    package mutating func field(_ nameAndEquals: StaticString, untrusted value: ArraySlice<UInt8>) {
        nameAndEquals.withUTF8Buffer { bytes.append(contentsOf: $0) }
        appendUntrusted(value)
    }

    /// Writes a field whose value is a peer's, with a name made at run time (without `=`).
    package mutating func field(
        name: ArraySlice<UInt8>, untrusted value: ArraySlice<UInt8>
    ) {
        bytes.append(contentsOf: name)
        bytes.append(UInt8(ascii: "="))
        appendUntrusted(value)
    }

    /// Writes a field with a name made at run time, whose value `body` appends and cannot have a
    /// newline.
    package mutating func field(name: ArraySlice<UInt8>, _ body: (inout [UInt8]) -> Void) {
        bytes.append(contentsOf: name)
        bytes.append(UInt8(ascii: "="))
        body(&bytes)
        bytes.append(0x0A)
    }

    /// The name and `=` are written; the value follows, or the `=` becomes the length form's newline.
    private mutating func appendUntrusted(_ value: ArraySlice<UInt8>) {
        if value.contains(0x0A) {
            bytes[bytes.count - 1] = 0x0A
            let length = UInt64(value.count)
            for shift in stride(from: UInt64(0), to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: length >> shift))
            }
        }
        bytes.append(contentsOf: value)
        bytes.append(0x0A)
    }
}
