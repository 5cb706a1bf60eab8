/// The URL of a backend.
package struct HTTPAddress: Sendable, Equatable, CustomStringConvertible {
    /// As it was written, without a slash at its end.
    package let description: String
    /// The host, in lower case.
    package let host: String
    /// The port.
    package let port: Int

    /// Reads `http://HOST[:PORT][/PATH]`, or `https`; nil if it is neither.
    package init?(_ text: String) {
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else { return nil }
        var host = authority
        var port = isSecure ? 443 : 80
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            guard let number = Int(authority[authority.index(after: colon)...]),
                (1...65_535).contains(number)
            else { return nil }
            host = authority[..<colon]
            port = number
        }
        guard !host.isEmpty else { return nil }
        self.host = host.lowercased()
        self.port = port
        description = String(text.hasSuffix("/") ? text.dropLast() : text[...])
    }

    /// Whether a connection to it ends on this host's loopback, by its name.
    package var isThisHost: Bool {
        let name = host.hasSuffix(".") ? String(host.dropLast()) : host
        let names = [
            "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "127.0.0.1",
            "127.1",
            "0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        ]
        return names.contains(name) || name.hasSuffix(".localhost")
    }

    /// Without what stands behind `?`, which may be a secret.
    var shown: String {
        let path = description.prefix { $0 != "?" }
        return path.count < description.count ? "\(path)?****" : description
    }

    /// The base of what may be a signal's own URL.
    package var base: String {
        for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] where description.hasSuffix(path) {
            return String(description.dropLast(path.count))
        }
        return description
    }
}
