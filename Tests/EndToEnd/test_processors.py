"""Processors of a pipeline: what an exporter sends is as they say, the log stays as it was, and every record is accounted for."""

import http.client
import http.server
import json
import threading
import unittest

from host import eventually
from test_otlp_intake import OTLPCase, free_port

CONFIG = """
receivers:
  otlp: {protocols: {http: {endpoint: 'localhost:%(port)d'}, grpc: {endpoint: 'localhost:%(grpc)d'}}}
processors:
  attributes:
    actions:
      - {key: team, action: upsert, value: blue}
      - {key: user.email, action: delete}
      - {key: old, action: update, value: 7}
      - {key: name.of.user, action: insert, from_attribute: user}
  resource:
    attributes: [{key: host.name, action: delete}, {key: deployment.environment, action: upsert, value: test}]
  filter:
    spans: {exclude: {match_type: regexp, span_names: ['^health'], services: ['.']}}
    logs: {include: {match_type: strict, severity_number: {min: WARN}}}
exporters:
  journald: {enabled: false}
  otlp_http: {endpoint: 'http://127.0.0.1:%(backend)d', encoding: json, compression: none}
  otlp_http/plain: {endpoint: 'http://127.0.0.1:%(plain)d', encoding: json, compression: none}
service:
  pipelines:
    traces: {processors: [resource, attributes, filter], exporters: [otlp_http]}
    logs: {processors: [filter], exporters: [otlp_http]}
    traces/plain: {exporters: [otlp_http/plain]}
    logs/plain: {exporters: [otlp_http/plain]}
"""
EMAIL = "ada@private.example"


def pairs(values):
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def plain(attributes):
    return {each["key"]: next(iter(each["value"].values())) for each in attributes}


class Backend:
    """Takes OTLP in JSON and keeps it."""

    def __init__(self, case):
        self.bodies = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *words):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)

    def found(self, resources, scopes, records):
        """Each record with its resource's attributes."""
        return [(plain(resource["resource"]["attributes"]), record)
                for body in list(self.bodies) for resource in body.get(resources, [])
                for scope in resource[scopes] for record in scope[records]]

    def spans(self):
        return self.found("resourceSpans", "scopeSpans", "spans")

    def logs(self):
        return self.found("resourceLogs", "scopeLogs", "logRecords")


class Processors(OTLPCase):
    def send(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def settled(self):
        exporters = self.status()["exporters"]
        return exporters if all(each["waiting"] == 0 for each in exporters) else None

    def test_what_is_sent_is_as_they_say_and_the_balance_holds(self):
        backend, untouched = Backend(self), Backend(self)
        self.port, self.grpc_port = free_port(), free_port()
        config = self.home / "config.yaml"
        config.write_text(CONFIG % {
            "port": self.port, "grpc": self.grpc_port, "backend": backend.port, "plain": untouched.port})
        self.start("--config", config)
        self.status_where("the receiver is open", lambda s: not self.closed_places(s))

        resource = {"attributes": pairs({"service.name": "shop", "host.name": "laptop"})}
        spans = [{
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{number + 1:016x}",
            "name": "health.check" if number % 3 == 0 else "order", "kind": 1,
            "startTimeUnixNano": "1", "endTimeUnixNano": "2",
            "attributes": pairs({"user": f"user{number}", "user.email": EMAIL, "old": "x"}),
        } for number in range(30)]
        logs = [{"timeUnixNano": "5", "severityNumber": number % 24 + 1, "body": {"stringValue": f"event {number}"}}
                for number in range(48)]
        self.send("/v1/traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})
        self.send("/v1/logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": logs}]}]})

        eventually(lambda: len(untouched.spans()) + len(untouched.logs()) == 78, 30, "all of it is at the other backend")
        eventually(lambda: len(backend.spans()) + len(backend.logs()) == 44, 30,
                   lambda: f"{len(backend.spans())} spans and {len(backend.logs())} log events, of 20 and 24")
        exporters = {each["name"]: each for each in eventually(self.settled, 30, "everything is settled")}

        for resource, span in backend.spans():
            self.assertEqual(resource, {"service.name": "shop", "deployment.environment": "test"} | self.mark(resource))
            self.assertEqual(span["name"], "order")
            attributes = plain(span["attributes"])
            number = int(span["spanId"], 16) - 1
            self.assertEqual(attributes, {"user": f"user{number}", "old": "7", "team": "blue", "name.of.user": f"user{number}"})
        self.assertEqual(len({span["spanId"] for _, span in backend.spans()}), 20)
        for resource, log in backend.logs():
            # In the pipeline of logs nothing changes the resource.
            self.assertEqual(resource, {"service.name": "shop", "host.name": "laptop"} | self.mark(resource))
            self.assertGreaterEqual(log["severityNumber"], 13)
        self.assertNotIn(EMAIL, json.dumps(backend.bodies))
        self.assertEqual(json.dumps(untouched.bodies).count(EMAIL), 30)

        changed, same = exporters["otlp_http"], exporters["otlp_http/plain"]
        self.assertEqual(changed["excluded"], {"filtered": 34})
        self.assertEqual((changed["stored"], changed["delivered"], changed["lost"]), (78, 44, {}))
        self.assertEqual((same["stored"], same["delivered"], same["excluded"]), (78, 78, {}))
        # The log has them as they came.
        self.assertEqual(self.telemetry("tail", "--json", "-n", "1000").stdout.count(EMAIL), 30)
        self.stop()

    @staticmethod
    def mark(resource):
        """The mark of agents, which goes to backends on this host."""
        return {key: value for key, value in resource.items() if key == "codex.telemetry.hops"}


if __name__ == "__main__":
    unittest.main()
