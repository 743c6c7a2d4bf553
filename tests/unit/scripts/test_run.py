"""The program ``run``."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import pytest

from bbmeasure_scripts import record_writer, resource_usage, run
from tests.unit.scripts import programs
from tests.unit.scripts.programs import NAMES, PYTHON, RUN

pytestmark = pytest.mark.slow


def measured(*command, folder, **more):
    """Run a command under the name ``x``."""
    return programs.execute([*RUN, *command], folder, **more)


def test_all_resources_are_reported(tmp_path):
    """Seven records with their units are reported, with a summary on stderr."""
    done = measured("echo", "hello", folder=tmp_path)
    assert set(done.records) == NAMES
    assert done.stdout == "hello\n"
    assert done.stderr.startswith("x: ")
    assert "exit status 0" in done.stderr
    units = {name: (record.unit, record.kind.value, record.better.value) for name, record in done.records.items()}
    assert units["x_cpu"] == units["x_wall"] == ("s", "duration", "lower")
    assert units["x_read"] == units["x_max_rss"] == ("bytes", "size", "lower")
    assert units["x_context_switches"] == ("1", "count", "lower")


def test_the_name_is_the_commands_and_tags_are_kept(tmp_path):
    """The prefix of the series defaults to the name of the command without its folder."""
    done = programs.program("run", "--tag", "a=b", "/bin/echo", "--", "x", folder=tmp_path, sidecar=False)
    assert done.records["echo_wall"].tags == {"a": "b"}
    assert done.stdout.startswith("-- x\n")


@pytest.mark.parametrize("value", [0, 3, 1.5, 1e-7, 1e22, 2**53, 0.1, 123456789.123])
def test_a_plain_name_is_encoded_as_by_a_record(value):
    """A number of a plain name has the line that its record has, in a file and on stdout."""
    usage = resource_usage.Usage(0, value)
    usage.cpu = usage.max_rss = usage.tree_rss = usage.read = usage.written = usage.switches = value
    pairs = list(zip(run.numbers("a.b-c_1+D", usage), run.records("a.b-c_1+D", usage, {})))
    assert len(pairs) == len(NAMES)
    for number, record in pairs:
        for marked in (True, False):
            assert number.encode(marked) == record_writer.encode(record, marked)


PLAIN_LINES = [
    ["--", "true"],
    ["--name", "x", "--", "/bin/true", "-a", "--"],
    ["--name=x", "--", "true", "--name=y"],
]
OTHER_LINES = [
    ["--name=x=y", "--", "true"],
    ["--name=x y", "--", "true"],
    ["--name=\u00e9", "--", "true"],
    ["--name", "-x", "--", "true"],
    ["--name=", "--", "true"],
    ["--name", "--", "true"],
    ["--name", "x", "y", "--", "true"],
    ["--nam=x", "--", "true"],
    ["--tag=a=b", "--", "true"],
    ["true", "--", "x"],
    ["true"],
    ["--"],
    [],
]


@pytest.mark.parametrize("argv", PLAIN_LINES)
def test_a_plain_command_line_is_read_as_by_argparse(argv):
    """The quick reader of arguments and argparse read the same."""
    assert run.read_plain(argv) == run.read(argv)


@pytest.mark.parametrize("argv", OTHER_LINES)
def test_any_other_command_line_is_read_by_argparse(argv):
    """A name that is not plain, a tag, or wrong use is left to argparse."""
    assert run.read_plain(argv) is None


def test_the_start_imports_little():
    """A plain command is run without the modules whose import takes longer than the start of Python."""
    code = "import sys; from bbmeasure_scripts import run; run.main(['--', 'true']); print(*sys.modules)"
    command = [PYTHON, "-S", "-c", code]
    done = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, check=True)
    heavy = {"argparse", "ctypes", "dataclasses", "enum", "json", "re", "signal", "typing", "bbmeasure.records"}
    assert not heavy & set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("status", [0, 1, 7, 126, 255])
def test_the_exit_status_is_the_commands(status, tmp_path):
    """The exit status is that of the command, and the records are reported for each."""
    done = measured("sh", "-c", f"exit {status}", folder=tmp_path)
    assert (done.status, set(done.records)) == (status, NAMES)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE])
def test_a_signal_ends_the_command(number, tmp_path):
    """The exit status is 128 plus the number of the signal that ended the command."""
    done = measured("sh", "-c", f"kill -{int(number)} $$", folder=tmp_path)
    assert (done.status, set(done.records)) == (128 + number, NAMES)


def test_commands_that_cannot_be_run(tmp_path):
    """127 for a missing command, 126 for one that cannot be executed, 2 for none; without records."""
    (tmp_path / "plain").write_text("no program")
    for command, status in ((["nosuch"], 127), (["./plain"], 126), (["a\0b"][:0], 2)):
        done = measured(*command, folder=tmp_path)
        assert (done.status, done.all) == (status, []), done.stderr
    assert "Permission denied" in measured("./plain", folder=tmp_path).stderr


def test_without_a_standard_output_the_status_is_still_the_commands(tmp_path):
    """With a closed stdout the records cannot be written; the exit status is that of the command."""
    without = ["sh", "-c", 'exec "$@" >&-', "sh"]
    done = programs.execute([*without, *RUN, "sh", "-c", "exit 3"], tmp_path, sidecar=False)
    assert done.status == 3
    assert done.stderr.count("cannot be reported: stdout: expected it to be open") == 7
    done = programs.execute([*without, PYTHON, "-m", "bbmeasure_scripts.emit", "x", "3"], tmp_path, sidecar=False)
    assert (done.status, done.stderr) == (1, "x: 3\nbbmeasure: x cannot be reported: stdout: expected it to be open\n")


@pytest.mark.parametrize("options", [["--name", "x" * 999], ["--tag=--"], ["--tag=a"], ["--tag=builder=b"]])
def test_wrong_use_is_status_2_before_anything_runs(options, tmp_path):
    """With an invalid name or tag the command is not run."""
    done = programs.program("run", *options, "--", "touch", "touched", folder=tmp_path)
    assert (done.status, done.all, os.listdir(tmp_path)) == (2, [], [])


@pytest.mark.parametrize(
    "arguments", [["echo", "--"], ["echo", "--", "--"], ["--", "echo", "--"], ["--", "echo", "-n"]]
)
def test_the_command_keeps_every_argument(arguments, tmp_path):
    """Options after the command belong to the command, and so does a ``--`` at its end."""
    expected = subprocess.run(arguments[arguments.index("echo") :], capture_output=True, text=True, check=True)
    assert programs.program("run", *arguments, folder=tmp_path).stdout == expected.stdout


WAITER = """
import signal, sys, time
def told(number, frame):
    print("got", number, flush=True)
    sys.exit(5)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, told)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_forwarded(number, tmp_path):
    """A signal is forwarded to the command."""
    file = tmp_path / "sidecar"
    variables = programs.environment(BBMEASURE_FILE=str(file))
    with subprocess.Popen([*RUN, PYTHON, "-c", WAITER], env=variables, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"  # type: ignore[union-attr]  # of this type here
        child.send_signal(number)
        assert child.stdout.read() == f"got {int(number)}\n"  # type: ignore[union-attr]  # of this type here
    assert child.returncode == 5
    assert {record.name for record in programs.records_of(file.read_bytes())} == NAMES


COUNTER = """
import signal, time
count = 0
def told(number, frame):
    global count
    count += 1
signal.signal(signal.SIGINT, told)
print("ready", flush=True)
end = time.monotonic() + 0.5
while not count or time.monotonic() < end: time.sleep(0.01)
print("interrupted", count, "times", flush=True)
"""


def read_until(terminal, wanted):
    """Read from a terminal until ``wanted`` appears."""
    shown = b""
    while wanted not in shown:
        shown += os.read(terminal, 1000)
    return shown


def test_an_interrupt_from_a_terminal_comes_once(tmp_path):
    """Ctrl-C reaches the command once, from its terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(
            PYTHON, [*RUN, PYTHON, "-c", COUNTER], programs.environment(BBMEASURE_FILE=str(tmp_path / "sidecar"))
        )
    try:
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        assert b"interrupted 1 times" in read_until(terminal, b" times")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def test_the_command_inherits_its_environment(tmp_path):
    """Input, environment, open files, process group and ignored signals are inherited unchanged."""
    code = """
import os, signal, sys
print(sys.stdin.read(), os.getcwd(), os.getpgrp(), os.fstat(9).st_ino)
print(sorted(key for key in os.environ if key not in ("_", "LC_CTYPE")))
print(int(signal.getsignal(signal.SIGINT)), int(signal.getsignal(signal.SIGTERM)))
"""
    (tmp_path / "code.py").write_text(code)
    (tmp_path / "file").write_text("")
    shell = "exec 9<file; trap '' INT; exec"
    said = []
    for before in ([], RUN):
        command = ["sh", "-c", f'{shell} "$@"', "sh", *before, PYTHON, "code.py"]
        said.append(programs.execute(command, tmp_path, text="input", LC_ALL="C").stdout)
    lines = [one.splitlines() for one in said]
    assert lines[0][0].split()[:2] == lines[1][0].split()[:2]
    assert lines[0][0].split()[3] == lines[1][0].split()[3]
    assert lines[0][1:] == lines[1][1:]
    assert lines[1][2] == "1 0"


def test_a_locale_set_by_python_is_not_inherited(tmp_path):
    """LC_CTYPE, which Python sets in the C locale, is not inherited."""
    clean = {"PYTHONPATH": programs.environment()["PYTHONPATH"], "PATH": os.environ["PATH"]}
    done = subprocess.run([*RUN, "env"], env=clean, capture_output=True, text=True, check=True)
    assert "LC_CTYPE" not in done.stdout


def test_cpu_is_what_the_command_counts_itself(tmp_path):
    """CPU time is within a few per cent of what the command measures itself."""
    burn = "import time\nx = 0\nwhile time.process_time() < 0.3: x += 1"
    code = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); print(sum(os.times()[:4]))"
    done = measured(PYTHON, "-S", "-c", code, folder=tmp_path)
    assert done.records["x_cpu"].value == pytest.approx(float(done.stdout), abs=0.1)
    assert done.records["x_wall"].value >= 0.3


def test_memory_is_that_of_the_largest_process_and_of_all(tmp_path):
    """Two concurrent processes of 60 MB have a max_rss of 60 MB and a tree_rss of 120 MB."""
    hold = "import sys; x = b'x' * 60_000_000; sys.stdout.write('held'); sys.stdout.flush(); sys.stdin.read()"
    code = f"""
import subprocess, sys, time
held = [subprocess.Popen([sys.executable, "-S", "-c", {hold!r}], stdin=-1, stdout=-1) for _ in range(2)]
for one in held: one.stdout.read(4)
time.sleep(1)
for one in held: one.communicate()
"""
    done = measured(PYTHON, "-S", "-c", code, folder=tmp_path)
    assert 60e6 < done.records["x_max_rss"].value < 90e6
    assert 120e6 < done.records["x_tree_rss"].value < 190e6


def test_the_memory_of_the_parent_does_not_count(tmp_path):
    """The memory of a parent of 150 MB does not count; a note names the lower limit."""
    code = f"import subprocess; x = b'x' * 150_000_000; subprocess.run({[*RUN, 'true']!r}, check=True)"
    done = programs.execute([PYTHON, "-c", code], tmp_path)
    assert done.records["x_max_rss"].value < 20e6  # type: ignore[operator]  # numbers here
    assert "the largest process used at most" in done.stderr


def test_bytes_are_those_of_the_command_alone(tmp_path):
    """Bytes read and written by the command and its descendants are counted, not those of run."""
    done = measured("sh", "-c", "head -c 3000000 /dev/zero | cat > file; cat file > /dev/null", folder=tmp_path)
    assert 3 * 3_000_000 <= done.records["x_read"].value < 3 * 3_000_000 + 300_000
    assert done.records["x_written"].value == 3 * 3_000_000


def test_orphans_are_counted_with_what_they_use(tmp_path):
    """Orphans are waited for, and their bytes are counted."""
    code = "(sh -c 'head -c 500000 /dev/zero > file' & ); sleep 0.5"
    done = measured("sh", "-c", code, folder=tmp_path)
    assert "1 orphan," in done.stderr
    assert done.records["x_written"].value == 500_000


def test_a_process_that_outlives_the_command_is_noted(tmp_path):
    """run does not wait for processes that outlive the command, and prints a note."""
    code = "sleep 30 >/dev/null 2>&1 & echo $!"
    done = measured("sh", "-c", code, folder=tmp_path)
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.status == 0
    assert "1 of its processes still run" in done.stderr
    assert done.records["x_wall"].value < 25
