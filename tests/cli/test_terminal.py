"""The chat, through a pseudo-terminal."""

import errno
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest
from conftest import BINARY, HAS_BRIDGE


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, lamina, *args, env=None):
        self.fd, child = pty.openpty()
        self.process = subprocess.Popen(
            [BINARY, *map(str, args)],
            stdin=child, stdout=child, stderr=child, close_fds=True, start_new_session=True,
            env={**lamina.env, "TERM": "xterm", **(env or {})},
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(child)
        self.text = ""

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, timeout=60):
        """Waits for a pattern in what came since the last match; returns what came before it."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.text)
            if found:
                before = self.text[: found.start()]
                self.text = self.text[found.end():]
                return before
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} is not in {self.text!r}"
            if not select.select([self.fd], [], [], left)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError as error:
                assert error.errno == errno.EIO
                data = b""
            assert data, f"ended before {pattern!r}: {self.text!r}"
            self.text += data.decode(errors="replace")

    def wait(self):
        code = self.process.wait(timeout=30)
        os.close(self.fd)
        return code


@pytest.fixture
def chat(lamina, smollm2):
    args = ["run", smollm2, "--temperature", "0", "--stats"]
    if not HAS_BRIDGE:
        args.append("--raw")
    terminals = []

    def start(*more, env=None):
        terminals.append(Terminal(lamina, *args, *more, env=env))
        terminals[-1].expect(">>> ")
        return terminals[-1]

    yield start
    for terminal in terminals:
        if terminal.process.poll() is None:
            terminal.process.kill()


def test_a_chat(chat, lamina):
    terminal = chat("--max-tokens", "20")
    terminal.send("What is the capital of France? Answer in one sentence.\r")
    terminal.expect("Paris")
    terminal.expect("tokens/s")
    terminal.expect(">>> ")
    terminal.send("/help\r")
    terminal.expect("/clear")
    terminal.expect(">>> ")
    terminal.send("/set temperature 7e9\r")
    terminal.expect("temperature")
    terminal.expect(">>> ")
    terminal.send("/nothing\r")
    terminal.expect("no command /nothing")
    terminal.expect(">>> ")
    terminal.send("\x04")
    assert terminal.wait() == 0
    history = lamina.home / "state" / "lamina" / "history"
    assert "What is the capital of France?" in history.read_text()
    assert history.stat().st_mode & 0o777 == 0o600


def test_the_second_turn_does_not_prefill_the_first(chat):
    if not HAS_BRIDGE:
        pytest.skip("built without chat templates")
    terminal = chat("--max-tokens", "12")
    terminal.send("My name is Ada.\r")
    terminal.expect(r"prompt \d+ tokens in")
    terminal.expect(">>> ")
    terminal.send("What is my name?\r")
    terminal.expect(r"prompt \d+ tokens \((\d+) known\)")
    terminal.expect(">>> ")
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_a_full_context(chat):
    if not HAS_BRIDGE:
        pytest.skip("built without chat templates")
    terminal = chat("--ctx", "160", "--max-tokens", "-1")
    terminal.send("Count from 1 to 1000, one number per line.\r")
    terminal.expect("the context of 160 tokens is full: the answer ends here")
    terminal.expect(">>> ")
    terminal.send("/set temperature 0\r")
    terminal.expect(">>> ")
    # A message that no context holds is refused with both numbers and forgets nothing.
    terminal.send("word " * 200 + "\r")
    terminal.expect(r"the prompt has 2\d\d tokens and the context holds 160")
    terminal.expect(">>> ")
    terminal.send("What is the capital of France?\r")
    terminal.expect("the oldest exchange is forgotten")
    terminal.expect("tokens/s")
    terminal.expect(">>> ")
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(chat):
    terminal = chat()
    terminal.send("Count from 1 to 1000, one number per line.\r")
    terminal.expect(r"\r\n.+")
    time.sleep(0.3)
    terminal.send("\x03")
    terminal.expect("stopped")
    terminal.expect(">>> ")
    terminal.send("\x03")
    terminal.expect(r"/exit leaves")
    terminal.expect(">>> ")
    terminal.send("/exit\r")
    assert terminal.wait() == 0


def test_many_ctrl_c_stop_the_answer_and_not_the_program(chat, lamina):
    terminal = chat()
    terminal.send("Count from 1 to 1000, one number per line.\r")
    terminal.expect("2004l")
    for _ in range(20):  # From before the first token on.
        terminal.send("\x03")
        time.sleep(0.01)
    terminal.expect(">>> ")
    terminal.send("/help\r")
    terminal.expect("/clear")
    assert "Count from" in (lamina.home / "state" / "lamina" / "history").read_text()


def test_a_killed_chat_leaves_the_terminal_usable(chat):
    terminal = chat()
    lines = termios.tcgetattr(terminal.fd)[3]
    assert not lines & termios.ECHO
    terminal.process.terminate()
    terminal.expect(re.escape("\x1b[?2004l"))
    assert terminal.process.wait(timeout=30) == -signal.SIGTERM


def test_a_terminal_without_escape_sequences(chat):
    terminal = chat("--max-tokens", "4", env={"TERM": "dumb"})
    terminal.send("Repeat \\\nthis\n")
    before = terminal.expect("tokens/s")
    assert "... " in before and "\x1b" not in before
    terminal.expect(">>> ")
    terminal.send("\x04")
    assert terminal.wait() == 0


def test_ctrl_c_ends_a_single_answer(lamina, smollm2):
    terminal = Terminal(lamina, "run", smollm2, "Numbers: 1 2 3", "--raw", "--temperature", "0")
    terminal.expect("4")
    terminal.send("\x03")
    assert terminal.wait() == 1


def test_several_lines(chat):
    terminal = chat("--max-tokens", "8")
    terminal.send('"""Repeat:\r')
    terminal.expect(r"\.\.\. ")
    terminal.send('apple"""\r')
    terminal.expect("tokens/s")
    terminal.expect(">>> ")
    terminal.send("\x1b[A")  # The history has it as one entry of two lines.
    terminal.expect('apple"""')
    terminal.send("\x15\x7f\x15\r\x04")
    terminal.send("\x04")


@pytest.mark.parametrize("env, colored", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color(chat, env, colored):
    terminal = chat("--max-tokens", "4", env=env)
    terminal.send("Hello\r")
    before = terminal.expect("tokens/s")
    assert ("\x1b[2m" in before) == colored
    terminal.expect(">>> ")
    terminal.send("\x04")
    assert terminal.wait() == 0
