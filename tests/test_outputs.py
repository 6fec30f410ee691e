"""A process's own words, apart from what is printed below Python; and a terminal that goes while it speaks."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from bissl_ray import outputs

APART = """
import os, sys
from bissl_ray import outputs
outputs.separate()
assert outputs.are_separate() and not set(outputs.numbers()) & {{1, 2}}
file = os.open({file!r}, os.O_WRONLY | os.O_CREAT)
print("ours")
with outputs.libraries_into(file):
    os.write(1, b"theirs\\n")
    os.write(2, b"theirs too\\n")
    print("ours again")
    print("to be seen", file=sys.stderr)
os.write(1, b"theirs, later\\n")
outputs.hush()
print("to nobody")
os.write(2, b"to nobody")
"""


def test_what_is_printed_below_python_goes_elsewhere(tmp_path: Path) -> None:
    program = APART.format(file=str(tmp_path / "log"))
    done = subprocess.run([sys.executable, "-u", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "ours\nours again\ntheirs, later\n" and done.stderr == "to be seen\n"
    assert (tmp_path / "log").read_text() == "theirs\ntheirs too\n"


GONE = """
import os, sys
from bissl_ray import outputs
outputs.separate()
print("READY", flush=True)
sys.stdin.readline()
for _ in range(3):
    print("to nobody", flush=True)
    print("to nobody", file=sys.stderr, flush=True)
open({file!r}, "w").write("went on")
"""


def test_a_terminal_that_has_gone_is_written_to_without_a_word(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", GONE.format(file=str(tmp_path / "end"))],
        stdin=subprocess.PIPE,
        stdout=slave,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    assert os.read(master, 100).startswith(b"READY")
    os.close(master)
    process.communicate("go\n", timeout=60)
    assert process.returncode == 0 and (tmp_path / "end").read_text() == "went on"


FILES = """
import sys
from bissl_ray import outputs
outputs.separate()
outputs.hush(but_files=True)
print("into a file")
print("to nobody", file=sys.stderr)
"""


def test_what_goes_into_a_file_goes_on(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run([sys.executable, "-c", FILES], stdout=out, stderr=subprocess.PIPE, text=True, check=True)
    assert (tmp_path / "out").read_text() == "into a file\n" and done.stderr == ""


def test_what_has_taken_the_terminal_gives_it_back_before_an_end_at_once():
    given = []
    outputs.at_the_end(one := lambda: given.append("one"))
    outputs.at_the_end(other := lambda: given.append("other"))
    outputs.not_at_the_end(one)
    outputs.not_at_the_end(one)
    outputs.give_terminal_back()
    outputs.not_at_the_end(other)
    assert given == ["other"]
