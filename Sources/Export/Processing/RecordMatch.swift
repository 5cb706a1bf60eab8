package import TelemetryBatch

/// Which records are meant, by what they are: the Collector's `include` and `exclude`. Of each property that is given one
/// of its values must be right, of attributes and resource all.
package struct RecordMatch: Sendable, Equatable {
    /// A text, or an expression that is found in it.
    package enum Text: Sendable, Equatable {
        /// Equal.
        case strict(String)
        /// Found.
        case pattern(TextPattern)
    }

    /// An attribute.
    package struct Attribute: Sendable, Equatable {
        /// What its value must be.
        package enum Wanted: Sendable, Equatable {
            /// Anything.
            case any
            /// Equal, and of the same type.
            case equal(ScalarValue)
            /// A text in which it is found.
            case pattern(TextPattern)
        }

        /// Its key.
        package var key: String
        /// Its value.
        package var value: Wanted

        /// An attribute.
        package init(key: String, value: Wanted) {
            self.key = key
            self.value = value
        }
    }

    /// A scope.
    package struct Library: Sendable, Equatable {
        /// Its name.
        package var name: Text
        /// Its version, nil for any.
        package var version: Text?

        /// A scope.
        package init(name: Text, version: Text?) {
            self.name = name
            self.version = version
        }
    }

    /// `service.name` of the resource.
    package var services: [Text] = []
    /// Attributes of the resource.
    package var resource: [Attribute] = []
    /// Attributes of the record.
    package var attributes: [Attribute] = []
    /// Scopes.
    package var libraries: [Library] = []
    /// Names of spans.
    package var spanNames: [Text] = []
    /// Kinds of spans.
    package var spanKinds: [SpanKind] = []
    /// Bodies of log events that are a text.
    package var bodies: [Text] = []
    /// Severities of log events, as their sources call them.
    package var severityTexts: [Text] = []
    /// The least severity of a log event, as a number.
    package var severityLeast: UInt8?
    /// Whether a log event without one has it.
    package var severityUndefined = false
    /// Names of metrics.
    package var metricNames: [Text] = []

    /// Everything.
    package init() {}

    /// Whether it says nothing.
    package var isEmpty: Bool { self == RecordMatch() }
}

extension RecordMatch.Text {
    func matches(_ text: ArraySlice<UInt8>) -> Bool {
        switch self {
        case .strict(let wanted):
            text.count == wanted.utf8.count && text.elementsEqual(wanted.utf8)
        case .pattern(let pattern): pattern.matches(text)
        }
    }
}

/// A match in one batch: of each text of the table it is looked at once.
struct BatchMatch {
    private let match: RecordMatch
    private let batch: Batch
    /// What is said of the batch as a whole is right.
    private let isResource: Bool
    private var spanNames: KnownTexts
    private var bodies: KnownTexts
    private var severities: KnownTexts
    /// For each attribute that is looked at, of its texts.
    private var values: [KnownTexts]
    private var metrics: [Bool?]
    private var scopes: [Bool?]

    init(_ match: RecordMatch, in batch: Batch) {
        self.match = match
        self.batch = batch
        spanNames = KnownTexts(match.spanNames)
        bodies = KnownTexts(match.bodies)
        severities = KnownTexts(match.severityTexts)
        values = match.attributes.map { attribute in
            guard case .pattern(let pattern) = attribute.value else { return KnownTexts([]) }
            return KnownTexts([.pattern(pattern)])
        }
        metrics = [Bool?](repeating: nil, count: batch.metricCount + 1)
        scopes = [Bool?](repeating: nil, count: batch.scopeCount + 1)
        let attributes = batch.resource.attributes
        var isResource = Self.hold(match.resource, attributes, batch)
        if !match.services.isEmpty {
            isResource = isResource && Self.isService(match.services, attributes, batch)
        }
        self.isResource = isResource
    }

    private static func isService(
        _ services: [RecordMatch.Text], _ attributes: AttributeList, _ batch: Batch
    ) -> Bool {
        guard case .string(let name) = batch.attribute("service.name", in: attributes) else {
            return false
        }
        return services.contains { $0.matches(batch.utf8(name)) }
    }

