/// A change of a list of attributes.
package struct AttributeEdit: Sendable {
    /// What is done.
    package enum Verb: Sendable {
        /// Adds the attribute where there is none of the key.
        case insert
        /// Gives another value where there is one of the key.
        case update
        /// One or the other.
        case upsert
        /// Takes away what has such a key.
        case delete
    }

    /// Where a value comes from.
    package enum Source: Sendable, Equatable {
        /// It is given.
        case value(ScalarValue)
        /// From the first attribute of the same list with a key; without one nothing is done.
        case attribute(String)
    }

    /// What is done.
    package let verb: Verb
    /// Of which attribute.
    package let key: String
    /// The value; `delete` needs none.
    package let source: Source?
    /// What `delete` takes away beside `key`: keys, as UTF-8.
    package let deletes: (@Sendable (ArraySlice<UInt8>) -> Bool)?

    /// All given.
    package init(
        _ verb: Verb, key: String, source: Source? = nil,
        deletes: (@Sendable (ArraySlice<UInt8>) -> Bool)? = nil
    ) {
        self.verb = verb
        self.key = key
        self.source = source
        self.deletes = deletes
    }
}

/// A value that is one thing.
package enum ScalarValue: Sendable, Equatable {
    /// A text.
    case string(String)
    /// A truth value.
    case bool(Bool)
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
}
