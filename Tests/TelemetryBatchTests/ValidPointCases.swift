import ByteCoding
import TelemetryBatch

let exemplarsOfAllKinds: [ExemplarModel] = [
    ExemplarModel(time: someTime, value: .int(-5)),
    ExemplarModel(
        time: someTime + 2, attributes: [Attribute("k", .string("v"))], trace: someTrace,
        span: someSpan, value: .double(2.5)),
    ExemplarModel(time: 0, span: otherSpan),
]

let pointCases: [ValidCase] = [
    ValidCase(
        name: "gauge", note: "an integer, a double and no value",
        model: model(
            [
                .point(point(.number(.int(-3)))), .point(point(.number(.double(0)))),
                .point(point(.number(.none))),
            ], metrics: [metric(.gauge)])),
    ValidCase(
        name: "sum-every-field", note: "temporality, monotonic, start, exemplars, flags, metadata",
        model: model(
            [
                .point(
                    point(.number(.int(.max))) {
                        $0.startTime = someTime - 60_000_000_000
                        $0.attributes = [Attribute("model", .string("gpt-5"))]
                        $0.exemplars = exemplarsOfAllKinds
                        $0.flags = 1
                    })
            ],
            scopes: [codexScope],
            metrics: [
                MetricModel(
                    metric: Metric(
                        kind: .sum, temporality: .cumulative, isMonotonic: true,
                        name: "codex.turn.token_usage", description: "tokens", unit: "{token}",
                        metadata: [Attribute("m", .bool(true))]), scope: 1)
            ])),
    ValidCase(
        name: "histogram", note: "shared bounds, runs of zeros, optional totals",
        model: model(
            [
                .point(
                    point(
                        .histogram(
                            count: 7, bounds: [0, 5, 10, 25], buckets: [0, 0, 4, 0, 3], sum: 61.5,
                            min: 5.5, max: 99)
                    ) {
                        $0.attributes = [Attribute("tool", .string("shell"))]
                        $0.exemplars = exemplarsOfAllKinds
                        $0.startTime = someTime
                        $0.flags = 300
                    }),
                .point(
                    point(
                        .histogram(
                            count: 1, bounds: [0, 5, 10, 25], buckets: [1, 0, 0, 0, 0], sum: nil,
                            min: nil, max: nil))),
                .point(
                    point(
                        .histogram(
                            count: .max, bounds: [-1.5, .infinity], buckets: [], sum: -0.0,
                            min: nil, max: .nan))),
                .point(
                    point(
                        .histogram(
                            count: 0, bounds: [], buckets: [0], sum: nil, min: 0, max: nil))),
            ],
            metrics: [metric(.histogram) { $0.temporality = .delta }])),
    ValidCase(
        name: "exponential-histogram", note: "both sides, one side, none",
        model: model(
            [
                .point(
                    point(
                        .exponential(
                            count: 9, scale: -3, zeroCount: 2, sum: 12.5, min: -4, max: 8,
                            zeroThreshold: 0.25,
                            positive: ExponentialSide(offset: -7, counts: [1, 0, 0, 0, 2]),
                            negative: ExponentialSide(offset: .max, counts: [4]))
                    ) {
                        $0.attributes = [Attribute("k", .int(1))]
                        $0.exemplars = exemplarsOfAllKinds
                        $0.startTime = 1
                        $0.flags = 2
                    }),
                .point(
                    point(
                        .exponential(
                            count: 0, scale: .min, zeroCount: 0, sum: nil, min: nil, max: nil,
                            zeroThreshold: 0, positive: ExponentialSide(offset: 0, counts: []),
                            negative: nil))),
                .point(
                    point(
                        .exponential(
                            count: 0, scale: 20, zeroCount: 0, sum: 0, min: nil, max: nil,
                            zeroThreshold: 0, positive: nil, negative: nil))),
            ],
            metrics: [metric(.exponentialHistogram) { $0.temporality = .delta }])),
    ValidCase(
        name: "summary", note: "with and without quantiles",
        model: model(
            [
                .point(
                    point(
                        .summary(
                            count: 100, sum: 5.5,
                            quantiles: [
                                Quantile(quantile: 0, value: 0.1),
                                Quantile(quantile: 0.99, value: 7),
                            ])
                    ) {
                        $0.attributes = [Attribute("k", .int(1))]
                        $0.startTime = someTime
                        $0.flags = 1
                    }),
                .point(point(.summary(count: 0, sum: 0, quantiles: []))),
            ], metrics: [metric(.summary)])),
    ValidCase(
        name: "everything", note: "all record types, two scopes, all sections",
        model: model(
            [
                .span(
                    span {
                        $0.scope = 1
                        $0.attributes = everyValue
                    }),
                .log(LogModel(time: someTime + 9, trace: otherTrace, body: .string("text"))),
                .point(point(.number(.double(1.5)))),
                .point(
                    point(
                        .histogram(
                            count: 1, bounds: [1, 2], buckets: [0, 1, 0], sum: 1.5, min: nil,
                            max: nil)
                    ) { $0.metric = 2 }),
                .point(
                    point(
                        .exponential(
                            count: 1, scale: 0, zeroCount: 1, sum: nil, min: nil, max: nil,
                            zeroThreshold: 0, positive: nil, negative: nil)
                    ) { $0.metric = 3 }),
                .point(point(.summary(count: 1, sum: 1, quantiles: [])) { $0.metric = 4 }),
                .span(span { $0.scope = 2 }),
            ],
            scopes: [codexScope, Scope(name: "second")],
            metrics: [
                MetricModel(metric: Metric(kind: .gauge, name: "g", unit: "ms"), scope: 2),
                metric(.histogram), metric(.exponentialHistogram), metric(.summary),
            ], resource: codexResource)),
]
