/// Where a receiver listens: this host, and nobody else's.
package struct Endpoint: Sendable, Equatable, CustomStringConvertible {
    /// Addresses to listen on.
    package let addresses: [String]
    /// The port, 1 to 65,535.
    package let port: Int
    /// As it was written.
    package let description: String

    /// Both loopback addresses.
    package static func loopback(port: Int) -> Endpoint {
        Endpoint(
            addresses: ["127.0.0.1", "::1"], port: port, description: "localhost:\(port)")
    }

    private init(addresses: [String], port: Int, description: String) {
        self.addresses = addresses
        self.port = port
        self.description = description
    }

    /// Reads `HOST:PORT` or `[::1]:PORT`; a scheme in front and `/` at the end are allowed. Nil if it is
    /// neither, or not an address of the loopback.
    package init?(_ text: String) {
        var rest = text[...]
        for scheme in ["http://", "unix://"] where rest.hasPrefix(scheme) {
            guard scheme == "http://" else { return nil }
            rest = rest.dropFirst(scheme.count)
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"),
            let port = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        switch rest[..<colon] {
        case "localhost": self = .loopback(port: port)
        case "127.0.0.1": self.init(addresses: ["127.0.0.1"], port: port, description: text)
        case "[::1]": self.init(addresses: ["::1"], port: port, description: text)
        default: return nil
        }
    }
}
