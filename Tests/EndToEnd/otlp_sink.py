"""A backend that takes OTLP over HTTP, with the official protobuf classes. Runs with the Python of .build/python.

    otlp_sink.py PORT[,PORT] FILE [ANSWERS] [--tls PORT:FOLDER]

Each request that it takes becomes a line of FILE (JSON: where it came, records, their ids or bodies, headers), before it is
answered. The path's end says the signal. --tls: with certificate.pem and key.pem of FOLDER.
ANSWERS, as `503:2,429,400,partial:3`, are given to the first requests, in that order, so many times each; a request that is
answered otherwise than with 200 or a partial success leaves a line without records.
"""

import argparse
import gzip
import http.server
import json
import pathlib
import ssl
import threading

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

KINDS = {
    "/v1/traces": (traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, "rejected_spans"),
    "/v1/logs": (logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, "rejected_log_records"),
    "/v1/metrics": (metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse, "rejected_data_points"),
}


def records(path, request):
    """What names each record."""
    if path == "/v1/traces":
        return [span.span_id.hex() for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    if path == "/v1/logs":
        return [record.body.string_value
                for each in request.resource_logs for scope in each.scope_logs for record in scope.log_records]
    found = []
    for each in request.resource_metrics:
        for scope in each.scope_metrics:
            for metric in scope.metrics:
                found += [metric.name for _ in getattr(metric, metric.WhichOneof("data")).data_points]
    return found


def temporalities(path, request):
    """What each metric's points count from, by name: `gauge`, `delta`, `cumulative`."""
    if path != "/v1/metrics":
        return {}
    metric_list = [metric for each in request.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
    found = {}
    for metric in metric_list:
        data = getattr(metric, metric.WhichOneof("data"))
        found[metric.name] = ("", "delta", "cumulative")[getattr(data, "aggregation_temporality", 0)] or metric.WhichOneof("data")
    return found


def resources(request):
    """Each resource's attributes, as texts."""
    return [{pair.key: pair.value.string_value for pair in each.resource.attributes}
            for _, several in request.ListFields() for each in several]


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        signal = self.path[self.path.index("/v1/"):]
        kind = KINDS[signal]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        is_json = self.headers["Content-Type"] == "application/json"
        request = kind[0]()
        if is_json:
            text = body.decode()
            # Identifiers are hexadecimal in OTLP's JSON, where protobuf's has base64.
            json_format.Parse(json.dumps(with_base64(json.loads(text))), request)
        else:
            request.ParseFromString(body)
        answer = self.server.answers.pop(0) if self.server.answers else "200"
        response, status = kind[1](), 200
        if answer.startswith("partial"):
            setattr(response.partial_success, kind[2], 1)
            response.partial_success.error_message = "one is not liked"
        elif answer != "200":
            status = int(answer)
        line = {"path": self.path, "status": status, "headers": dict(self.headers.items()), "scheme": self.server.scheme,
                "records": records(signal, request) if status == 200 else [], "temporalities": temporalities(signal, request),
                "resources": resources(request)}
        with open(self.server.file, "a") as file:
            file.write(json.dumps(line) + "\n")
        content = json_format.MessageToJson(response).encode() if is_json else response.SerializeToString()
        self.send_response(status)
        if status in (429, 503):
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def with_base64(value):
    import base64

    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(each)).decode() if key in ("traceId", "spanId", "parentSpanId") else with_base64(each)
            for key, each in value.items()
        }
    return [with_base64(each) for each in value] if isinstance(value, list) else value


def serve(port, options, answers, folder=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Backend)
    server.daemon_threads = True
    server.file, server.answers, server.scheme = options.file, answers, "https" if folder else "http"
    if folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ports")
    parser.add_argument("file")
    parser.add_argument("answers", nargs="?", default="")
    parser.add_argument("--tls")
    options = parser.parse_args()
    answers = []
    for part in filter(None, options.answers.split(",")):
        name, _, count = part.partition(":")
        answers += [name] * int(count or 1)
    for port in options.ports.split(","):
        serve(int(port), options, answers)
    if options.tls:
        port, _, folder = options.tls.partition(":")
        serve(int(port), options, answers, pathlib.Path(folder))
    print("listens", flush=True)


if __name__ == "__main__":
    main()
