"""A backend that takes OTLP over gRPC, with grpcio and the official protobuf classes. Runs with the Python of .build/python.

    otlp_grpc_sink.py ADDRESS FILE [--answers ANSWERS] [--age MS] [--tls FOLDER] [--clients]

As otlp_sink.py; ADDRESS is a port of 127.0.0.1, or unix:PATH. ANSWERS are the codes of HTTP that say the same, and `exhausted`:
RESOURCE_EXHAUSTED without a time to come again. --age: how old a connection gets before the backend says goodbye. --tls: with
certificate.pem and key.pem of FOLDER; --clients: only for clients whose certificate is signed by it.
"""

import argparse
import concurrent.futures
import json
import pathlib
import threading
import time

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces

from otlp_sink import KINDS, records, temporalities

CODES = {
    "503": grpc.StatusCode.UNAVAILABLE, "429": grpc.StatusCode.RESOURCE_EXHAUSTED, "400": grpc.StatusCode.INVALID_ARGUMENT,
    "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Backend(traces.TraceServiceServicer, logs.LogsServiceServicer, metrics.MetricsServiceServicer):
    def __init__(self, path, file, answers, lock):
        self.path, self.file, self.answers, self.lock = path, file, answers, lock

    def Export(self, request, context):
        kind = KINDS[self.path]
        with self.lock:
            answer = self.answers.pop(0) if self.answers else "200"
            is_taken = answer in ("200", "partial")
            line = {"path": self.path, "status": answer, "headers": dict(context.invocation_metadata()),
                    "peer": context.peer(), "client": context.auth_context().get("x509_common_name", [b""])[0].decode(),
                    "seconds": context.time_remaining(), "records": records(self.path, request) if is_taken else [],
                    "temporalities": temporalities(self.path, request)}
            with open(self.file, "a") as file:
                file.write(json.dumps(line) + "\n")
        if not is_taken:
            code = CODES[answer]
            if answer in ("503", "429"):
                retry = any_pb2.Any()
                retry.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=300_000_000)))
                status = status_pb2.Status(code=code.value[0], message="later", details=[retry])
                context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
            context.abort(code, "not \u2014 now")
        response = kind[1]()
        if answer == "partial":
            setattr(response.partial_success, kind[2], 1)
            response.partial_success.error_message = "one is not liked"
        return response


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("file")
    parser.add_argument("--answers", default="")
    parser.add_argument("--age", type=int)
    parser.add_argument("--tls", type=pathlib.Path)
    parser.add_argument("--clients", action="store_true")
    options = parser.parse_args()
    answers = []
    for part in filter(None, options.answers.split(",")):
        name, _, count = part.partition(":")
        answers += [name] * int(count or 1)
    settings = [("grpc.so_reuseport", 0)]
    if options.age:
        settings += [("grpc.max_connection_age_ms", options.age), ("grpc.max_connection_age_grace_ms", 2000)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=settings)
    lock = threading.Lock()
    for module, path in ((traces, "/v1/traces"), (logs, "/v1/logs"), (metrics, "/v1/metrics")):
        name = {"/v1/traces": "Trace", "/v1/logs": "Logs", "/v1/metrics": "Metrics"}[path]
        getattr(module, f"add_{name}ServiceServicer_to_server")(Backend(path, options.file, answers, lock), server)
    address = options.address if options.address.startswith("unix:") else f"127.0.0.1:{options.address}"
    if options.tls:
        certificate, key = ((options.tls / name).read_bytes() for name in ("certificate.pem", "key.pem"))
        server.add_secure_port(address, grpc.ssl_server_credentials(
            [(key, certificate)], certificate if options.clients else None, options.clients))
    else:
        server.add_insecure_port(address)
    server.start()
    print("listens", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
