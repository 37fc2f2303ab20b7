"""Plays a conversation against a front end: servers first, then its clients in their order."""
import itertools
import socket
import time

import conversation as files
from fake_server import HOST, FakeServer
from player import PATIENCE, Client, Mismatch

DOMAIN = "example.org"
numbers = itertools.count(1)


class Stage:
    """One conversation's servers, clients and addresses. Passed to every player as its context."""

    def __init__(self, front_end, conversation):
        self.front_end = front_end
        self.certificates = front_end.certificates
        self.conversation = conversation
        self.number = next(numbers)
        self.log_start = len(front_end.log.lines)
        self.values = {"client": self.client_address("1")}
        self.servers = []
        self.clients = {}

    def client_address(self, which):
        """Every conversation has addresses of its own, so that limits do not mix."""
        if which == "server":
            return HOST
        first = 200 if which.startswith("balancer") else 16 + self.number // 200
        last = 1 if which == "balancer" else 10 + int(which)
        return f"127.{first}.{self.number % 200}.{last}"

    def expect_log(self, wanted, only=False):
        found = self.front_end.log.wait(wanted, self.log_start, PATIENCE)
        lines = self.front_end.log.lines[self.log_start:]
        if not found or only and sum(bool(wanted.search(line)) for line in lines) > 1:
            raise Mismatch(f"{'more than once' if found else 'not'} in the log:\n      " +
                           "\n      ".join(lines))

    def expect_no_log(self, unwanted):
        for line in self.front_end.log.lines[self.log_start:]:
            if unwanted.search(line):
                raise Mismatch("in the log: " + line)

    def server(self, name):
        return next(server for server in self.servers if server.name == name)

    # --- the state

    def marker(self):
        """A domain that tells this conversation's state from that of the one before."""
        return f"conversation{self.number}.test"

    def state_name(self, server):
        return f"{server}-{self.number}"  # health is remembered by name

    def start_servers(self):
        for section in self.conversation.of_kind("server"):
            server = FakeServer(section, files.service_of(section), self)
            self.servers.append(server)
            self.values[f"{server.name}-port"] = server.port

    def server_entries(self):
        entries = {}
        for server in self.servers:
            options = server.options
            dovecot = options.get("kind", "foreign") == "dovecot"
            entry = entries.setdefault(self.state_name(server.name), {
                "kind": "dovecot" if dovecot else "foreign", "host": HOST, "services": {},
                "introduce": options.get("introduce", "xclient" if dovecot else "none"),
                "tls_name": options.get("tls_name", "home.example.org")})
            if options.get("ca", "given") == "given":
                entry["ca"] = self.certificates.pem("ca")
            if "admin" in options:
                entry["admin"] = options["admin"]
            if "login" in options:
                entry["login"] = options["login"]
            self.front_end.kept_warm += int(options.get("cache", 0))
            if server.service == "lmtp":  # kept for the next message
                self.front_end.kept_warm += len(server.scripts)
            service = {"port": server.port, "tls": options.get("tls", "none"),
                       "cache": int(options.get("cache", 0))}
            if "log" in options:
                service["log"] = options["log"]
            if "capabilities" in options:
                service["capabilities"] = options["capabilities"].split(",")
            entry["services"][server.service] = service
        return entries

    def domain_entry(self, section, servers):
        options = section.options if section else {}
        entry = {"servers": servers}
        if "unknown" in options:
            entry["unknown_server"] = self.state_name(options["unknown"])
        if "case" in options:
            entry["case"] = options["case"]
        preferred = {}
        if "address" in options:
            preferred["addresses"] = [self.front_end.dedicated]
        if "tls_name" in options:
            preferred["tls_names"] = [options["tls_name"]]
        if preferred:
            entry["default_for"] = preferred
        return entry

    def declaration(self):
        servers = self.server_entries()
        domains = {DOMAIN: self.domain_entry(None, list(servers)), self.marker(): {"servers": []}}
        for section in self.conversation.of_kind("domain"):
            own = section.options.get("servers")
            own = [self.state_name(name) for name in own.split(",")] if own else list(servers)
            domains[section.words[0]] = self.domain_entry(section, own)
        accounts = {}
        for section in self.conversation.of_kind("account"):
            entry = {"home": self.state_name(section.options.get("home", "home"))}
            if "disabled" in section.words:
                entry["state"] = "disabled"
            accounts[section.words[0]] = entry
        if not accounts and servers:
            accounts[f"kate@{DOMAIN}"] = {"home": next(iter(servers))}
        aliases = {section.words[0]: {"to": section.options["to"].split(",")}
                   for section in self.conversation.of_kind("alias")}
        credentials = {self.state_name(server.name): {"user": "master", "password": "master-secret"}
                       for server in self.servers if server.options.get("login") == "master"}
        return {"muster": 1, "servers": servers, "domains": domains, "accounts": accounts,
                "aliases": aliases, "credentials": credentials}

    def declare(self):
        declaration = self.declaration()
        self.front_end.call("POST", "/v1/cluster/apply", declaration)
        # The front end's threads take a new picture of domains and servers a moment later.
        until = time.monotonic() + PATIENCE
        while "not ours" in (answer := self.front_end.ask(
                f"/v1/accounts/nobody@{self.marker()}/locate")).get("error", ""):
            if time.monotonic() > until:
                raise Mismatch(f"the front end does not learn its domains: {answer}")

    # --- the clients

    def connect(self, section):
        listener = section.words[0]
        name = section.options.get("name", listener)
        address, port = self.front_end.address_of(listener)
        source = self.client_address(section.options.get("from", "1"))
        sock = socket.create_connection((address, port), PATIENCE, (source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.values.update({"client": source, "client-port": sock.getsockname()[1],
                            "listener": address, "listener-port": port})
        player = Client(f"client {name}", sock, self)
        self.clients[name] = player
        return player

    def play(self):
        """Empty when all went as written; else what did not, and all that was said."""
        try:
            self.start_servers()
            self.declare()
            for server in self.servers:
                if len(server.scripts) > 1 or "checked" in server.words:
                    server.wait_for_check(PATIENCE)
            self.log_start = len(self.front_end.log.lines)
            for section in self.conversation.of_kind("client"):
                name = section.options.get("name", section.words[0])
                again = "again" in section.words
                player = self.clients[name] if again else self.connect(section)
                player.run(section.steps)
            for server in self.servers:
                if trouble := server.verdict(PATIENCE):
                    return self.failure(trouble)
            return ""
        except Mismatch as error:
            return self.failure(str(error))
        finally:
            self.close()

    def failure(self, what):
        stories = [player.story() for player in self.clients.values()]
        stories += [server.story() for server in self.servers]
        log = self.front_end.log.lines[self.log_start:]
        return "\n".join([what, "", *stories, "log:", *log[-40:]])

    def close(self):
        for player in self.clients.values():
            player.close()
        for server in self.servers:
            server.close()
        for server in self.servers:
            server.join()
