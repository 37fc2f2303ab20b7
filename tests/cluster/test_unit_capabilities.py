"""A back end with no more than the systemd unit leaves it still ends Dovecot's sessions."""
import os
import pathlib
import re
import signal
import stat
import unittest

import harness
import test_backend_sessions

UNIT = harness.ROOT / "install" / "muster.service.in"


def capabilities():
    names = re.search(r"^CapabilityBoundingSet=(.+)$", UNIT.read_text(), re.M).group(1).split()
    return [name.removeprefix("CAP_").lower() for name in names]


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root has capabilities to give up")
    test_backend_sessions.setUpModule()
    demo = test_backend_sessions.demo
    program = demo.dir / "muster-as-in-the-unit"
    program.write_text(f"""#!/bin/sh
exec setpriv --no-new-privs --inh-caps=-all \\
    --bounding-set=-all,{",".join("+" + name for name in capabilities())} {demo.binary} "$@"
""")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    demo.binary = program  # also for nodes that a test starts anew
    for server in demo.sv:  # the nodes alone: Dovecot has a unit of its own
        demo.end_node(server, signal.SIGTERM)
        demo.start_node(server)


class WithTheUnitsCapabilities(test_backend_sessions.Ending):
    def test_it_runs_with_these_alone(self):
        for row in test_backend_sessions.demo.sv.values():
            status = pathlib.Path(f"/proc/{row['pid']}/status").read_text()
            effective = int(re.search(r"^CapEff:\s*(\w+)$", status, re.M).group(1), 16)
            self.assertEqual(effective.bit_count(), len(capabilities()))


if __name__ == "__main__":
    unittest.main()
