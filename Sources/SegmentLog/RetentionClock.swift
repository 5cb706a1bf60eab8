/// The time by which entries grow old. It follows the wall clock, but not over a step: after one, and
/// after a start long behind the newest entry, it goes on from what it was at the pace of a clock that
/// cannot jump, and believes the wall again only after a day without a step. So a wrong clock, or a
/// laptop that slept for weeks, never deletes on the spot.
struct RetentionClock: Sendable {
    static let stepNanoseconds: UInt64 = 60_000_000_000
    static let settleNanoseconds: UInt64 = 86_400_000_000_000

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

    /// Takes a reading of both clocks and tells the time that counts.
    mutating func now(wall: UInt64, boottime: UInt64) -> UInt64 {
        let before = reading(boottime)
        let expected = lastWall &+ (boottime &- lastBoot)
        let apart = wall > expected ? wall - expected : expected - wall
        lastWall = wall
        lastBoot = boottime
        if apart > RetentionClock.stepNanoseconds {
            anchor = before
            anchorBoot = boottime
            settlesAt = boottime &+ RetentionClock.settleNanoseconds
        } else if boottime >= settlesAt {
            anchor = wall
            anchorBoot = boottime
        }
        return reading(boottime)
    }

    private func reading(_ boottime: UInt64) -> UInt64 { anchor &+ (boottime &- anchorBoot) }
}
