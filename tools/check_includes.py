#!/usr/bin/python3
"""Holds every #include of src/ against the order of its folders; exits 1 and names each breach.

A folder may include itself and the folders that stand before it in ORDER (ARCHITECTURE.md, "The
house"). Asio, Beast, OpenSSL, libcurl and libunbound may be included by net/*.cpp only (base may
use OpenSSL's libcrypto), SQLite by state/*.cpp only.
"""
import pathlib
import re
import sys

ORDER = ["base", "net", "wire", "state", "cluster", "queue", "frontend", "delivery", "mx",
         "backend", "admin"]
# wire knows no I/O: of what stands before it, only base.
EXCEPT = {"wire": {"net"}}

def inside(path, *folders):
    """True for what only a folder's own .cpp files see: these, and its `*_impl.h`."""
    return path.parent.name in folders and (path.suffix == ".cpp" or path.stem.endswith("_impl"))


FENCED = [
    (re.compile(r"^(boost/|asio)"), lambda path: inside(path, "net")),
    (re.compile(r"^curl/"), lambda path: inside(path, "net")),
    (re.compile(r"^unbound"), lambda path: inside(path, "net")),
    (re.compile(r"^openssl/"), lambda path: inside(path, "net", "base")),
    (re.compile(r"^sqlite3"), lambda path: inside(path, "state")),
    (re.compile(r"_impl\.h$"), lambda path: path.suffix == ".cpp" or path.stem.endswith("_impl")),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def breaches(src):
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        folder = path.relative_to(src).parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(2)
            for pattern, allowed in FENCED:
                if pattern.match(target) and not allowed(path):
                    yield f"{path}:{number}: {target} is fenced in elsewhere"
            top = target.split("/")[0]
            if match.group(1) != '"' or top not in ORDER or folder not in ORDER:
                continue
            if ORDER.index(top) > ORDER.index(folder) or top in EXCEPT.get(folder, ()):
                yield f"{path}:{number}: {folder}/ may not include {target}"


def main():
    found = list(breaches(pathlib.Path(sys.argv[1])))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
