package import SystemIO

/// One operation on a `MemoryDisk`, about to happen: the point at which a fault may strike.
package struct DiskEvent: Sendable {
    /// Rises by one from operation to operation.
    package let number: UInt64
    /// Who does it.
    package let process: Int
    /// What.
    package let operation: SystemError.StaticOperation
    /// On which file, or from which name.
    package let name: String
    /// Where in the file.
    package let position: UInt64
    /// How many bytes.
    package let count: Int
}

/// What strikes an operation.
package enum DiskFault: Sendable, Equatable {
    /// Nothing does.
    case none
    /// It fails, and did nothing.
    case error(Int32)
    /// A write of which only the first bytes happen before it fails.
    case short(Int, errno: Int32)
    /// A sync fails. What was not synced is clean from then on, and only in part on the device: a second sync
    /// has nothing to write and succeeds, as on Linux. `seed` decides which part.
    case syncFails(seed: UInt64)
    /// The process dies before it (0), after it (1), or in a write after that part of its bytes.
    case death(done: Double)
}

/// Decides on each operation. Called without a lock held: it may use the disk itself.
package protocol FaultPlan: AnyObject, Sendable {
    /// What strikes this operation.
    func fault(at event: DiskEvent) -> DiskFault
}

/// What a loss of power leaves of what was not synced.
package enum PowerLoss: Int, Sendable, CaseIterable {
    /// Nothing.
    case nothing
    /// All of it: the device was fast.
    case everything
    /// All up to some moment, in the order in which it happened.
    case upToAMoment
    /// Each sector of each file, and each change of a name, by itself: torn and reordered.
    case anything
}
