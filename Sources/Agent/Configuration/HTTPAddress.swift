internal import OTLPExport

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
        guard let place = HostAndPort(authority) else { return nil }
        host = place.host.lowercased()
        port = place.port ?? (isSecure ? 443 : 80)
        description = String(text.hasSuffix("/") ? text.dropLast() : text[...])
    }

    /// Whether it speaks TLS.
    var isSecure: Bool { description.hasPrefix("https://") }

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
