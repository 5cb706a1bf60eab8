/// The time by which entries grow old. It follows the wall clock, but not over a step: after one, after
/// a start long behind the newest entry, and after sleep, it goes on from what it was at the pace of a
/// clock that cannot jump, and believes the wall again only after a day without any of them. So a wrong
/// clock, or a laptop that slept for weeks, never deletes on the spot.
struct RetentionClock: Sendable {
    static let stepNanoseconds: UInt64 = 60_000_000_000
    static let settleNanoseconds: UInt64 = 86_400_000_000_000
    /// Readings come every minute: a longer gap is one in which nobody could deliver what grew old.
    static let sleepNanoseconds: UInt64 = 600_000_000_000

    private var anchor: UInt64
    private var anchorBoot: UInt64
    private var lastWall: UInt64
    private var lastBoot: UInt64
    private var settlesAt: UInt64

    /// `newest` is the receipt of the newest entry, 0 if there is none.
    init(wall: UInt64, boottime: UInt64, newest: UInt64) {
        lastWall = wall
        lastBoot = boottime
        anchorBoot = boottime
        let believable =
            newest == 0 || (wall >= newest && wall - newest <= RetentionClock.settleNanoseconds)
        anchor = believable ? wall : newest
        settlesAt = believable ? boottime : boottime &+ RetentionClock.settleNanoseconds
    }

    /// Takes a reading of both clocks and tells the time that counts: never one ahead of the wall, by
    /// which what comes in after a step back is dated.
    mutating func now(wall: UInt64, boottime: UInt64) -> UInt64 {
        let slept = boottime &- lastBoot > RetentionClock.sleepNanoseconds
        let before = reading(slept ? lastBoot : boottime)
        let expected = lastWall &+ (boottime &- lastBoot)
        let apart = wall > expected ? wall - expected : expected - wall
        lastWall = wall
        lastBoot = boottime
        if slept || apart > RetentionClock.stepNanoseconds {
            anchor = before
            anchorBoot = boottime
            settlesAt = boottime &+ RetentionClock.settleNanoseconds
        } else if boottime >= settlesAt {
            anchor = wall
            anchorBoot = boottime
        }
        if reading(boottime) > wall {
            // Stays with it: or what came in meanwhile would be old once the wall is put right.
            anchor = wall
            anchorBoot = boottime
        }
        return reading(boottime)
    }

    private func reading(_ boottime: UInt64) -> UInt64 { anchor &+ (boottime &- anchorBoot) }
}
