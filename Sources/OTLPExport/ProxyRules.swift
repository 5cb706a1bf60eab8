/// Through which proxy a URL is reached: `proxy_url`, else `HTTPS_PROXY` or `HTTP_PROXY`, but for what `NO_PROXY`
/// names and, as everywhere, this host.
package struct ProxyRules: Sendable, Equatable {
    /// For every URL, whatever the environment says.
    package var explicit: ProxyAddress?
    /// `HTTPS_PROXY`: for https.
    package var secure: ProxyAddress?
    /// `HTTP_PROXY`: for http.
    package var plain: ProxyAddress?
    /// `NO_PROXY`: names, with all below them, and addresses; `*` for all.
    package var exempt: [String] = []

    /// None.
    package init() {}

    /// The rules of an environment, each variable in capitals or not.
    package init(environment: (String) -> String?) {
        func value(_ name: String) -> String? {
            [name, name.lowercased()].compactMap(environment).first { !$0.isEmpty }
        }
        secure = value("HTTPS_PROXY").flatMap(ProxyAddress.init)
        plain = value("HTTP_PROXY").flatMap(ProxyAddress.init)
        exempt = (value("NO_PROXY") ?? "").split { $0 == "," || $0 == " " }
            .map { $0.lowercased() }
    }

    /// The proxy for a host, nil for none.
    func proxy(isSecure: Bool, host: String) -> ProxyAddress? {
        if let explicit { return explicit }
        guard let proxy = isSecure ? secure : plain else { return nil }
        let host = host.lowercased()
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        if bare == "localhost" || bare == "::1" || bare.hasPrefix("127.") { return nil }
        let isExempt = exempt.contains { rule in
            if rule == "*" { return true }
            let name = rule.drop { $0 == "." || $0 == "*" }
            return bare == name || bare.hasSuffix(".\(name)")
        }
        return isExempt ? nil : proxy
    }
}

/// A proxy of HTTP.
package struct ProxyAddress: Sendable, Hashable {
    let host: String
    let port: Int
    let credentials: String?

    /// Reads `[http://][USER:PASSWORD@]HOST[:PORT]`; nil if it is not that.
    package init?(_ text: String) {
        var rest = text[...]
        if let scheme = rest.firstRange(of: "://") {
            guard rest[..<scheme.lowerBound].lowercased() == "http" else { return nil }
            rest = rest[scheme.upperBound...]
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var credentials: String?
        if let at = rest.lastIndex(of: "@") {
            credentials = String(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        var port = 80
        var host = rest
        if let colon = rest.lastIndex(of: ":"), !rest.hasSuffix("]") {
            guard let number = Int(rest[rest.index(after: colon)...]),
                (1...65_535).contains(number)
            else { return nil }
            (host, port) = (rest[..<colon], number)
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !host.contains("/") else { return nil }
        (self.host, self.port, self.credentials) = (String(host), port, credentials)
    }
}
