import CSystemIO

/// The machine's clocks, in nanoseconds. No call fails.
package enum Clocks {
    /// Since 1970, as the machine believes; it may jump.
    @inlinable
    package static func wall() -> UInt64 { cxt_wall_ns() }

    /// Never jumps; stands still while the machine sleeps.
    @inlinable
    package static func monotonic() -> UInt64 { cxt_monotonic_ns() }

    /// Never jumps, runs on while the machine sleeps; since boot.
    @inlinable
    package static func boottime() -> UInt64 { cxt_boottime_ns() }
}

/// Time, handed in so that a simulation can move it.
package protocol TimeSource: Sendable {
    /// Nanoseconds since 1970, as the machine believes; it may jump.
    func wall() -> UInt64
    /// Nanoseconds since boot, sleep included; it never jumps.
    func boottime() -> UInt64
}

/// The machine's own clocks.
package struct SystemTime: TimeSource {
    /// The machine's own clocks.
    package init() {}
    /// Nanoseconds since 1970.
    package func wall() -> UInt64 { Clocks.wall() }
    /// Nanoseconds since boot.
    package func boottime() -> UInt64 { Clocks.boottime() }
}
