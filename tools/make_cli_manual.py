#!/usr/bin/python3
"""Prints docs/man/muster.1 from the program's own help: tools/make_cli_manual.py PROGRAM."""

import re
import subprocess
import sys

HEAD = """.TH MUSTER 1 "" "Muster" "Muster"
.SH NAME
muster \\- one address for many mail servers
.SH SYNOPSIS
.B muster
.RI [ OPTIONS ]
.I COMMAND
.RI [ ARGUMENTS ]
.SH DESCRIPTION
Runs a node of a cluster of mail servers
.RB ( "muster serve" )
and administers the cluster. Commands talk to a running node through its admin socket, or to
another node with
.BR \\-\\-api .
"""

TAIL = """.SH EXIT STATUS
0: done. 1: refused or failed; what is wrong stands on standard error. 2: wrong usage.
.SH ENVIRONMENT
.TP
.B MUSTER_API
Socket or URL of the API, as with
.BR \\-\\-api .
.SH FILES
.TP
.I /etc/muster/muster.toml
The node file.
.TP
.I /var/lib/muster/admin.sock
Where commands find the node.
.SH SEE ALSO
.BR muster.toml (5),
.BR dovecot (1)
"""


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def help_of(program, words):
    done = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def rows(lines, title):
    """The pairs of a section of the help; a long first column stands on a line of its own."""
    found, inside = [], False
    for line in lines:
        if not line.startswith(" "):
            inside = line.startswith(title)
        elif inside and line.startswith("   "):
            found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
        elif inside:
            left, _, right = line.strip().partition("  ")
            found.append([left, right.strip()])
    return [row for row in found if not row[0].startswith("-h,")]


def entries(pairs):
    return "".join(f".TP\n.B {roff(left)}\n{roff(right)}\n" for left, right in pairs)


def verb(program, words):
    lines = help_of(program, words)
    below = rows(lines, "Subcommands:")
    if below:
        return "".join(verb(program, [*words, name]) for name, _ in below)
    places = [left.split()[0] + ("..." if "..." in left else "")
              for left, _ in rows(lines, "Positionals:")]
    text = f".SS muster {roff(' '.join([*words, *places]))}\n{roff(lines[0])}.\n"
    return text + entries(rows(lines, "Options:") + rows(lines, "Fields"))


def main():
    program = sys.argv[1]
    top = help_of(program, [])
    page = HEAD + ".SH OPTIONS\nThey may stand anywhere in the line.\n" + entries(rows(top, "Options:"))
    page += ".SH COMMANDS\n" + "".join(verb(program, [name]) for name, _ in rows(top, "Subcommands:"))
    sys.stdout.write(re.sub(r"\n{2,}", "\n", page + TAIL))


if __name__ == "__main__":
    main()
