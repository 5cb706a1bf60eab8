internal import OTLPExport

/// Where a backend of gRPC is.
package struct GRPCAddress: Sendable, Equatable, CustomStringConvertible {
    /// As it was written.
    package let description: String
    /// The host, in lower case; empty for a socket of the file system.
    package let host: String
    /// The port.
    package let port: Int
    /// The socket of the file system, if it is one.
    package let path: String?
    /// Whether its scheme says that it speaks TLS; nil if there is none, so that `tls.insecure` says it.
    package let isSecure: Bool?

    /// Reads `HOST:PORT`, `http://HOST[:PORT]`, `https://HOST[:PORT]` (port 4317 if there is none), `unix:///PATH`; nil
    /// if it is none of them.
    package init?(_ text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        description = text
        for prefix in ["unix://", "unix:"] where text.hasPrefix(prefix) {
            let path = String(text.dropFirst(prefix.count))
            guard path.hasPrefix("/") else { return nil }
            (self.path, host, port, isSecure) = (path, "", 0, false)
            return
        }
        path = nil
        var rest = text[...]
        var secure: Bool?
        for (scheme, isSecure) in [("http://", false), ("https://", true)]
        where rest.hasPrefix(scheme) {
            secure = isSecure
            rest = rest.dropFirst(scheme.count)
        }
        isSecure = secure
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let place = HostAndPort(rest), secure != nil || place.port != nil else { return nil }
        host = place.host.lowercased()
        port = place.port ?? 4317
    }

    /// Whether a connection to it ends on this host, by its name.
    package var isThisHost: Bool {
        path != nil || HTTPAddress("http://\(host):\(port)")?.isThisHost == true
    }

    /// The host as a resolver takes it.
    package var bareHost: String {
        host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
    }
}
