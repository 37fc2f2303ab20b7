"""A full disk: said, refused clearly, and over when there is room again."""
import os
import re
import subprocess
import unittest

from nodes_lab import Lab, wait_for


def alarms(node):
    return " ".join(row["text"] for row in node.ask("status")["alarms"])


@unittest.skipUnless(os.geteuid() == 0, "a small tmpfs can be mounted by root alone")
class FullDisk(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def small_disk(self, node):
        node.state.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "none", node.state],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", node.state], check=True)
        self.addCleanup(node.stop)

    def fill(self, node):
        with open(node.state / "filler", "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass

    def add_until_refused(self, master, text):
        for number in range(3000):
            code, _, err = master.cli("setting", "set", f"s{number}", text)
            if code != 0:
                return err
        self.fail("the disk never got full")

    def test_a_master_says_so_and_goes_on_when_there_is_room(self):
        node = self.lab.node("m1", ["master"])
        self.small_disk(node)
        node.do("cluster", "init")
        node.start()
        self.fill(node)
        err = self.add_until_refused(node, '"' + "y" * 100_000 + '"')
        self.assertTrue(err)
        wait_for(lambda: re.search("level=error.*event=state_unwritten.*make room",
                                   node.log.read_text()))
        self.assertRegex(alarms(node), "could not be written, make room.*full")
        (node.state / "filler").unlink()
        wait_for(lambda: node.cli("domain", "add", "after.dom")[0] == 0)
        self.assertNotIn("could not be written", alarms(node))
        self.assertIn("event=state_written_again", node.log.read_text())

    def test_a_front_end_whose_copy_cannot_be_written_says_so(self):
        master = self.lab.master()
        node = self.lab.node("fe1", ["frontend"])
        self.small_disk(node)
        token = master.ask("token", "add", "--scope", "frontend")
        node.do("cluster", "join", "--master", master.cluster, "--pin", token["pin"],
                "--token-stdin", stdin=token["token"] + "\n")
        node.start()
        wait_for(lambda: node.ask("status")["nodes"][0]["replica"]["phase"] == "following")
        self.fill(node)
        for number in range(60):
            master.do("setting", "set", f"s{number}", '"' + "y" * 100_000 + '"')
        wait_for(lambda: re.search("follower_waits.*full", node.log.read_text()))
        wait_for(lambda: "full" in alarms(node))
        (node.state / "filler").unlink()
        wait_for(lambda: node.ask("status")["nodes"][0]["replica"]["phase"] == "following", 30)
        wait_for(lambda: "full" not in alarms(node))


if __name__ == "__main__":
    unittest.main()
