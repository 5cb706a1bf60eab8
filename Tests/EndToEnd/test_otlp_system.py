"""OTLP at the system agent on a booted systemd: the first request of any user starts it, and its records are that user's."""

import json
import os
import time
import unittest

from host import eventually
from installed import PYTHON, SERVICE
from test_system_agent import SystemCase

# A request as any program sends one, over TCP or to a socket of the file system.
SENDER = """
import http.client, socket, sys
host, body = sys.argv[1:3]
if host.startswith("/"):
    connection = http.client.HTTPConnection("localhost", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(host)
else:
    connection = http.client.HTTPConnection(host, 4318, timeout=30)
connection.request("POST", "/v1/traces", body, {"Content-Type": "application/json"})
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"""
PLACES = (("127.0.0.1", "ada", 2001), ("::1", "bob", 2002), ("/run/codex-telemetry/otlp.sock", "bob", 2002))


def request(name):
    """A request with one span, and its id."""
    identity, now = os.urandom(8).hex(), time.time_ns()
    span = {"traceId": os.urandom(16).hex(), "spanId": identity, "name": name, "kind": 1,
            "startTimeUnixNano": str(now - 1_000_000), "endTimeUnixNano": str(now)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "sender"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}), identity


class OTLPAtTheSystemAgent(SystemCase):
    def shown(self, identity, user):
        """The record as `tail` shows it to a user, None if it does not."""
        told = self.telemetry("tail", "--json", "-n", "1000", user=user).stdout
        return next((each for each in map(json.loads, told.splitlines()) if each.get("span_id") == identity), None)

    def test_the_first_request_of_any_user_starts_it_and_is_that_users(self):
        for place, user, uid in PLACES:
            with self.subTest(place=place, user=user):
                self.host.systemctl("stop", SERVICE)
                self.assertEqual(self.main_pid(), 0)
                body, identity = request("codex.tool")
                told = self.host.run(PYTHON, "-c", SENDER, place, body, user=user).stdout
                self.assertEqual(told.split()[0], "200", told)
                self.assertNotEqual(self.main_pid(), 0)
                found = eventually(lambda: self.shown(identity, user), 10, "its record is shown to the sender")
                self.assertEqual(found["peer"]["uid"], uid, found)
                # Over TCP there is no telling whose process it was; over a socket there is.
                self.assertEqual("pid" in found["peer"], place.startswith("/"), found)
                other = {"ada": "bob", "bob": "ada"}[user]
                self.assertIsNone(self.shown(identity, other), "another user sees it")
                entry = self.entries(1, f"CODEX_SPAN_ID={identity}")[0]
                self.assertEqual(entry["CODEX_PEER_UID"], str(uid))
                self.assertEqual(entry["CODEX_SERVICE"], "sender")


if __name__ == "__main__":
    unittest.main()
