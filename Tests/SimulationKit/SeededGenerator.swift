/// A small deterministic generator (SplitMix64): tests print its seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// The same numbers for the same seed, for ever.
    package init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// A number below `count`, which is at least 1: always one draw, whatever the standard library does.
    package mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

    /// True once in `count` times; never for 0.
    package mutating func oneIn(_ count: Int) -> Bool {
        let drawn = next()
        return count > 0 && drawn % UInt64(count) == 0
    }
}
