"""The programs that are compared, each in front of the site's fake server, with one worker, on the
proxies' core. A peer has the two ports a client may use and the processes whose cost counts."""

import os
import pwd
import subprocess

from . import processes


class Peer:
    """Started for one measurement: `with Nginx(site) as peer: …`."""

    name = ""
    log = "log"
    cores = processes.PROXY_CORE

    def __init__(self, site):
        self.site = site
        self.directory = site.directory / self.name
        self.directory.mkdir(exist_ok=True)
        self.running = []
        self.ports = {}

    def __enter__(self):
        try:
            self.start()
            for port in self.ports.values():
                processes.wait_for_port(port, self.running[-1])
        except RuntimeError as error:
            self.__exit__()
            raise RuntimeError(f"{error}: {self.last_words()}") from error
        return self

    def last_words(self):
        path = self.directory / self.log
        return path.read_text(encoding="utf-8")[-500:] if path.exists() else "it left no log"

    def __exit__(self, *_):
        for process in reversed(self.running):
            processes.stop(process)
        self.running = []

    def start(self):
        raise NotImplementedError

    def port(self, tls):
        return self.ports["tls" if tls else "plain"]

    def pids(self):
        return [process.pid for process in self.running]

    def choose_ports(self):
        self.ports = {"plain": processes.free_port(), "tls": processes.free_port()}

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def run(self, command, **options):
        log = open(self.directory / self.log, "a", encoding="utf-8")
        with log:
            options.setdefault("stdout", log)
            process = processes.start(command, self.cores, stderr=log, **options)
        self.running.append(process)
        return process


class BareForwarder(Peer):
    """The limit: moves bytes, knows no account."""

    name = "bare"

    def start(self):
        process = self.run(
            [self.site.tools / "bare_forwarder", "--server", self.site.server_address,
             "--certificate", self.site.certificate, "--key", self.site.key],
            stdout=subprocess.PIPE, text=True)
        self.ports = processes.announced_ports(process, 2)


class Haproxy(Peer):
    """TCP mode: also without account awareness."""

    name = "haproxy"

    def start(self):
        self.choose_ports()
        both = self.directory / "both.pem"
        both.write_bytes(self.site.certificate.read_bytes() + self.site.key.read_bytes())
        config = self.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9800
    log /dev/null local0
defaults
    mode tcp
    timeout connect 10s
    timeout client 30m
    timeout server 30m
frontend clients
    bind 127.0.0.1:{self.ports['plain']}
    bind 127.0.0.1:{self.ports['tls']} ssl crt {both}
    default_backend servers
backend servers
    server one {self.site.server_address}
""")
        self.run(["haproxy", "-db", "-q", "-f", config])


class Nginx(Peer):
    """The mail module, which asks an HTTP service for each login; that service's cost counts."""

    name = "nginx"

    def start(self):
        self.choose_ports()
        auth = self.run([self.site.tools / "auth_responder", "--server", self.site.server_address],
                        stdout=subprocess.PIPE, text=True)
        auth_port = processes.announced_ports(auth, 1)["port"]
        user = pwd.getpwuid(os.geteuid()).pw_name
        config = self.write("nginx.conf", f"""
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
{f'user {user};' if os.geteuid() == 0 else ''}
daemon off;
worker_processes 1;
pid {self.directory}/pid;
error_log {self.directory}/log warn;
events {{ worker_connections 19900; }}
mail {{
    auth_http 127.0.0.1:{auth_port}/;
    proxy on;
    timeout 30m;
    imap_capabilities IMAP4rev1 SASL-IR ID IDLE;
    ssl_certificate {self.site.certificate};
    ssl_certificate_key {self.site.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{ listen 127.0.0.1:{self.ports['plain']}; protocol imap; }}
    server {{ listen 127.0.0.1:{self.ports['tls']} ssl; protocol imap; }}
}}
""")
        self.run(["nginx", "-e", self.directory / "log", "-c", config])


class DovecotProxy(Peer):
    """imap-login in its high-performance mode, sending everybody to one host."""

    name = "dovecot"
    log = "start.log"

    def start(self):
        self.choose_ports()
        user = pwd.getpwuid(os.geteuid()).pw_name
        config = self.write("dovecot.conf", f"""
base_dir = {self.directory}/run
state_dir = {self.directory}/state
log_path = {self.directory}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{self.site.certificate}
ssl_key = <{self.site.key}
disable_plaintext_auth = no
{self.as_ordinary_user(user) if os.geteuid() != 0 else ''}
passdb {{
  driver = static
  args = nopassword=y proxy=y host=127.0.0.1 port={self.site.server_port}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.ports['plain']}
  }}
  inet_listener imaps {{
    port = {self.ports['tls']}
    ssl = yes
  }}
  service_count = 0
  process_min_avail = 1
  process_limit = 1
  client_limit = 19800
  vsz_limit = 0
}}
service auth {{
  client_limit = 19800
}}
service anvil {{
  client_limit = 19800
}}
""")
        self.run(["dovecot", "-F", "-c", config])

    @staticmethod
    def as_ordinary_user(user):
        return f"""
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {user}
service imap-login {{
  chroot =
}}
service anvil {{
  chroot =
}}
"""


PEERS = {peer.name: peer for peer in (BareForwarder, Haproxy, Nginx, DovecotProxy)}
