import Testing

@testable import Receive

/// A connection that stays, when it was told to go, until it is told so again.
private final class StubbornConnection: OTLPConnection {
    enum State { case idle, receiving, storing, leaving }

    private(set) var state: State
    private let registry: OTLPConnections
    private let number: UInt64

    init(_ state: State, _ registry: OTLPConnections, number: UInt64) {
        self.state = state
        self.registry = registry
        self.number = number
        registry.add(self, number: number)
    }

    var isIdle: Bool { state == .idle }
    var isReceiving: Bool { state == .receiving }
    var isLeaving: Bool { state == .leaving }

    func makeRoom() {
        switch state {
        case .idle, .leaving: registry.remove(number: number)
        case .receiving: state = .leaving
        case .storing: break
        }
    }

    func drain() {}
}

@Suite struct `The open connections of OTLP` {
    private let registry: OTLPConnections

    init() {
        var limits = OTLPLimits()
        limits.connectionsMax = 16
        registry = OTLPConnections(limits: limits)
    }

    private func come(_ state: StubbornConnection.State) -> StubbornConnection? {
        registry.admit().map { StubbornConnection(state, registry, number: $0) }
    }

    @Test func `are bounded, however long those stay that were told to go`() {
        for _ in 0..<200 {
            #expect(come(.receiving) != nil)
            #expect(registry.count <= 16 + 16 / 8)
        }
    }

    @Test func `give the place of who leaves if nobody else can go`() {
        for _ in 0..<15 { #expect(come(.storing) != nil) }
        let one = come(.receiving)
        #expect(come(.storing) != nil)
        #expect(one?.state == .leaving && registry.count == 17)
        #expect(come(.storing) != nil)
        #expect(registry.count == 17)
    }

    @Test func `are not given for what is being stored`() {
        for _ in 0..<16 { #expect(come(.storing) != nil) }
        #expect(registry.admit() == nil)
        #expect(registry.count == 16)
    }
}
