/// Where a receiver listens: on this host's loopback, or, with TLS alone, on another of its addresses.
package struct Endpoint: Sendable, Equatable, CustomStringConvertible {
    /// Addresses to listen on.
    package let addresses: [String]
    /// The port, 1 to 65,535.
    package let port: Int
    /// As it was written.
    package let description: String
    /// Whether only this host's programs can connect.
    package let isLoopback: Bool

    /// Both loopback addresses.
    package static func loopback(port: Int) -> Endpoint {
        Endpoint(
            addresses: ["127.0.0.1", "::1"], port: port, description: "localhost:\(port)",
            isLoopback: true)
    }

    private init(addresses: [String], port: Int, description: String, isLoopback: Bool) {
        self.isLoopback = isLoopback
        self.addresses = addresses
        self.port = port
        self.description = description
    }

    /// Reads `HOST:PORT` or `[ADDRESS]:PORT`; a scheme in front and `/` at the end are allowed. Nil if it is
    /// neither.
    package init?(_ text: String) {
        var rest = text[...]
        for scheme in ["http://", "https://", "unix://"] where rest.hasPrefix(scheme) {
            guard scheme != "unix://" else { return nil }
            rest = rest.dropFirst(scheme.count)
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let colon = rest.lastIndex(of: ":"),
            let port = Int(rest[rest.index(after: colon)...]), (1...65_535).contains(port)
        else { return nil }
        let host = rest[..<colon].lowercased()
        if host == "localhost" {
            self = .loopback(port: port)
            return
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = isBracketed ? String(host.dropFirst().dropLast()) : host
        let letters = isBracketed ? "0123456789abcdef:." : "0123456789abcdefghijklmnopqrstuvwxyz.-_"
        guard !bare.isEmpty, bare.allSatisfy({ letters.contains($0) }) else { return nil }
        self.init(
            addresses: [bare], port: port, description: text,
            isLoopback: bare == "127.0.0.1" || bare == "::1")
    }
}
