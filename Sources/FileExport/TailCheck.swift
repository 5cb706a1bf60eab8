/// Whether what stands behind the place that is known for sure looks like what a file exporter writes: only
/// such bytes may be taken away after loss of power.
struct TailCheck {
    private static let lineStart = Array("{\"resource".utf8)

    private let format: FileExportConfiguration.Format
    /// Where we are in a line, or in a message and its length.
    private var position = 0
    private var length = 0
    private(set) var isOurs = true

    init(_ format: FileExportConfiguration.Format) { self.format = format }

    mutating func take(_ bytes: [UInt8]) {
        for byte in bytes where isOurs {
            switch format {
            case .json: takeText(byte)
            case .protobuf: takeMessage(byte)
            }
        }
    }

    /// Loss of power may leave zeros where bytes did not arrive.
    private mutating func takeText(_ byte: UInt8) {
        if byte == 0x0A {
            position = 0
            return
        }
        if position < Self.lineStart.count {
            isOurs = byte == 0 || byte == Self.lineStart[position]
        }
        position += 1
    }

    private mutating func takeMessage(_ byte: UInt8) {
        if position < 4 {
            length = length << 8 | Int(byte)
        } else if position == 4 {
            // Field 1, the resources, or bytes that did not arrive.
            isOurs = byte == 0x0A || byte == 0
        }
        position += 1
        if position >= 4, position == 4 + length { (position, length) = (0, 0) }
    }
}
