"""As otlp_proxy.py, for OTLP over gRPC. Runs with the Python of .build/python.

    otlp_grpc_proxy.py FOLDER TARGET     prints the port on which it listens, keeps every call in FOLDER and passes it on
"""

import concurrent.futures
import itertools
import json
import pathlib
import sys

import grpc

SERVICES = {
    f"/opentelemetry.proto.collector.{each}.v1.{name}Service/Export": f"/v1/{path}"
    for each, name, path in (("trace", "Trace", "traces"), ("logs", "Logs", "logs"), ("metrics", "Metrics", "metrics"))
}


class Recorder(grpc.GenericRpcHandler):
    def __init__(self, folder, target):
        self.folder, self.numbers = folder, itertools.count()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{target}")

    def service(self, details):
        path = SERVICES.get(details.method)
        if path is None:
            return None

        def call(body, context):
            number = next(self.numbers)
            (self.folder / f"{number}.json").write_text(json.dumps({"path": path, "type": "application/x-protobuf"}))
            try:
                answer = self.channel.unary_unary(details.method)(body, timeout=30)
                status = 200
            except grpc.RpcError as error:
                status = str(error.code())
            # The body is last: whoever counts bodies sees whole calls.
            (self.folder / f"{number}.json").write_text(
                json.dumps({"path": path, "type": "application/x-protobuf", "status": status}))
            (self.folder / f"{number}.body").write_bytes(body)
            if status != 200:
                context.abort(grpc.StatusCode.UNAVAILABLE, status)
            return answer

        return grpc.unary_unary_rpc_method_handler(call)


def main():
    folder = pathlib.Path(sys.argv[1])
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Recorder(folder, sys.argv[2]),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
