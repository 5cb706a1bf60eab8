internal import Logging
internal import SegmentLog

/// Says what happens to the log, a line each, as it happens. On a thread of its own: whoever reads our lines
/// may be slow, and the log waits for nobody.
struct LogTeller: Sendable {
    let log: GroupCommit
    let place: String
    let logger: Logger

    /// A full disk may have room and none many times a second.
    private static let rest = Duration.seconds(1)

    func run(_ stop: ThreadService.Stop) {
        var told: LogFailure?
        while true {
            let (news, failure) = log.waitForNews(unless: { stop.isRaised })
            for one in news { tell(one) }
            if failure != told {
                tell(failure, insteadOf: told)
                told = failure
                _ = stop.wait(atMost: Self.rest)
            }
            if stop.isRaised, news.isEmpty { return }
        }
    }

    private func tell(_ what: LogNews) {
        switch what {
        case .removed(let segment, let count):
            logger.error(
                """
                log: \(place)/\(segment.fileName) was removed by somebody else; \(count.batches) \
                batches of \(count.records) records are lost
                """)
        case .damaged(let range, let isCopied):
            let copy = isCopied ? "quarantine/ has a copy" : "there is no copy in quarantine/"
            logger.error("log: damaged bytes at \(range); \(copy)")
        }
    }

    private func tell(_ failure: LogFailure?, insteadOf old: LogFailure?) {
        guard let failure else {
            logger.notice("log in \(place): writing again")
            return
        }
        let remedy = failure.remedy.map { "; \($0)" } ?? ""
        if failure.isFull {
            // Which call met it changes from batch to batch.
            if old?.isFull ?? false { return }
            logger.warning("log in \(place) is full: \(failure.sentence)\(remedy)")
        } else {
            logger.error("log in \(place) failed: \(failure.sentence)\(remedy)")
        }
    }
}
