"""A terminal as a picture: runs a command on a terminal of its own, and writes what stands there at the end as an SVG to standard output.

    python3 scripts/terminal-svg.py --until "epoch 14:" -- gengs-vae train > docs/training.svg

With `--until TEXT` the picture is that of the moment at which TEXT has been shown, and the command goes on to its end.
Lines that are longer than the terminal is wide go on in the next. Of the control sequences it knows those that move the
cursor and erase, which is what progress bars need.
"""

import argparse
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from html import escape

SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\r|\n|\x1b.|[^\x1b\r\n]+", re.DOTALL)


class Screen:
    """Lines of text and a cursor."""

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0

    def feed(self, text):
        for match in SEQUENCE.finditer(text):
            piece, argument, letter = match.group(0), match.group(1), match.group(2)
            number = int(argument) if argument and argument.isdigit() else None
            if piece == "\r":
                self.column = 0
            elif piece == "\n":
                self.move(1)
            elif letter == "A":
                self.move(-(number or 1))
            elif letter == "B":
                self.move(number or 1)
            elif letter == "K":
                self.erase(number or 0)
            elif letter == "J":
                self.erase(0)
                del self.lines[self.row + 1 :]
            elif not piece.startswith("\x1b"):
                self.write(piece)

    def move(self, rows):
        self.row = max(0, self.row + rows)
        while len(self.lines) <= self.row:
            self.lines.append("")

    def erase(self, which):
        line = self.lines[self.row]
        self.lines[self.row] = {0: line[: self.column], 1: " " * self.column + line[self.column :], 2: ""}[which]

    def write(self, text):
        while text:
            if self.column == self.columns:
                self.move(1)
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            piece, text = text[: self.columns - self.column], text[self.columns - self.column :]
            self.lines[self.row] = line[: self.column] + piece + line[self.column + len(piece) :]
            self.column += len(piece)


def run(command, columns, until):
    """The screen's lines when `until` has been shown, or else at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, close_fds=True)
    os.close(theirs)
    screen, kept, waiting = Screen(columns), None, b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:
            break
        if not read:
            break
        waiting += read
        try:
            text, waiting = waiting.decode(), b""
        except UnicodeDecodeError:
            continue
        screen.feed(text)
        # The bar is drawn again after the line: the picture shows both.
        if kept is None and until and any(until in line for line in screen.lines[:-1]) and screen.lines[-1].strip():
            kept = list(screen.lines)
    if process.wait() != 0:
        sys.exit(f"{shlex.join(command)} ended with {process.returncode}")
    return kept or screen.lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--columns", type=int, default=112)
    parser.add_argument("--until", help="text at whose appearance the picture is taken")
    parser.add_argument("--rows", type=int, default=16, help="lines that are shown, from the last")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    lines = [line.rstrip() for line in run(options.command, options.columns, options.until)]
    while lines and not lines[-1]:
        lines.pop()
    shown = shlex.join([os.path.basename(options.command[0]), *options.command[1:]])
    lines = [f"$ {shown}"] + lines[-options.rows :]
    width, height = 24 + round(7.83 * options.columns), 52 + 19 * len(lines)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">')
    print(f'<rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>')
    for number, colour in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
        print(f'<circle cx="{20 + 20 * number}" cy="18" r="6" fill="{colour}"/>')
    print('<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13" fill="#e6edf3">')
    for number, line in enumerate(lines):
        print(f'<text x="12" y="{52 + 19 * number}" xml:space="preserve">{escape(line)}</text>')
    print("</g>\n</svg>")


main()
