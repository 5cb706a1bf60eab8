/// What emitted a batch's records (OTLP `Resource`).
package struct ResourceView: Sendable {
    /// The schema's URL.
    package let schemaURL: TextRef
    /// Attributes that the producer left out.
    package let droppedAttributes: UInt32
    /// The attributes: `service.name` and so on.
    package let attributes: AttributeList
}

/// An instrumentation scope (OTLP `InstrumentationScope` and its schema URL).
package struct ScopeView: Sendable {
    /// The index in the table, from 1; 0 is the empty scope.
    package let index: Int
    /// The instrumentation's name.
    package let name: TextRef
    /// Its version.
    package let version: TextRef
    /// The schema's URL.
    package let schemaURL: TextRef
    /// Attributes that the producer left out.
    package let droppedAttributes: UInt32
    /// The attributes.
    package let attributes: AttributeList
}

/// A metric's descriptor (OTLP `Metric` without its points).
package struct MetricView: Sendable {
    /// The index in the table, from 1.
    package let index: Int
    /// What its points are.
    package let kind: MetricKind
    /// What a sum or histogram counts from.
    package let temporality: Temporality
    /// Whether a sum only rises.
    package let isMonotonic: Bool
    /// The name.
    package let name: TextRef
    /// What it measures.
    package let description: TextRef
    /// The unit (UCUM).
    package let unit: TextRef
    /// The scope's index, 0 for none.
    package let scope: Int
    /// OTLP `metadata`.
    package let metadata: AttributeList
}

extension Batch {
    /// The resource; empty if the batch has none.
    package var resource: ResourceView {
        guard layout.resource.count > 0 else {
            return ResourceView(
                schemaURL: .none, droppedAttributes: 0,
                attributes: AttributeList(batch: self, place: ListPlace()))
        }
        var reader = TrustedReader(bytes, at: layout.resource.start)
        return ResourceView(
            schemaURL: reader.text(), droppedAttributes: reader.word(),
            attributes: AttributeList(batch: self, place: reader.skipAttributes()))
    }

    /// The scope with an index from 1; 0 gives the empty scope. Traps above the table.
    package func scope(_ index: Int) -> ScopeView {
        guard index > 0 else {
            return ScopeView(
                index: 0, name: .none, version: .none, schemaURL: .none, droppedAttributes: 0,
                attributes: AttributeList(batch: self, place: ListPlace()))
        }
        var reader = TrustedReader(bytes, at: scopeStart(index))
        return ScopeView(
            index: index, name: reader.text(), version: reader.text(), schemaURL: reader.text(),
            droppedAttributes: reader.word(),
            attributes: AttributeList(batch: self, place: reader.skipAttributes()))
    }

    /// The metric with an index from 1. Traps outside the table.
    package func metric(_ index: Int) -> MetricView {
        var reader = TrustedReader(bytes, at: metricStart(index))
        let flags = reader.varint()
        // The validator has refused other kinds and temporalities.
        let kind = MetricKind(rawValue: UInt8(flags & 7)) ?? .gauge
        let temporality = Temporality(rawValue: UInt8(flags >> 3 & 3)) ?? .unspecified
        let name = reader.text()
        let description = reader.text()
        let unit = reader.text()
        let scope = reader.int()
        let metadata = flags & MetricBit.metadata != 0 ? reader.skipAttributes() : ListPlace()
        return MetricView(
            index: index, kind: kind, temporality: temporality,
            isMonotonic: flags & MetricBit.monotonic != 0, name: name, description: description,
            unit: unit, scope: scope, metadata: AttributeList(batch: self, place: metadata))
    }
}
