internal import NIOCore
internal import Synchronization

extension OTLPServer {
    /// What a running receiver consists of, and its end.
    final class Parts: Sendable {
        let loop: any EventLoop
        let intake: OTLPIntake
        let connections: NIOLoopBound<OTLPConnections>

        private struct State {
            var listeners: [any Channel] = []
            var isStopping = false
        }

        /// Guards the listeners; held for an addition or a copy.
        private let state = Mutex(State())

        init(
            loop: any EventLoop, intake: OTLPIntake, connections: NIOLoopBound<OTLPConnections>
        ) {
            self.loop = loop
            self.intake = intake
            self.connections = connections
        }

        var isStopping: Bool { state.withLock { $0.isStopping } }

        /// Closes it at the end.
        func keep(_ listener: any Channel) {
            let isLate = state.withLock { state in
                state.listeners.append(listener)
                return state.isStopping
            }
            if isLate { listener.close(promise: nil) }
        }

        /// No more connections.
        func stop() {
            let listeners = state.withLock { state in
                state.isStopping = true
                return state.listeners
            }
            for listener in listeners { listener.close(promise: nil) }
        }

        /// Waits, but not beyond `stop` for long.
        func wait(atMost limit: Duration) async {
            let end = ContinuousClock.now + limit
            while !isStopping, ContinuousClock.now < end {
                do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
            }
        }

        /// Waits until every request is answered.
        func drain(limit: Duration) async {
            let promise = loop.makePromise(of: Void.self)
            let once = NIOLoopBoundBox.makeBoxSendingValue(false, eventLoop: loop)
            loop.execute {
                let all = self.loop.makePromise(of: Void.self)
                self.connections.value.drain(all)
                all.futureResult.whenComplete { _ in
                    if !once.value { promise.succeed() }
                    once.value = true
                }
                self.loop.scheduleTask(in: TimeAmount(limit)) {
                    if !once.value { promise.succeed() }
                    once.value = true
                }
            }
            do { try await promise.futureResult.get() } catch { return }
        }
    }
}
