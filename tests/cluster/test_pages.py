"""Pages that are made from the program equal what it says; links between pages lead somewhere; what
tables name exists, and what operators may find in the log is explained."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ["MUSTER_BINARY"]


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class MadePages(unittest.TestCase):
    maxDiff = 2000

    def check(self, page, *command):
        self.assertEqual((ROOT / page).read_text(), output_of(*command),
                         f"make it anew: {' '.join(command)} > {page}")

    def test_reference(self):
        self.check("docs/reference.md", PROGRAM, "reference")

    def test_sample_node_file(self):
        self.check("docs/muster.toml.sample", PROGRAM, "sample-config")

    def test_manual_of_the_node_file(self):
        self.check("docs/man/muster.toml.5", PROGRAM, "manual")

    def test_manual_of_the_commands(self):
        self.check("docs/man/muster.1", sys.executable, str(ROOT / "tools/make_cli_manual.py"),
                   PROGRAM)


class Links(unittest.TestCase):
    def test_every_link_between_pages_leads_to_a_file(self):
        pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        for page in pages:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())


class Protocols(unittest.TestCase):
    def known_tests(self):
        names = {path.stem for path in (ROOT / "tests/conversations").glob("*.conversation")}
        for path in (ROOT / "tests/unit").glob("*/*.cpp"):
            found = re.findall(r"^TEST(?:_[FP])?\((\w+),\s*(\w+)\)", path.read_text(), re.M)
            names.update(f"{suite}.{name}" for suite, name in found)
        for path in (ROOT / "tests/cluster").glob("test_*.py"):
            found = re.findall(r"^    def (test_\w+)", path.read_text(), re.M)
            names.update(f"{path.stem}.{name}" for name in found)
        return names

    def test_every_test_that_a_table_names_exists(self):
        known = self.known_tests()
        for page in sorted((ROOT / "docs/protocols").glob("*.md")):
            for row in re.findall(r"^\|.*\|$", page.read_text(), re.M):
                for name in re.findall(r"`([^`]+)`", row.rstrip("|").rsplit("|", 1)[1]):
                    with self.subTest(page=page.name, name=name):
                        self.assertTrue(name in known, "no such test")


class LogEvents(unittest.TestCase):
    def events_to_look_at(self):
        """Names of all events that the sources log as a warning or an error."""
        names = set()
        for path in (ROOT / "src").rglob("*.cpp"):
            for call in re.findall(r"\blog::(?:warning|error)\(([^{;]*)|\blog::write\(([^{;]*)",
                                   path.read_text()):
                found = re.findall(r'"([^"]*)"', "".join(call))
                self.assertTrue(found, f"{path}: an event without a literal name")
                names.update(found)
        return names

    def test_the_operator_guide_explains_each_warning_and_error(self):
        guide = (ROOT / "docs/operator-guide.md").read_text()
        table = guide[guide.index("## Log lines"):guide.index("## Messages")]
        explained = {name for row in re.findall(r"^\| (.*?) \|", table, re.M)
                     for name in re.findall(r"`([^`]+)`", row)}
        self.assertEqual(self.events_to_look_at() - explained, set())


class Messages(unittest.TestCase):
    def test_each_message_that_the_guide_explains_is_one_of_the_program(self):
        source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.[ch]*"))
        source = re.sub(r'"\s*"', "", source.replace('\\"', "\0")).replace("\0", '"')
        guide = (ROOT / "docs/operator-guide.md").read_text()
        table = guide[guide.index("## Messages"):guide.index("## Upgrading")]
        for row in re.findall(r"^\| (`.*?) \|", table, re.M):
            for part in re.split(r"[`…]+| / |, ", row):
                with self.subTest(message=row):
                    self.assertTrue(part.strip() in source, f"nowhere: {part}")


class Commands(unittest.TestCase):
    """Commands and options that pages name are understood by the program."""

    def commands(self):
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            text = page.read_text().replace("\\\n", " ")
            quoted = re.findall(r"`([^`\n]+)`", text)
            for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
                quoted += block.splitlines()
            for line in quoted:
                found = re.search(r"(?:^|dev )(muster [^#|<>]*)", line)
                if found:
                    yield page.name, found[1].split()[1:]

    def help_of(self, verbs, known={}):
        key = tuple(verbs)
        if key not in known:
            done = subprocess.run([PROGRAM, *verbs, "--help"], capture_output=True, text=True)
            known[key] = done.stdout if done.returncode == 0 else ""
        return known[key]

    def test_they_are_in_the_help(self):
        for page, words in self.commands():
            plain = [word for word in words if not word.startswith("-")]
            verbs = []
            for word in plain:  # values of options may stand before the verb
                section = self.help_of(verbs).partition("Subcommands:")[2]
                if re.search(rf"^  {re.escape(word)}\b", section, re.M):
                    verbs.append(word)
            texts = self.help_of([]) + self.help_of(verbs)
            with self.subTest(page=page, command=" ".join(words)):
                self.assertTrue(verbs or words[0].startswith("-"), "no such command")
                self.assertFalse(verbs and "Subcommands:" in self.help_of(verbs), "no such verb")
                for option in re.findall(r"(?:^| )(--[a-z-]+)", " ".join(words)):
                    self.assertTrue(option in texts, f"no such option: {option}")


if __name__ == "__main__":
    unittest.main()
