"""What every peer of one mail run shares: a site whose server takes mail, and the SMTP load. Mail
servers are many processes, so nothing is pinned: peer, load and server share all cores."""

import json
import os
import subprocess
import time

from . import processes
from .site import DOMAIN, Site


class MailSite(Site):
    imap = None
    imap_port = 0

    def start_server(self):
        self.load_cores = os.sched_getaffinity(0)
        self.server = processes.start([self.tools / "mail_sink"], self.load_cores,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = processes.announced_ports(self.server, 2)
        self.lmtp_port, self.server_port = ports["lmtp"], ports["smtp"]

    def start_imap(self):
        """The site's server takes logins, too."""
        self.imap = processes.start([self.tools / "fake_server"], self.load_cores,
                                    stdout=subprocess.PIPE, text=True)
        self.imap_port = processes.announced_ports(self.imap, 1)["port"]

    def __exit__(self, *details):
        if self.imap:
            processes.stop(self.imap)
        super().__exit__(*details)

    def arrived(self):
        """What the server took so far: messages, bytes, and when the first and the last came."""
        self.server.stdin.write("\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def wait_for_messages(self, count, seconds=120):
        """Until the server has taken `count` messages in all; what it took by then."""
        deadline = time.monotonic() + seconds
        while (taken := self.arrived())["messages"] < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {taken['messages']} of {count} messages were delivered")
            time.sleep(0.05)
        return taken

    def start_mail(self, verb, port, count, **options):
        """Starts `mail_load`; its standard output carries one line of JSON."""
        options = {"users": self.users, "domain": DOMAIN, **options}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return processes.start(
            [self.tools / "mail_load", verb, "--target", f"127.0.0.1:{port}", "--count", count,
             *words], self.load_cores, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def fill_queue(self, queue, messages):
        """A queue of Muster's node, for the accounts of this site."""
        subprocess.run([self.tools / "fill_queue", "--queue", queue, "--domain", DOMAIN,
                        "--accounts", str(self.users), "--messages", str(messages)], check=True)

    def mail(self, verb, port, count, **options):
        """Runs `mail_load` to its end; all it sent must have been answered as it should."""
        process = self.start_mail(verb, port, count, **options)
        return self.outcome(process, count, process.communicate()[0])
