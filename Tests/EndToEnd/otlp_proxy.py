"""A recorder between an OTLP sender and its endpoint: every request is kept as it came, passed on, and answered as the
endpoint answers. What was recorded is counted by code that is not ours:

    otlp_proxy.py FOLDER        with the Python of .build/python: prints, for each recorded request, what it held
"""

import http.client
import http.server
import json
import pathlib
import sys
import threading


class Recorder:
    """Listens on the loopback; `port` is where senders are to be pointed."""

    def __init__(self, folder, target):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.requests, self._lock = [], threading.Lock()  # the lock guards the list
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = recorder.keep(self.path, dict(self.headers.items()), body)
                connection = http.client.HTTPConnection("127.0.0.1", target, timeout=30)
                try:
                    connection.request("POST", self.path, body, dict(self.headers.items()))
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                recorder.note(number, answer.status)
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def keep(self, path, headers, body):
        with self._lock:
            number = len(self.requests)
            facts = {"path": path, "type": headers.get("Content-Type") or headers.get("content-type"), "bytes": len(body)}
            self.requests.append(facts)
        pathlib.Path(self.folder, f"{number}.body").write_bytes(body)
        return number

    def note(self, number, status):
        facts = self.requests[number] | {"status": status}
        pathlib.Path(self.folder, f"{number}.json").write_text(json.dumps(facts))


def contents(path, kind, body):
    """What names each record of a request: a span's id, an event's name, a metric's name."""
    from otlp_sink import KINDS, records

    if kind != "application/json":
        request = KINDS[path][0].FromString(body)
        if path != "/v1/logs":
            return records(path, request)
        logs = [record for each in request.resource_logs for scope in each.scope_logs for record in scope.log_records]
        return [next((a.value.string_value for a in log.attributes if a.key == "event.name"), log.body.string_value)
                for log in logs]
    # Not through the official classes: they are stricter than receivers may be.
    found = []
    for resource in next(iter(json.loads(body).values()), []):
        for scope in next((value for key, value in resource.items() if key.startswith("scope")), []):
            if path == "/v1/traces":
                found += [span["spanId"] for span in scope["spans"]]
            elif path == "/v1/logs":
                for log in scope["logRecords"]:
                    names = [a["value"]["stringValue"] for a in log.get("attributes", []) if a["key"] == "event.name"]
                    found += names or [(log.get("body") or {}).get("stringValue", "")]
            else:
                for metric in scope["metrics"]:
                    data = next(metric[key] for key in metric if isinstance(metric[key], dict) and "dataPoints" in metric[key])
                    found += [metric["name"]] * len(data["dataPoints"])
    return found


def main():
    told = []
    folder = pathlib.Path(sys.argv[1])
    # Those that were answered.
    for number in sorted(int(each.stem) for each in folder.glob("*.json")):
        facts = json.loads((folder / f"{number}.json").read_text())
        told.append({"path": facts["path"], "records": contents(facts["path"], facts["type"], (folder / f"{number}.body").read_bytes())})
    print(json.dumps(told))


if __name__ == "__main__":
    main()
