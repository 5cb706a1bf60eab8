/// An id as a person gives it: any prefix or suffix of its hexadecimal digits.
package struct IDQuery: Sendable, Equatable {
    /// The digits, lower case.
    package let digits: String

    /// What a given text means: at most 32 hexadecimal digits, dashes as in a UUID left out. Nil for
    /// anything else. A leading `…`, as our own output shortens ids, is left out too.
    package init?(_ text: String) {
        var digits = ""
        var rest = Substring(text)
        if rest.hasPrefix("…") { rest = rest.dropFirst() }
        for character in rest {
            if character == "-" { continue }
            guard character.isASCII, character.isHexDigit else { return nil }
            digits += character.lowercased()
        }
        guard !digits.isEmpty, digits.utf8.count <= 32 else { return nil }
        self.digits = digits
    }

    /// Whether this is a whole trace id and can name only one.
    package var isComplete: Bool { digits.utf8.count == 32 }

    /// Whether an id, in lower-case hexadecimal digits, is meant.
    package func matches(_ id: String) -> Bool { id.hasPrefix(digits) || id.hasSuffix(digits) }

    /// What a query names among ids.
    package enum Resolution: Sendable, Equatable {
        /// None of them.
        case none
        /// This one.
        case one(String)
        /// Several: the first of them, sorted, and how many in all.
        case several([String], count: Int)
    }

    /// How many ids an answer names when several are meant.
    package static let shownMax = 8

    /// Which of `ids` is meant.
    package func resolve(_ ids: some Sequence<String>) -> Resolution {
        let found = Set(ids.filter(matches))
        switch found.count {
        case 0: return .none
        case 1: return .one(found.first ?? "")
        default:
            return .several(Array(found.sorted().prefix(Self.shownMax)), count: found.count)
        }
    }
}
