/// The part of a URL that says where a connection goes.
package struct HostAndPort: Sendable, Equatable {
    /// A name, an address of IPv4, or one of IPv6 in its brackets; as it was written.
    package let host: String
    /// 1 to 65,535; nil if there is none.
    package let port: Int?

    /// Reads `HOST[:PORT]`; nil if it is not that.
    package init?(_ text: some StringProtocol) {
        var host = text[...]
        var port: Int?
        if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
            let digits = text[text.index(after: colon)...]
            guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let number = Int(digits),
                (1...65_535).contains(number)
            else { return nil }
            host = text[..<colon]
            port = number
        }
        guard Self.isName(host) || Self.isBracketed(host) else { return nil }
        self.host = String(host)
        self.port = port
    }

    private static func isName(_ text: some StringProtocol) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// An address of IPv6, behind it maybe the zone that a link's own addresses have.
    private static func isBracketed(_ text: some StringProtocol) -> Bool {
        guard text.count > 2, text.hasPrefix("["), text.hasSuffix("]") else { return false }
        let inner = text.dropFirst().dropLast()
        let address = inner.prefix { $0 != "%" }
        let zone = inner.drop { $0 != "%" }.dropFirst()
        return address.contains(":")
            && address.allSatisfy { $0.isASCII && ($0.isHexDigit || $0 == ":" || $0 == ".") }
            && (address.count == inner.count || isName(zone))
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte
    }
}
