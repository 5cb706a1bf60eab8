/// An attribute's value to be written: OTLP's `AnyValue` in memory.
///
/// For what is written once a batch or seldom; the hot path gives the builder its scalars.
package indirect enum AttributeValue: Hashable, Sendable {
    /// Nothing set.
    case none
    /// A text.
    case string(String)
    /// A truth value.
    case bool(Bool)
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
    /// Arbitrary bytes.
    case bytes([UInt8])
    /// Values in order.
    case array([AttributeValue])
    /// Keys and values in order; keys may repeat.
    case map([Attribute])
}

/// A key and its value.
package struct Attribute: Hashable, Sendable {
    /// The key.
    package var key: String
    /// The value.
    package var value: AttributeValue

    /// An attribute.
    package init(_ key: String, _ value: AttributeValue) {
        self.key = key
        self.value = value
    }
}

/// What emits a batch's records.
package struct Resource: Hashable, Sendable {
    /// The schema's URL.
    package var schemaURL: String
    /// Attributes that were left out.
    package var droppedAttributes: UInt32
    /// `service.name` and so on.
    package var attributes: [Attribute]

    /// A resource.
    package init(
        attributes: [Attribute] = [], schemaURL: String = "", droppedAttributes: UInt32 = 0
    ) {
        self.attributes = attributes
        self.schemaURL = schemaURL
        self.droppedAttributes = droppedAttributes
    }
}

/// An instrumentation scope.
package struct Scope: Hashable, Sendable {
    /// The instrumentation's name.
    package var name: String
    /// Its version.
    package var version: String
    /// The schema's URL.
    package var schemaURL: String
    /// Attributes that were left out.
    package var droppedAttributes: UInt32
    /// The attributes.
    package var attributes: [Attribute]

    /// A scope.
    package init(
        name: String, version: String = "", schemaURL: String = "",
        attributes: [Attribute] = [], droppedAttributes: UInt32 = 0
    ) {
        self.name = name
        self.version = version
        self.schemaURL = schemaURL
        self.attributes = attributes
        self.droppedAttributes = droppedAttributes
    }
}

/// A metric without its points.
package struct Metric: Hashable, Sendable {
    /// What its points are.
    package var kind: MetricKind
    /// What a sum or histogram counts from.
    package var temporality: Temporality
    /// Whether a sum only rises.
    package var isMonotonic: Bool
    /// The name.
    package var name: String
    /// What it measures.
    package var description: String
    /// The unit (UCUM).
    package var unit: String
    /// OTLP `metadata`.
    package var metadata: [Attribute]

    /// A metric.
    package init(
        kind: MetricKind, temporality: Temporality = .unspecified, isMonotonic: Bool = false,
        name: String, description: String = "", unit: String = "", metadata: [Attribute] = []
    ) {
        self.kind = kind
        self.temporality = temporality
        self.isMonotonic = isMonotonic
        self.name = name
        self.description = description
        self.unit = unit
        self.metadata = metadata
    }
}
