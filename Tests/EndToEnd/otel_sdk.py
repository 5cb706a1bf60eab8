"""A program instrumented with the OpenTelemetry SDK of Python: sends spans, log events and metric points to an
endpoint and says how many of each. Runs with the Python of .build/python.

    otel_sdk.py ENDPOINT http|grpc [SPANS] [gzip]
"""

import json
import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def exporters(endpoint, protocol, compressed):
    """Of spans, log events and metrics."""
    if protocol == "http":
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        packing = Compression.Gzip if compressed else Compression.NoCompression
        return [
            make(endpoint=f"{endpoint}/v1/{signal}", compression=packing)
            for make, signal in ((OTLPSpanExporter, "traces"), (OTLPLogExporter, "logs"),
                                 (OTLPMetricExporter, "metrics"))
        ]
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    packing = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    return [
        make(endpoint=endpoint, insecure=not endpoint.startswith("https:"), compression=packing)
        for make in (OTLPSpanExporter, OTLPLogExporter, OTLPMetricExporter)
    ]


def main():
    endpoint, protocol = sys.argv[1:3]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    span_exporter, log_exporter, metric_exporter = exporters(endpoint, protocol, "gzip" in sys.argv[4:])
    resource = Resource.create({"service.name": f"sdk-{protocol}", "service.version": "1.2.3"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    trace.set_tracer_provider(tracers)
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    reader = PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)
    meters = MeterProvider(resource=resource, metric_readers=[reader])
    metrics.set_meter_provider(meters)
    meter = meters.get_meter("meter", "0.1")
    tracer = tracers.get_tracer("tracer", "0.2", schema_url="https://opentelemetry.io/schemas/1.30.0")
    logger = logging.getLogger("sdk")
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=logs))
    counter, histogram = meter.create_counter("requests"), meter.create_histogram("latency", unit="ms")
    for number in range(count):
        with tracer.start_as_current_span(f"outer {number}", attributes={"number": number, "ok": True}) as span:
            span.add_event("half way", {"share": 0.5})
            with tracer.start_as_current_span("inner"):
                logger.info("message %d", number)
            counter.add(1, {"even": number % 2 == 0})
            histogram.record(number * 1.5)
    fine = [tracers.force_flush(), logs.force_flush(), meters.force_flush()]
    for each in (tracers, logs, meters):
        each.shutdown()
    # Two series of the counter, one of the histogram; shutdown of the meters sends them once more.
    print(json.dumps({"spans": 2 * count, "logs": count, "points": 6, "flushed": all(fine)}))


if __name__ == "__main__":
    main()
