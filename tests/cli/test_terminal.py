"""The line that changes, in a real terminal: a pty, with a program behind it."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.cli.terminal import CLEAR, Terminal, fitted, sentence
from meshtest.lib import wait
from meshtest.run.pulse import Beat

BEAT = Beat(seconds=83.4, requests=1200, failed=0, rate=149.7, p99=0.01234, versions={}, step="v2 at 25 %")


class TestSentence:
    def test_it_has_time_rate_failures_p99_and_step(self) -> None:
        assert sentence(BEAT) == "  1:23     150/s  0 failed  p99 12.3 ms    v2 at 25 %"

    def test_without_answers_there_is_no_p99(self) -> None:
        assert "p99" not in sentence(BEAT._replace(p99=None))


class TestFitted:
    @pytest.mark.parametrize(
        ("text", "cells", "shown"),
        [
            ("abc", 3, "abc"),
            ("abcd", 3, "abc"),
            ("部署部署", 5, "部署"),
            ("e\u0301tape", 2, "e\u0301t"),
            ("a\x1b[2Jb\r\nc", 9, "a[2Jbc"),
        ],
    )
    def test_cells_are_counted_and_controls_left_out(self, text: str, cells: int, shown: str) -> None:
        assert fitted(text, cells) == shown


class TestElsewhere:
    def test_where_there_is_no_terminal_only_lines_that_stay_are_written(self) -> None:
        out, beside = io.StringIO(), io.StringIO()
        with Terminal(out, beside) as terminal:
            terminal.beat(BEAT)
            terminal.say("done")
        assert (out.getvalue(), beside.getvalue()) == ("done\n", "")


class Screen:
    """The other end of a pty."""

    def __init__(self, columns: int = 80) -> None:
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.set_blocking(self.ours, False)
        self.seen = ""

    def read(self) -> str:
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.ours, 65536):
                self.seen += data.decode()
        return self.seen

    def shown(self) -> list[str]:
        """The lines, each as it was left."""
        lines = self.read().replace("\r\n", "\n").split("\n")
        return [re.sub(r"\x1b\[\d*m", "", line.rpartition(CLEAR)[2]) for line in lines]

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _clever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@contextlib.contextmanager
def on(screen: Screen) -> Iterator[Terminal]:
    with open(os.dup(screen.theirs), "w", encoding="utf-8") as stream, Terminal(stream, stream) as terminal:
        yield terminal


class TestInATerminal:
    def test_the_line_is_rewritten_and_gone_at_the_end(self, screen: Screen) -> None:
        with on(screen) as terminal:
            terminal.beat(BEAT)
            assert screen.shown()[-1] == sentence(BEAT)
            terminal.beat(BEAT._replace(step="v2 at 50 %"))
            assert screen.shown()[-1].endswith("v2 at 50 %")
            terminal.say("a line that stays")
        assert screen.shown() == ["a line that stays", ""]

    def test_it_is_never_wider_than_the_window(self) -> None:
        screen = Screen(columns=30)
        with on(screen) as terminal:
            terminal.beat(BEAT)
            assert screen.shown()[-1] == sentence(BEAT)[:29]
        screen.close()

    def test_failures_are_red(self, screen: Screen) -> None:
        with on(screen) as terminal:
            terminal.beat(BEAT._replace(failed=3))
            assert "\x1b[31m3 failed\x1b[0m" in screen.read()

    def test_but_not_with_no_color(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        with on(screen) as terminal:
            terminal.beat(BEAT._replace(failed=3))
            assert "3 failed" in screen.read()
            assert "\x1b[31m" not in screen.seen

    def test_a_dumb_terminal_is_left_alone(self, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "dumb")
        with on(screen) as terminal:
            terminal.beat(BEAT)
        assert screen.read() == ""


PROGRAM = """
import sys
from pathlib import Path
from meshtest.cli.terminal import Terminal
from meshtest.run import Run
from meshtest.run.pulse import Pulse
from meshtest.settings import Settings

with Run("r", Settings(reports=Path(sys.argv[1])), seed=1) as run, Terminal() as terminal:
    with terminal.following(Pulse(run.directory)):
        run.record("step.start", "the first step")
        input()
    terminal.say("the end")
"""


def test_a_run_is_followed_on_stderr_while_stdout_goes_elsewhere(tmp_path: Path, screen: Screen) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=screen.theirs,
        text=True,
    )
    try:
        wait.until(lambda: "the first step" in screen.read(), within=60, what=screen.read)
        out, _ = program.communicate("go on\n", timeout=60)
    finally:
        program.kill()
        program.wait()
    assert out == "the end\n"
    assert screen.shown() == [""], "nothing is left of the line"
