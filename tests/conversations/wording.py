"""Texts of steps: placeholders, escapes, patterns."""
import base64
import re

from conversation import plain

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9-]*)(?: ([^}]*))?\}")
ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|[rnt0s\\])")
ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"s": b" ", b"\\": b"\\"}
PIECE = re.compile(r"(\*|<[a-z]+>)")


def encode(text):
    return text.encode("utf-8", "surrogateescape")


def decode(raw):
    return raw.decode("utf-8", "surrogateescape")


def unescape(text):
    """`a\\r\\n`, `\\0`, `\\xff`, `\\s` (a space) as bytes."""
    def one(match):
        code = match.group(1)
        return bytes([int(code[1:], 16)]) if len(code) == 3 else ESCAPES[code]
    return ESCAPE.sub(one, encode(text))


def expand(text, values):
    """Replaces {plain NAME PASSWORD}, {base64 TEXT} and what `values` has. Other braces stay."""
    def one(match):
        name, argument = match.groups()
        if name == "plain":
            return plain(*(argument or "").split(" "))
        if name == "base64":
            return base64.b64encode(unescape(argument or "")).decode()
        return str(values[name]) if name in values else match.group()
    return PLACEHOLDER.sub(one, text)


def fill(text, captured):
    """For what is sent: <name> is what a pattern captured under that name."""
    return re.sub(r"<([a-z]+)>", lambda m: captured.get(m.group(1), m.group()), text)


def pattern(text, captured):
    """`*` is any text, except for IMAP's `* ` at the start; <name> captures a word."""
    start = ""
    if text.startswith("* "):
        start, text = re.escape("* "), text[2:]
    seen = set()

    def piece(part):
        if part == "*":
            return ".*"
        if not PIECE.fullmatch(part):
            return re.escape(part)
        name = part[1:-1]
        if name in captured:
            return re.escape(captured[name])
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return rf"(?P<{name}>\S+)"
    return re.compile(start + "".join(piece(p) for p in PIECE.split(text)), re.S)
