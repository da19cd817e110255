"""A client on a real terminal: starts it on a pty, types, and reads what a person would see."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from .engine import SLOW


class Terminal:
    def __init__(self, engine, program, *arguments, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen([program, *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, env=engine.env,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def announce(self):
        """Has the program look at the size once more."""
        self.process.send_signal(signal.SIGWINCH)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, text, timeout=60, nudge=None):
        """Reads until `text` was seen, calling `nudge` whenever nothing comes; returns everything up to its end and forgets it."""
        timeout *= SLOW
        wanted = text.encode()
        deadline = time.monotonic() + timeout
        while wanted not in self.seen:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self.master], [], [], min(left, 0.5) if nudge else left)
            if not ready and nudge and left:
                nudge()
                continue
            if not ready:
                raise AssertionError(f"not seen in {timeout} s: {text!r}; seen: {self.seen!r}")
            try:
                data = os.read(self.master, 65536)
            except OSError:
                data = b""
            if not data:
                raise AssertionError(f"the terminal ended before {text!r}; seen: {self.seen!r}")
            self.seen += data
        end = self.seen.index(wanted) + len(wanted)
        head, self.seen = self.seen[:end], self.seen[end:]
        return head.decode(errors="replace")

    def wait(self, timeout=60):
        """The exit code; drains the terminal meanwhile."""
        timeout *= SLOW
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"the client did not end in {timeout} s; seen: {self.seen!r}")
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if ready:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    time.sleep(0.01)
        os.close(self.master)
        return self.process.returncode
