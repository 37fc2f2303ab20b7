"""Commands at a terminal of their own, as an operator types them."""
import os
import pty
import re
import select
import signal
import time


def on_terminal(command, answers=(), typed=""):
    """Runs a command at a terminal of its own: `typed` stands there from the beginning, and each question gets the next
    of `answers`. Returns its exit status and what it said."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    said, asked, end, answers = "", 0, time.monotonic() + 60, list(answers)
    os.write(terminal, typed.encode())
    while select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        try:
            said += os.read(terminal, 4096).decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # nobody has it open any more
            break
        if answers and re.search(r"[:?\]] ?$", said[asked:]):
            asked = len(said)
            os.write(terminal, (answers.pop(0) + "\n").encode())
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said
