/// The messages of OTLP, by the names that its documents use.
enum Message: UInt8, CaseIterable, Sendable {
    case traceRequest, logsRequest, metricsRequest
    case resourceSpans, resourceLogs, resourceMetrics
    case scopeSpans, scopeLogs, scopeMetrics
    case resource, scope
    case keyValue, anyValue, arrayValue, keyValueList
    case span, event, link, status
    case logRecord
    case metric, gauge, sum, histogram, exponentialHistogram, summary
    case numberPoint, histogramPoint, exponentialPoint, summaryPoint
    case buckets, quantile, exemplar
    case traceResponse, logsResponse, metricsResponse
    case tracePartialSuccess, logsPartialSuccess, metricsPartialSuccess
    case rpcStatus

    /// As in the `.proto` files.
    var name: String {
        switch self {
        case .traceRequest: "ExportTraceServiceRequest"
        case .logsRequest: "ExportLogsServiceRequest"
        case .metricsRequest: "ExportMetricsServiceRequest"
        case .resourceSpans: "ResourceSpans"
        case .resourceLogs: "ResourceLogs"
        case .resourceMetrics: "ResourceMetrics"
        case .scopeSpans: "ScopeSpans"
        case .scopeLogs: "ScopeLogs"
        case .scopeMetrics: "ScopeMetrics"
        case .resource: "Resource"
        case .scope: "InstrumentationScope"
        case .keyValue: "KeyValue"
        case .anyValue: "AnyValue"
        case .arrayValue: "ArrayValue"
        case .keyValueList: "KeyValueList"
        case .span: "Span"
        case .event: "Span.Event"
        case .link: "Span.Link"
        case .status: "Status"
        case .logRecord: "LogRecord"
        case .metric: "Metric"
        case .gauge: "Gauge"
        case .sum: "Sum"
        case .histogram: "Histogram"
        case .exponentialHistogram: "ExponentialHistogram"
        case .summary: "Summary"
        case .numberPoint: "NumberDataPoint"
        case .histogramPoint: "HistogramDataPoint"
        case .exponentialPoint: "ExponentialHistogramDataPoint"
        case .summaryPoint: "SummaryDataPoint"
        case .buckets: "ExponentialHistogramDataPoint.Buckets"
        case .quantile: "SummaryDataPoint.ValueAtQuantile"
        case .exemplar: "Exemplar"
        case .traceResponse: "ExportTraceServiceResponse"
        case .logsResponse: "ExportLogsServiceResponse"
        case .metricsResponse: "ExportMetricsServiceResponse"
        case .tracePartialSuccess: "ExportTracePartialSuccess"
        case .logsPartialSuccess: "ExportLogsPartialSuccess"
        case .metricsPartialSuccess: "ExportMetricsPartialSuccess"
        case .rpcStatus: "google.rpc.Status"
        }
    }
}
