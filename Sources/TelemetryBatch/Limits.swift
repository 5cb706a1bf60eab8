/// The limits of contrib/protocol/batch.md, "Limits". A reader refuses what passes one.
package enum BatchLimits {
    /// Bytes of a batch.
    package static let batchBytesMax = 4_194_304
    /// Records in a batch.
    package static let recordsMax = 65_535
    /// Entries of the string table.
    package static let stringsMax = 262_144
    /// Bytes of one string.
    package static let stringBytesMax = 1_048_576
    /// Entries of the trace table.
    package static let tracesMax = 65_535
    /// Entries of the scope table.
    package static let scopesMax = 1_024
    /// Entries of the metric table.
    package static let metricsMax = 16_384
    /// Entries of the bounds table.
    package static let boundsMax = 4_096
    /// Bounds in one entry of the bounds table.
    package static let boundsInOneMax = 4_096
    /// Attributes in one list, values in one array, entries in one map.
    package static let attributesMax = 4_096
    /// Arrays and maps inside one another.
    package static let nestingMax = 32
    /// Events, or links, of one span.
    package static let eventsMax = 4_096
    /// Exemplars, or quantiles, of one point.
    package static let exemplarsMax = 4_096
    /// Buckets of one histogram, or of one side of an exponential one.
    package static let bucketsMax = 16_384
    /// Values in a batch, nested ones included.
    package static let valuesMax = 2_097_152
    /// Bytes of a batch where each text, scope, metric and bucket stands as often as it is referred to.
    package static let unfoldedBytesMax = 67_108_864
    /// Bytes of its resource, of a scope or a metric, likewise: exporters write them again and again.
    package static let unfoldedContainerBytesMax = 1_048_576
    /// The largest sampling threshold: 56 bits.
    package static let samplingThresholdMax: UInt64 = (1 << 56) - 1
}

/// The limits of contrib/protocol/wire.md.
package enum WireLimits {
    /// Bytes of any frame's body.
    package static let bodyBytesMax = 4_194_304
    /// Bytes of the body of a hello and of all that the agent sends.
    package static let smallBodyBytesMax = 65_536
    /// Keys in a hello.
    package static let helloKeysMax = 64
    /// Bytes of a key in a hello.
    package static let helloKeyBytesMax = 64
    /// Bytes of a value in a hello.
    package static let helloValueBytesMax = 1_024
    /// Bytes of an error's message.
    package static let messageBytesMax = 1_024
}
