extension Schema {
    /// The fields of a metric and of what is within one.
    static func metricFields(of message: Message) -> [FieldSchema] {
        switch message {
        case .metric:
            [
                FieldSchema(1, "name", .string), FieldSchema(2, "description", .string),
                FieldSchema(3, "unit", .string), FieldSchema(5, "gauge", .message(.gauge)),
                FieldSchema(7, "sum", .message(.sum)),
                FieldSchema(9, "histogram", .message(.histogram)),
                FieldSchema(10, "exponentialHistogram", .message(.exponentialHistogram)),
                FieldSchema(11, "summary", .message(.summary)),
                FieldSchema(12, "metadata", .message(.keyValue), repeated: true),
            ]
        case .gauge: [points(.numberPoint)]
        case .sum:
            [points(.numberPoint), temporality, FieldSchema(3, "isMonotonic", .bool)]
        case .histogram: [points(.histogramPoint), temporality]
        case .exponentialHistogram: [points(.exponentialPoint), temporality]
        case .summary: [points(.summaryPoint)]
        default: pointFields(of: message)
        }
    }

    private static func points(_ message: Message) -> FieldSchema {
        FieldSchema(1, "dataPoints", .message(message), repeated: true)
    }

    private static let temporality = FieldSchema(
        2, "aggregationTemporality", .enumeration(.temporality))

    private static func exemplars(_ number: UInt8) -> FieldSchema {
        FieldSchema(number, "exemplars", .message(.exemplar), repeated: true)
    }

    private static func attributes(_ number: UInt8) -> FieldSchema {
        FieldSchema(number, "attributes", .message(.keyValue), repeated: true)
    }

    private static let times = [
        FieldSchema(2, "startTimeUnixNano", .fixed64), FieldSchema(3, "timeUnixNano", .fixed64),
    ]

    private static func pointFields(of message: Message) -> [FieldSchema] {
        switch message {
        case .numberPoint:
            times + [
                FieldSchema(4, "asDouble", .double), exemplars(5),
                FieldSchema(6, "asInt", .sfixed64), attributes(7), FieldSchema(8, "flags", .uint32),
            ]
        case .histogramPoint:
            times + [
                FieldSchema(4, "count", .fixed64), FieldSchema(5, "sum", .double),
                FieldSchema(6, "bucketCounts", .fixed64, repeated: true),
                FieldSchema(7, "explicitBounds", .double, repeated: true), exemplars(8),
                attributes(9), FieldSchema(10, "flags", .uint32), FieldSchema(11, "min", .double),
                FieldSchema(12, "max", .double),
            ]
        case .exponentialPoint:
            [attributes(1)] + times + [
                FieldSchema(4, "count", .fixed64), FieldSchema(5, "sum", .double),
                FieldSchema(6, "scale", .sint32), FieldSchema(7, "zeroCount", .fixed64),
                FieldSchema(8, "positive", .message(.buckets)),
                FieldSchema(9, "negative", .message(.buckets)),
                FieldSchema(10, "flags", .uint32), exemplars(11), FieldSchema(12, "min", .double),
                FieldSchema(13, "max", .double), FieldSchema(14, "zeroThreshold", .double),
            ]
        case .summaryPoint:
            times + [
                FieldSchema(4, "count", .fixed64), FieldSchema(5, "sum", .double),
                FieldSchema(6, "quantileValues", .message(.quantile), repeated: true),
                attributes(7), FieldSchema(8, "flags", .uint32),
            ]
        case .buckets:
            [
                FieldSchema(1, "offset", .sint32),
                FieldSchema(2, "bucketCounts", .uint64, repeated: true),
            ]
        case .quantile: [FieldSchema(1, "quantile", .double), FieldSchema(2, "value", .double)]
        case .exemplar:
            [
                FieldSchema(2, "timeUnixNano", .fixed64), FieldSchema(3, "asDouble", .double),
                FieldSchema(4, "spanId", .identifier), FieldSchema(5, "traceId", .identifier),
                FieldSchema(6, "asInt", .sfixed64),
                FieldSchema(7, "filteredAttributes", .message(.keyValue), repeated: true),
            ]
        default: []
        }
    }
}
