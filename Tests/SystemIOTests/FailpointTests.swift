import Testing

@testable import SystemIO

@Suite struct FailpointTests {
    @Test func `a plan names place, action and turn`() throws {
        let plans = try Failpoint.plans("segment.write.after=kill@3,meta.sync.before=fail")
        #expect(
            plans == [
                .init(.init(.segmentWrite, .after), .kill, turn: 3),
                .init(.init(.metaSync, .before), .fail, turn: 1),
            ])
        for place in Failpoint.Place.all {
            #expect(try Failpoint.plans("\(place)=kill").first?.place == place)
        }
    }

    @Test(arguments: [
        ("segment.wirte.before=kill", "\"segment.wirte.before\" is no place; known are"),
        ("segment.write=kill", "is no place"),
        ("segment.write.before=die", "\"die\" is no action; known are kill stall fail full drop"),
        ("segment.write.before=kill@", "a turn is a number from 1 on"),
        ("segment.write.before=kill@0", "a turn is a number from 1 on"),
        ("segment.write.before=kill@2@3", "a turn is a number from 1 on"),
        ("segment.write.before=kill@often", "a turn is a number from 1 on"),
        ("segment.write.before", "is not PLACE=ACTION[@TURN]"),
        ("segment.write.before=kill,", "is not PLACE=ACTION[@TURN]"),
        (" segment.write.before=kill", "is no place"),
        ("ack.send.before=fail", "no system call that can fail"),
        ("batch.submit.after=drop", "nothing can be dropped at batch.submit.after"),
        ("segment.write.before=drop", "nothing can be dropped at segment.write.before"),
    ])
    func `what is no plan is refused with what is known`(text: String, told: String) {
        #expect {
            try Failpoint.plans(text)
        } throws: {
            "\($0)".contains(told)
        }
    }

    @Test func `a plan is due at its turn alone`() throws {
        let points = Failpoints(try Failpoint.plans("meta.write.before=full@2"))
        try points.reach(.metaWrite, .before)
        try points.reach(.metaWrite, .after)
        #expect(throws: SystemError.self) { try points.reach(.metaWrite, .before) }
        try points.reach(.metaWrite, .before)
        #expect(points.reached == [.init(.metaWrite, .before), .init(.metaWrite, .after)])
    }

    @Test func `the error says what failed and that it was planned`() throws {
        let points = Failpoints(try Failpoint.plans("segment.sync.after=fail,log.sync.before=full"))
        do throws(SystemError) {
            try points.reach(.segmentSync, .after)
            Issue.record("it did not fail")
        } catch {
            #expect("\(error)".hasPrefix("sync failpoint segment.sync: "))
            #expect(!error.isOutOfSpace)
        }
        do throws(SystemError) {
            try points.reach(.logSync, .before)
            Issue.record("it did not fail")
        } catch {
            #expect(error.isOutOfSpace)
        }
    }

    @Test func `a batch is dropped once`() throws {
        let points = Failpoints(try Failpoint.plans("batch.submit.before=drop@2"))
        #expect((1...3).map { _ in points.pass(.batchSubmit, .before) } == [true, false, true])
    }
}
