/// `${env:NAME}`, `${env:NAME:-default}` and `${NAME}` in a value, as in the Collector; `$$` is a `$`.
struct Substitution {
    /// The value.
    private(set) var text = ""
    /// Whether anything came from the environment: then it may be a secret.
    private(set) var isFromEnvironment = false

    /// Why there is no value: a sentence.
    struct Problem: Error {
        let message: String
    }

    init(_ raw: String, _ environment: (String) -> String?) throws(Problem) {
        var rest = raw[...]
        while let dollar = rest.firstIndex(of: "$") {
            text += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.hasPrefix("$") {
                text += "$"
                rest = rest.dropFirst()
            } else if rest.hasPrefix("{") {
                guard let close = rest.firstIndex(of: "}") else {
                    throw Problem(message: "'${' without its '}'; a '$' itself is written $$")
                }
                text += try value(of: String(rest[..<close].dropFirst()), environment)
                isFromEnvironment = true
                rest = rest[rest.index(after: close)...]
            } else {
                text += "$"
            }
        }
        text += rest
    }

    private func value(
        of reference: String, _ environment: (String) -> String?
    ) throws(Problem) -> String {
        var inner = reference[...]
        if inner.hasPrefix("env:") { inner = inner.dropFirst(4) }
        let fallback = inner.firstRange(of: ":-")
        let name = String(fallback.map { inner[..<$0.lowerBound] } ?? inner)
        let isName = name.utf8.allSatisfy {
            $0 == 0x5F || 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0
        }
        guard !name.isEmpty, isName else {
            throw Problem(
                message: "'${\(reference)}' is no reference that is known; known is ${env:NAME}, "
                    + "${env:NAME:-default}, and $$ for a '$' itself")
        }
        if let value = environment(name) { return value }
        if let fallback { return String(inner[fallback.upperBound...]) }
        throw Problem(
            message: "the environment variable \(name) is not set in the agent; set it, or give a "
                + "default: ${env:\(name):-default}")
    }
}
