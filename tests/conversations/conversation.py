"""The format of *.conversation files: text to sections of steps. README.md describes it."""
import base64
import dataclasses
import pathlib
import re

WORD = re.compile(r'(\w[\w.-]*)=("[^"]*"|\S*)')


class Malformed(Exception):
    """The file is no conversation; the test fails without starting anything."""


@dataclasses.dataclass
class Step:
    where: str  # "FILE:LINE"
    verb: str
    text: str


@dataclasses.dataclass
class Section:
    where: str
    kind: str  # settings, domain, account, alias, server, client
    words: list
    options: dict
    steps: list


@dataclasses.dataclass
class Conversation:
    name: str
    purpose: str
    settings: tuple  # of (option of the node file, value in TOML)
    sections: list

    def of_kind(self, kind):
        return [section for section in self.sections if section.kind == kind]


# What a session says that is not the subject of its file. Written as in a file.
LOGINS = {
    ("client", "imap"): """
S: * OK *
C: login LOGIN "{user}" "{password}"
S: login OK *
""",
    ("client", "pop3"): """
S: +OK *
C: USER {user}
S: +OK*
C: PASS {password}
S: +OK *
""",
    ("client", "sieve"): """
until OK *
C: AUTHENTICATE "PLAIN" "{plain}"
S: OK *
""",
    ("foreign", "imap"): """
S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] Server ready.
C: <login> AUTHENTICATE PLAIN {plain}
S: <login> OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] Logged in
""",
    ("dovecot", "imap"): """
S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN ID] Server ready.
C: <id> ID (*)
C: <login> AUTHENTICATE PLAIN {plain}
S: * ID NIL
S: <id> OK ID completed.
S: <login> OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] Logged in
""",
    ("foreign", "pop3"): """
S: +OK Server ready.
C: CAPA
S: +OK
S: SASL PLAIN
S: .
C: AUTH PLAIN {plain}
S: +OK Logged in.
""",
    ("dovecot", "pop3"): """
S: +OK [XCLIENT] Server ready.
C: XCLIENT *
C: AUTH PLAIN {plain}
S: +OK Updated
S: +OK Logged in.
""",
    ("foreign", "sieve"): """
S: "IMPLEMENTATION" "Some server"
S: "SASL" "PLAIN"
S: OK "Server ready."
C: AUTHENTICATE "PLAIN" "{plain}"
S: OK "Logged in."
""",
    ("dovecot", "sieve"): """
S: "IMPLEMENTATION" "Some server"
S: "SASL" "PLAIN"
S: OK "Server ready."
C: XCLIENT *
C: AUTHENTICATE "PLAIN" "{plain}"
S: OK "Updated."
S: OK "Logged in."
""",
}


def plain(*parts):
    """The SASL message PLAIN in base64; of (name, password) or (authzid, authcid, password)."""
    full = parts if len(parts) == 3 else ("", *parts)
    return base64.b64encode("\0".join(full).encode()).decode()


def steps_of(text, where):
    steps = []
    for line in text.strip().splitlines():
        verb, _, rest = line.strip().partition(" ")
        steps.append(Step(where, verb, rest))
    return steps


def service_of(section):
    """imap, pop3, sieve … of "imaps", "imap-clear" …"""
    found = re.match(r"imap|pop3|sieve|smtp|submission|lmtp", section.words[0])
    if not found:
        raise Malformed(f"{section.where}: no such service or listener: {section.words[0]}")
    return found.group()


def login_steps(section, step):
    """The step `login NAME PASSWORD`, written out for this section's side and protocol."""
    user, _, password = step.text.partition(" ")
    side = "client" if section.kind == "client" else section.options.get("kind", "foreign")
    script = LOGINS[side, service_of(section)]
    for name, value in (("user", user), ("password", password), ("plain", plain(user, password))):
        script = script.replace("{%s}" % name, value)
    return steps_of(script, step.where)


def make_section(where, line):
    kind, _, rest = line.partition(" ")
    named = ""
    if kind in ("domain", "account", "alias"):  # names may look like options
        named, _, rest = rest.partition(" ")
    options = {name: value.strip('"') for name, value in WORD.findall(rest)}
    return Section(where, kind, [named] * bool(named) + WORD.sub("", rest).split(), options, [])


def parse_step(line, where, section):
    verb, _, rest = line.strip().partition(" ")
    step = Step(where, verb, rest)
    return login_steps(section, step) if verb == "login" else [step]


def parse(path):
    path = pathlib.Path(path)
    purpose, settings, sections = [], {}, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        where = f"{path.name}:{number}"
        if line.startswith("#"):
            if not sections:
                purpose.append(line[1:].strip())
        elif line.startswith(" "):
            if not sections:
                raise Malformed(f"{where}: a step before the first section")
            if sections[-1].kind == "settings":
                name, _, value = line.strip().partition(" = ")
                settings[name] = value
            else:
                sections[-1].steps += parse_step(line, where, sections[-1])
        elif line.strip():
            sections.append(make_section(where, line))
    if not purpose:
        raise Malformed(f"{path.name}: begins with no comment that says what it shows")
    for section in sections:
        if section.kind not in ("settings", "domain", "account", "alias", "server", "client"):
            raise Malformed(f"{section.where}: no such section: {section.kind}")
    return Conversation(path.stem, " ".join(purpose), tuple(sorted(settings.items())), sections)
