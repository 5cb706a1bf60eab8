/// Counts what a batch comes to where nothing is referred to any more, as exporters write it: a text of 1 MiB that a
/// hundred thousand values name takes some hundred kilobytes here, and 100 GB there.
struct UnfoldedBytes {
    /// A bucket that is not zero takes some bytes in every format; one that is takes as many.
    static let bucketBytes = 4

    /// Bytes of each entry.
    var strings: [UInt32] = []
    /// Bytes of each entry, with its texts.
    var scopes: [Int] = []
    var metrics: [Int] = []
    var bounds: [Int] = []
    /// So far.
    private(set) var total = 0
    // Records that follow each other share what they have in common.
    private var scope = 0
    private var metric = 0

    @inline(__always)
    mutating func take(string index: Int) {
        if index > 0 { total &+= Int(strings[index &- 1]) }
    }

    mutating func take(scope index: Int) {
        if index > 0 { total &+= scopes[index &- 1] }
    }

    mutating func take(bounds index: Int) {
        if index > 0 { total &+= bounds[index &- 1] }
    }

    mutating func take(buckets count: UInt64) {
        total &+= Int(truncatingIfNeeded: count) &* Self.bucketBytes
    }

    /// A record of this scope comes next.
    @inline(__always)
    mutating func enter(scope index: Int) {
        if index == scope { return }
        scope = index
        take(scope: index)
    }

    /// A point of this metric comes next.
    mutating func enter(metric index: Int) {
        if index == metric { return }
        metric = index
        total &+= metrics[index &- 1]
    }
}
