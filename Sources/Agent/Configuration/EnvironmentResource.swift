internal import Export
internal import TelemetryBatch

/// `OTEL_RESOURCE_ATTRIBUTES` of the agent's own environment, `key=value,key=value`, with `%2C` for what would part
/// them: it goes into the resource of what the exporters send that the environment asks for, where there is no such
/// attribute yet. What the log keeps stays as it came.
struct EnvironmentResource {
    static let variable = "OTEL_RESOURCE_ATTRIBUTES"

    /// What is not there yet is inserted.
    private(set) var actions: [AttributeAction] = []

    /// Why the variable is not used; OpenTelemetry has it that then nothing of it is.
    struct Mistake: Error {
        let message: String

        fileprivate init(_ index: Int, _ what: String) {
            message =
                "\(variable) is not used: \(what) in its pair \(index + 1); it must be "
                + "key=value,key=value, with %2C for a comma and %25 for % in them"
        }
    }

    init(_ text: String) throws(Mistake) {
        var seen: Set<String> = []
        for (index, pair) in text.split(separator: ",", omittingEmptySubsequences: false)
            .enumerated()
        {
            if pair.allSatisfy(\.isWhitespace) { continue }
            guard let equals = pair.firstIndex(of: "=") else {
                throw Mistake(index, "there is no =")
            }
            guard let key = Self.decoded(pair[..<equals]),
                let value = Self.decoded(pair[pair.index(after: equals)...])
            else { throw Mistake(index, "a % begins no code of a byte of UTF-8") }
            guard !key.isEmpty else { throw Mistake(index, "there is no key") }
            // Whose command started an agent on demand hands on its own session, which is nobody else's.
            guard key != "session.id" else { continue }
            guard seen.insert(key).inserted else { throw Mistake(index, "a key stands again") }
            var action = AttributeAction()
            action.verb = .insert
            action.key = key
            action.source = .value(.string(value))
            actions.append(action)
        }
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.drop(while: \.isWhitespace).utf8)[...]
        while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            let code = String(decoding: rest.prefix(2), as: UTF8.self)
            guard rest.count >= 2, code.allSatisfy(\.isHexDigit),
                let decoded = UInt8(code, radix: 16)
            else { return nil }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension ConfigWalk {
    /// Once it is known which exporters the environment makes.
    mutating func takeEnvironmentResource() {
        guard !config.environmentExporters.isEmpty,
            let text = environment(EnvironmentResource.variable),
            !text.allSatisfy(\.isWhitespace)
        else { return }
        do throws(EnvironmentResource.Mistake) {
            let actions = try EnvironmentResource(text).actions
            if !actions.isEmpty { config.environmentResource = .resource(actions) }
        } catch {
            warn(variable: error.message)
        }
    }
}
