"""The program ``run`` on systems without some of what it reads: procfs, wait4, a subreaper."""

from __future__ import annotations

import os
import subprocess

import pytest

from bbmeasure_scripts import process_tree, resource_usage, run, windows_usage
from tests.unit.scripts import programs
from tests.unit.scripts.programs import NAMES, PYTHON, RUN

PLAIN = """
import sys
from bbmeasure_scripts import process_tree, run
process_tree.adopt_orphans = lambda: False
sys.exit(run.main(sys.argv[1:]))
"""


def test_without_a_subreaper(tmp_path):
    """Without a subreaper the command is started directly, with a note about orphans."""
    done = programs.execute([PYTHON, "-c", PLAIN, "--name", "x", "--", "sh", "-c", "exit 3"], tmp_path)
    assert (done.status, set(done.records)) == (3, NAMES)
    assert "processes that outlived their parent are not counted" in done.stderr
    assert programs.execute([PYTHON, "-c", PLAIN, "nosuch"], tmp_path).status == 127


def test_unknown_resources_are_left_out_and_noted(monkeypatch):
    """Unknown resources have no record, and a note."""
    monkeypatch.setattr(resource_usage, "_io_of_children", lambda: None)
    monkeypatch.setattr(process_tree, "tree", lambda: None)
    monkeypatch.setattr(process_tree, "adopt_orphans", lambda: False)
    usage = resource_usage.measure(["true"])
    assert (usage.read, usage.written, usage.tree_rss) == (None, None, None)
    assert len(usage.notes) >= 3
    names = {record.name for record in run.records("x", usage, {})}
    assert names == NAMES - {"x_read", "x_written", "x_tree_rss"}


def test_a_system_without_wait4(monkeypatch):
    """Without wait4 time and sampled memory are reported, with a note about the rest."""
    monkeypatch.setattr(process_tree, "tree", lambda: process_tree.PsutilTree(os.getpid()))
    usage = windows_usage.measure([PYTHON, "-S", "-c", "import time; x = b'x' * 50_000_000; time.sleep(0.6)"])
    assert usage.status == 0
    assert usage.wall > 0.6
    assert usage.max_rss > 50e6  # type: ignore[operator]  # numbers here
    assert {record.name for record in run.records("x", usage, {})} == {"x_wall", "x_max_rss", "x_tree_rss"}
    monkeypatch.setattr(process_tree, "tree", lambda: None)
    bare = windows_usage.measure(["sh", "-c", "kill -9 $$"])
    assert (bare.status, bare.max_rss) == (137, None)
    with pytest.raises(resource_usage.NotStartedError, match="No such file"):
        windows_usage.measure(["nosuch"])


def test_procfs_and_psutil_agree():
    """procfs and psutil report the same processes below one process, and similar memory."""
    code = "import subprocess; subprocess.run(['sh', '-c', 'cat; :'])"
    with subprocess.Popen([PYTHON, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"started\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"started\n"  # cat runs and waits, and so does its parent
        trees = process_tree.ProcTree(child.pid), process_tree.PsutilTree(child.pid)
        assert set(trees[0].members()) == set(trees[1].members())
        samples = [tree.sample() for tree in trees]
        child.communicate(b"")
    assert samples[0].processes == samples[1].processes == 2
    assert samples[0].total == pytest.approx(samples[1].total, rel=0.2)


def test_a_reused_process_id_is_noticed():
    """Other processes are checked again after a number of samples."""
    tree = process_tree.ProcTree(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as child:
        tree._others.add(str(child.pid))
        seen = [child.pid in tree.members() for _ in range(60)]
        child.kill()
    assert (seen[0], seen[-1]) == (False, True)


def test_a_process_that_is_gone_has_no_parent_and_no_memory():
    """A process that has ended has no parent and no memory."""
    assert process_tree.parent_of("999999999") == ""
    process_tree.kill(999999999)
    assert process_tree.ProcTree(os.getpid())._resident(999999999) == 0


def unshared(folder, *options, command=("sh", "-c", "echo ran; exit 3")):
    """Run a command under the name ``x`` in namespaces of its own."""
    return programs.execute(["unshare", "-r", *options, *RUN, *command], folder)


def test_the_procfs_of_another_namespace_is_not_used(tmp_path):
    """In a PID namespace with a foreign procfs the processes of others are not measured, with a message."""
    done = unshared(tmp_path, "-p", "-f", command=[PYTHON, "-c", "x = b'x' * 60_000_000"])
    assert done.status == 0, done.stderr
    assert set(done.records) == NAMES - {"x_tree_rss", "x_read", "x_written"}
    assert 60e6 < done.records["x_max_rss"].value < 200e6
    assert "orphan" not in done.stderr
    assert "tree is unknown: /proc is that of another PID namespace" in done.stderr


@pytest.mark.parametrize("hidden", ["", "--hide-psutil"])
def test_without_procfs_the_command_is_run(hidden, tmp_path):
    """Without procfs, with psutil and without, the command runs, and what is unknown is left out with a message."""
    path = tmp_path / "psutil.py"
    if hidden:
        path.write_text("raise ImportError\n")
    mounted = ["sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    done = programs.execute(
        ["unshare", "-r", "-m", *mounted, *RUN, "sh", "-c", "echo ran; exit 3"],
        tmp_path,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    assert (done.status, done.stdout) == (3, "ran\n"), done.stderr
    assert set(done.records) == NAMES - {"x_tree_rss", "x_read", "x_written"}
    assert "tree is unknown: there is neither /proc nor psutil" in done.stderr


def test_a_procfs_that_disappears_ends_the_samples(monkeypatch):
    """Where procfs is unmounted during the run, the command is still measured."""
    monkeypatch.setattr(process_tree.ProcTree, "sample", lambda _: (_ for _ in ()).throw(FileNotFoundError(2, "")))
    usage = resource_usage.measure(["sh", "-c", "sleep 0.2; exit 4"])
    assert (usage.status, usage.tree_rss) == (4, None)
