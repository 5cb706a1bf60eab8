internal import SystemIO

/// Whether this process may have the threads that an agent is made of. Asked before anything is begun:
/// where a thread cannot be made, event loops and the runtime's own pool wait for it for ever.
enum ThreadProbe {
    /// Threads beside the first one: the pool's two and their keeper, the event loop, the log's four, the
    /// services' and the exporters', and some for questions.
    static let threadsMin = 17

    /// How many could be made, and why not more; nil if there are enough. All have ended when it returns.
    static func shortage() -> (threads: Int, error: SystemError)? {
        let mayEnd = Monitor(false)
        var threads: [SystemThread] = []
        var problem: SystemError?
        while threads.count < threadsMin, problem == nil {
            do {
                threads.append(
                    try SystemThread.start(name: "probe") {
                        _ = mayEnd.wait { $0 ? true : nil }
                    })
            } catch { problem = error }
        }
        mayEnd.update { $0 = true }
        for thread in threads { thread.join() }
        return problem.map { (threads.count, $0) }
    }
}
