"""What an agent finds in its state directory and says: damage that nobody would meet, strange files, a cursor that
is none. Each once, with file and place; start and intake are never blocked by it."""

import sys
import time
import unittest

from faults import FaultCase
from host import eventually
from installed import ROOT

sys.path.insert(0, str(ROOT / "Tests/Witness"))
from counting import damage_report  # noqa: E402

QUIET = "exporters: {journald: {enabled: false}}\n"


class LogCare(FaultCase):
    def setUp(self):
        super().setUp()
        self.config = self.home / "config.yaml"
        self.config.write_text(QUIET)

    def fill(self):
        self.start("--config", self.config)
        one = self.produce(padding=2000, count=100)
        eventually(lambda: one.acked == 100, 20, "records come in")
        self.end_producers(one)
        self.stop()
        return one

    def test_damage_behind_all_cursors(self):
        self.fill()
        segment = next((self.state / "log").glob("*.segment"))
        content = bytearray(segment.read_bytes())
        content[len(content) // 3] ^= 1
        segment.write_bytes(content)
        damage = damage_report(str(self.state))["segments"][0]["damage"]
        self.assertEqual(len(damage), 1)
        place = f"{segment.name}:{damage[0]['start']}"
        # No exporter, no reader: the agent looks itself.
        self.start("--config", self.config)
        eventually(lambda: f"damaged bytes at {place} " in self.messages.read_text(), 15, "it is said")
        status = self.status()
        self.assertEqual(status["log"]["damaged_ranges"], 1)
        self.assertIn(place, status["log"]["damage"][0])
        copy = self.state / "quarantine" / f"{int(segment.stem)}-{damage[0]['start']}.bytes"
        self.assertEqual(copy.read_bytes(), content[damage[0]["start"]:damage[0]["end"]])
        self.stop()
        # Known: not told again, neither for an exporter that begins there.
        self.config.write_text("exporters: {journald: {start_at: beginning}}\n")
        self.start("--config", self.config)
        time.sleep(5)
        self.assertEqual(self.messages.read_text().count("damaged bytes at"), 1)
        self.stop()

    def test_an_end_in_the_midst_of_it(self):
        self.fill()
        self.start("--config", self.config)
        time.sleep(2.1)
        begun = time.monotonic()
        self.stop()
        self.assertLess(time.monotonic() - begun, 5)
        self.assertNotIn("damaged", self.messages.read_text())

    def test_a_stray_file_with_the_highest_number(self):
        self.fill()
        stray = self.state / "log/4278190079.segment"
        for _ in range(2):
            stray.write_bytes(b"stray" * 1000)
            self.start("--config", self.config)
            self.assertIn("damaged bytes at 4278190079.segment:0 (5000 bytes)", self.messages.read_text())
            self.assertFalse(stray.exists())
            self.assertTrue((self.state / "quarantine/4278190079-0.bytes").exists())
            one = self.produce(count=20)
            eventually(lambda: one.acked == 20, 20, "intake works")
            self.end_producers(one)
            self.assertEqual(self.status()["log"]["state"], "writing")
            self.stop()
            self.assert_all_there(one)

    def test_a_cursor_that_is_none(self):
        cursor = self.state / "cursors/journald.cursor"
        cursor.parent.mkdir(parents=True, mode=0o700)
        self.state.chmod(0o700)
        cursor.write_bytes(b"no cursor")
        self.start()
        told = f"the cursor {cursor} is damaged and has .bad behind its name now; it starts at the log's end"
        eventually(lambda: told in self.messages.read_text(), 10, "it is said")
        exporter = self.status()["exporters"][0]
        self.assertEqual(exporter["cursors_set_aside"], 1)
        self.assertEqual(cursor.with_name("journald.cursor.bad").read_bytes(), b"no cursor")
        self.stop()
        self.start()
        self.assertEqual(self.status()["exporters"][0]["cursors_set_aside"], 0)
        self.assertEqual(self.messages.read_text().count("the cursor"), 1)
        self.stop()


if __name__ == "__main__":
    unittest.main()