    /// Texts of attributes that were gone through.
    var textsAsked: Int { values.reduce(0) { $0 + $1.count } }

    /// Whether a record is meant. One of a type that this version does not know is not.
    mutating func holds(_ place: RecordPlace) -> Bool {
        guard isResource else { return false }
        if place.isSpan { return holds(batch.span(at: place)) }
        if place.isLog { return holds(batch.log(at: place)) }
        return place.isPoint && holds(batch.point(at: place))
    }

    private mutating func holds(_ span: SpanView) -> Bool {
        guard match.spanKinds.isEmpty || match.spanKinds.contains(span.kind) else { return false }
        guard match.spanNames.isEmpty || spanNames.contain(span.name, batch) else { return false }
        return isScope(span.scope) && hold(span.attributes)
    }

    private mutating func holds(_ log: LogView) -> Bool {
        if let least = match.severityLeast {
            guard log.severity == 0 ? match.severityUndefined : log.severity >= least else {
                return false
            }
        }
        if !match.severityTexts.isEmpty {
            guard severities.contain(log.severityText, batch) else { return false }
        }
        if !match.bodies.isEmpty {
            guard case .string(let body) = log.body, bodies.contain(body, batch) else {
                return false
            }
        }
        return isScope(log.scope) && hold(log.attributes)
    }

    private mutating func holds(_ point: PointView) -> Bool {
        if !match.metricNames.isEmpty {
            let index = point.metricIndex
            let isOne =
                metrics[index]
                ?? match.metricNames.contains { $0.matches(batch.utf8(point.metric.name)) }
            metrics[index] = isOne
            guard isOne else { return false }
        }
        return isScope(point.metric.scope) && hold(point.attributes)
    }

    private mutating func isScope(_ index: Int) -> Bool {
        if match.libraries.isEmpty { return true }
        if let known = scopes[index] { return known }
        let scope = batch.scope(index)
        let isOne = match.libraries.contains { library in
            library.name.matches(batch.utf8(scope.name))
                && library.version?.matches(batch.utf8(scope.version)) ?? true
        }
        scopes[index] = isOne
        return isOne
    }

    /// A long text that many records have must not be gone through for each of them.
    private mutating func hold(_ list: AttributeList) -> Bool {
        for (number, wanted) in match.attributes.enumerated() {
            guard let value = batch.attribute(wanted.key, in: list) else { return false }
            if case .pattern = wanted.value, case .string(let text) = value {
                guard values[number].contain(text, batch) else { return false }
            } else if !Self.holds(wanted, value, batch) {
                return false
            }
        }
        return true
    }

    private static func hold(
        _ wanted: [RecordMatch.Attribute], _ list: AttributeList, _ batch: Batch
    ) -> Bool {
        wanted.allSatisfy { wanted in
            guard let value = batch.attribute(wanted.key, in: list) else { return false }
            return holds(wanted, value, batch)
        }
    }

    private static func holds(
        _ wanted: RecordMatch.Attribute, _ value: Value, _ batch: Batch
    ) -> Bool {
        switch (wanted.value, value) {
        case (.any, _): return true
        case (.equal(.string(let text)), .string(let found)): return batch.matches(found, text)
        case (.equal(.int(let number)), .int(let found)): return number == found
        case (.equal(.double(let number)), .double(let found)): return number == found
        case (.equal(.bool(let flag)), .bool(let found)): return flag == found
        case (.pattern(let pattern), .string(let found)):
            return pattern.matches(batch.utf8(found))
        default: return false
        }
    }
}

/// Which texts of a batch's table are meant, as far as it was asked.
private struct KnownTexts {
    private let wanted: [RecordMatch.Text]
    private var known: [UInt32: Bool] = [:]

    init(_ wanted: [RecordMatch.Text]) { self.wanted = wanted }

    /// How many were asked of.
    var count: Int { known.count }

    mutating func contain(_ ref: TextRef, _ batch: Batch) -> Bool {
        if let known = known[ref.index] { return known }
        let text = batch.utf8(ref)
        let isOne = wanted.contains { $0.matches(text) }
        known[ref.index] = isOne
        return isOne
    }
}
