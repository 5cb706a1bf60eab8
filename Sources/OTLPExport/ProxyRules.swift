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

    /// Variables of an environment that name no proxy that can be used, so that what they are for goes without one: a
    /// sentence each, without the value, in which there may be a password.
    ///
    /// - Parameter places: that are sent to.
    package static func problems(
        for places: [(isSecure: Bool, host: String)], environment: (String) -> String?
    ) -> [String] {
        let rules = ProxyRules(environment: environment)
        // As if any could be used: which places would go through one?
        var assumed = rules
        let any = ProxyAddress("http://localhost")
        (assumed.secure, assumed.plain) = (any, any)
        return [(true, "HTTPS_PROXY"), (false, "HTTP_PROXY")].compactMap { isSecure, name in
            let variable = [name, name.lowercased()].first { environment($0)?.isEmpty == false }
            guard let variable, (isSecure ? rules.secure : rules.plain) == nil else { return nil }
            let without = places.filter {
                $0.isSecure == isSecure && assumed.proxy(isSecure: isSecure, host: $0.host) != nil
            }
            guard let host = without.first?.host else { return nil }
            return "\(variable) is not used, and \(host) is reached without a proxy: it must be "
                + "http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, or be unset"
        }
    }

    /// The proxy for a host, nil for none.
    package func proxy(isSecure: Bool, host: String) -> ProxyAddress? {
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
        guard let place = HostAndPort(rest) else { return nil }
        let isBracketed = place.host.hasPrefix("[")
        host = isBracketed ? String(place.host.dropFirst().dropLast()) : place.host
        port = place.port ?? 80
        self.credentials = credentials
    }
}
