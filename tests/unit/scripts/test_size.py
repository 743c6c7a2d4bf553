"""The program ``size``, and the module file_walk."""

from __future__ import annotations

import glob
import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.records import Record
from bbmeasure_scripts import file_walk, record_writer, size
from tests.unit.scripts import programs

pytestmark = pytest.mark.slow


@pytest.fixture
def tree(tmp_path):
    """A small tree: 3 + 5 + 7 + 11 bytes in four files."""
    root = tmp_path / "tree"
    for name, length in {"a.whl": 3, "sub/b.whl": 5, "sub/deeper/c.txt": 7, ".hidden/d.whl": 11}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
    return root


def found(*patterns, **options):
    """Bytes and files."""
    return size.measure([str(pattern) for pattern in patterns], **options)[:2]


PATTERNS = [
    ("", (26, 4)),
    ("a.whl", (3, 1)),
    ("*.whl", (3, 1)),
    ("**/*.whl", (8, 2)),
    ("sub/**", (12, 2)),
    ("s?b", (12, 2)),
    ("[r-t]ub/*.whl", (5, 1)),
    (".h*/*", (11, 1)),
    ("**/deeper/c.txt", (7, 1)),
    ("nothing*", (0, 0)),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_a_pattern_means_what_a_shell_means(tree, pattern, expected):
    """Files, folders, ``*``, ``?``, ``[...]`` and ``**`` match as in a shell."""
    assert found(tree / pattern) == expected


def test_a_name_with_a_star_is_itself_where_it_exists(tmp_path):
    """A pattern that is the name of a file matches only that file."""
    (tmp_path / "a*").write_bytes(b"12")
    (tmp_path / "ab").write_bytes(b"345")
    assert found(tmp_path / "a*") == (2, 1)


EXCLUDES = [
    (["*.whl"], (7, 1)),
    (["deeper"], (19, 3)),
    (["sub/deeper/"], (19, 3)),
    (["sub/*.whl"], (21, 3)),
    ([".*", "sub"], (3, 1)),
    (["tree"], (0, 0)),
    (["/"], (26, 4)),
]


@pytest.mark.parametrize(("patterns", "expected"), EXCLUDES)
def test_excluded_files_and_folders_are_left_out(tree, patterns, expected):
    """An exclude pattern matches names, or with a slash paths relative to the root."""
    assert found(tree, exclude=patterns) == expected


def test_hard_links_and_overlapping_paths_count_once(tree):
    """Hard links and overlapping roots count once."""
    os.link(tree / "a.whl", tree / "sub" / "again.whl")
    assert found(tree) == (26, 4)
    assert found(tree, tree / "sub", tree / "a.whl") == (26, 4)


def test_symbolic_links_are_not_followed(tree, tmp_path):
    """Symbolic links do not count; one given as a root is noted."""
    (tree / "to_file").symlink_to("a.whl")
    (tree / "to_folder").symlink_to("sub")
    (tree / "circle").symlink_to(tree)
    (tree / "dangling").symlink_to("nowhere")
    assert size.measure([str(tree)]) == size.Sizes(26, 4, [])
    assert found(tree / "**") == (15, 3)
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert size.measure([str(link)]) == size.Sizes(0, 0, [f"symbolic link, not followed: 1, such as {link}"])
    assert found(f"{link}/") == (26, 4)


def test_sockets_and_pipes_are_noted(tree):
    """Files that are not regular are noted."""
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
        sizes = size.measure([str(tree)])
    assert (sizes.size, sizes.files) == (26, 4)
    assert sizes.notes[0].startswith("not a regular file: 2, such as")


def test_it_agrees_with_find(tree):
    """Apparent and allocated size agree with ``find``."""
    (tree / "large").write_bytes(b"x" * 100_000)
    for option, what in ((False, "%s"), (True, "%b")):
        listed = subprocess.check_output(["find", tree, "-type", "f", "-printf", what + "\n"], text=True).split()
        expected = sum(map(int, listed)) * (512 if option else 1)
        assert found(tree, allocated=option) == (expected, 5)


def test_unreadable_folders_are_noted(tree, monkeypatch):
    """An unreadable folder is noted; one that vanished is ignored."""
    errors = {"sub": PermissionError(13, "Permission denied"), ".hidden": FileNotFoundError(2, "gone")}
    real = os.open

    def refuse(path, *arguments):
        if os.path.basename(path) in errors:
            raise errors[os.path.basename(path)]
        return real(path, *arguments)

    monkeypatch.setattr(file_walk.os, "open", refuse)  # type: ignore[attr-defined]  # an import of the module
    sizes = size.measure([str(tree)])
    assert sizes == size.Sizes(3, 1, [f"unreadable (Permission denied): 1, such as {tree / 'sub'}"])


def test_files_that_vanish_while_walking_are_left_out(tmp_path):
    """A file that vanishes before lstat is ignored."""
    for name in ("gone", "here"):
        (tmp_path / name).write_bytes(b"123")
    with os.scandir(tmp_path) as entries:
        files = list(entries)
    (tmp_path / "gone").unlink()
    notes = file_walk.Notes()
    names, states = file_walk._statuses(str(tmp_path), files, notes)
    assert (list(names), [state.st_size for state in states]) == (["here"], [3])
    assert notes.counts == {}


class Untyped:
    """An entry of a file system without entry types, whose methods may fail."""

    def __init__(self, name, kind=None):
        self.name = name
        self._kind = kind

    def _answer(self, kind):
        if self._kind is None:
            raise PermissionError(13, "Permission denied")
        return self._kind == kind

    def is_file(self, follow_symlinks):
        return self._answer("file")

    def is_dir(self, follow_symlinks):
        return self._answer("folder")

    def is_symlink(self):
        return self._answer("link")


def test_entries_without_a_type():
    """An entry whose type is unknown is noted; the others are not affected."""
    entries = [
        Untyped("f", "file"),
        Untyped("bad"),
        Untyped("d", "folder"),
        Untyped("l", "link"),
        Untyped("s", "socket"),
    ]
    notes, within = file_walk.Notes(), []
    assert [entry.name for entry in file_walk._files("at", entries, notes, within)] == ["f"]
    assert within == ["d"]
    assert notes.counts == {"unreadable (Permission denied)": 1, "not a regular file": 1}


def nest(folder, name, depth, pattern=""):
    """Create a file in nested folders; returns its size."""
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(depth):
            os.mkdir(name)
            os.chdir(name)
        Path("f").write_bytes(b"123")
        return size.measure([os.path.join(folder, pattern)])
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", folder / name], check=True)  # too deep for pytest to remove


def test_folders_may_nest_deeper_than_python_calls(tmp_path):
    """Folders may be nested deeper than the recursion limit."""
    assert nest(tmp_path, "d", 1100) == size.Sizes(3, 1, [])
    assert nest(tmp_path, "d", 1100, "**/f") == size.Sizes(3, 1, [])


def test_a_pattern_with_many_parts_needs_no_exponential_time(tmp_path):
    """A path that matches in many ways is visited once: repeated ``**`` does not need exponential time."""
    assert nest(tmp_path, "d", 60, "**/" * 30 + "f") == size.Sizes(3, 1, [])
    assert found(tmp_path / ("*" + "/." * 1500)) == (0, 0)


def test_a_path_that_is_too_long_is_noted(tmp_path):
    """A path that is too long for the system is noted."""
    sizes = nest(tmp_path, "d" * 250, 20)
    assert sizes[:2] == (0, 0)
    assert sizes.notes[0].startswith("unreadable (File name too long): 1")


def test_a_large_folder_is_yielded_in_batches(tmp_path, monkeypatch):
    """The files of a large folder are yielded in batches."""
    monkeypatch.setattr(file_walk, "_BATCH_SIZE", 7)
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "f").write_bytes(b"x")
    parts = list(file_walk.walk([str(tmp_path)], file_walk.Excluded(), file_walk.Notes()))
    assert max(len(states) for _, _, states in parts) == 7
    assert found(tmp_path) == (41, 41)


def test_undecodable_names_are_counted(tmp_path):
    """Names that are not valid UTF-8 are counted."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")).write_bytes(b"123")
    done = programs.program("size", str(tmp_path), "gone\udcff", folder=tmp_path)
    assert done.records["size"].value == 3.0
    assert r"not found: 1, such as gone\udcff" in done.stderr


NAMES = st.sampled_from(["a", "b", "ab", ".h", "c.d"])
PARTS = st.sampled_from(["a", "*", "?", "[ab]", "a*", ".h", ".*", "c.d", "[!a]"])


@given(
    files=st.lists(st.lists(NAMES, min_size=1, max_size=3).map("/".join), max_size=6),
    pattern=st.tuples(st.lists(PARTS | st.just("**"), max_size=3), PARTS).map(
        lambda parts: "/".join([*parts[0], parts[1]])
    ),
)
def test_patterns_match_what_glob_matches(files, pattern):
    """Patterns match as Python's glob."""
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            path = Path(folder, file)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            except OSError:
                continue  # a file where this one wants a folder
        listed = glob.glob(os.path.join(folder, pattern), recursive=True)
        expected = {os.path.normpath(path) for path in listed if os.path.lexists(path)}
        got = {os.path.normpath(path) for path in file_walk.expand(os.path.join(folder, pattern), file_walk.Notes())}
        assert got == expected


def test_the_program_reports_size_and_files(tree):
    """Both records are reported, with a summary."""
    done = programs.program("size", "--name", "wheel", "--exclude=*.txt", str(tree), folder=tree)
    assert done.status == 0
    record = done.records["wheel"]
    assert (record.value, record.unit, record.kind.value, record.better.value) == (19.0, "bytes", "size", "lower")
    files = done.records["wheel_files"]
    assert (files.value, files.unit, files.kind.value) == (3.0, "1", "count")
    assert done.stdout == "wheel: 19 bytes (19 bytes) in 3 files\n"


@pytest.mark.parametrize("argv", [["a", "b*"], ["--name", "x", "a"], ["--name", "x y", "a"]])
def test_a_command_line_of_paths_is_read_as_by_argparse(argv):
    """The quick reader of arguments and argparse read the same."""
    plain, parsed = size.read_plain(argv), size.read(argv)
    assert plain is not None
    assert [*plain.exclude] == parsed.exclude
    assert plain._replace(exclude=[]) == parsed


@pytest.mark.parametrize(
    "argv",
    [[], ["--name", "x"], ["--name", "-x", "a"], ["a", "--name", "x"], ["--name=x", "a"], ["-", "a"]],
)
def test_any_other_command_line_is_read_by_argparse(argv):
    """Other options, options behind a path, and wrong use are left to argparse."""
    assert size.read_plain(argv) is None


@pytest.mark.parametrize("marked", [True, False])
def test_a_plain_name_is_encoded_as_by_a_record(tree, marked, capsys, monkeypatch, tmp_path):
    """The lines of a plain name are those of its records, on stdout and in a file."""
    written = tmp_path / "records"
    if not marked:
        monkeypatch.setenv("BBMEASURE_FILE", str(written))
    assert size.main(["--name", "wheel", str(tree)]) == 0
    lines = capsys.readouterr().out.splitlines() if marked else written.read_text().splitlines()
    records = [Record("wheel", 26, unit="bytes", better="lower"), Record("wheel_files", 4, kind="count")]
    assert lines == [record_writer.encode(record, marked) for record in records]


def test_a_name_that_is_not_plain_is_reported(tree):
    """A name that JSON escapes has the same summary and its records."""
    done = programs.program("size", "--name", "gr\u00f6\u00dfe", "a.whl", folder=tree)
    assert (done.status, {*done.records}) == (0, {"gr\u00f6\u00dfe", "gr\u00f6\u00dfe_files"})
    assert done.stdout == "gr\u00f6\u00dfe: 3 bytes (3 bytes) in 1 file\n"


def test_the_start_imports_little(tree):
    """Paths are measured without the modules that only other command lines need."""
    code = "import sys; from bbmeasure_scripts import size; size.main(['.']); print(*sys.modules)"
    command = [programs.PYTHON, "-S", "-c", code]
    done = subprocess.run(command, cwd=tree, env=programs.environment(), capture_output=True, text=True, check=True)
    heavy = {"argparse", "dataclasses", "json", "bbmeasure.records"}
    assert not heavy & set(done.stdout.splitlines()[-1].split())


def test_the_program_reports_allocated_size(tree):
    """--allocated reports the size of the blocks."""
    done = programs.program("size", "--allocated", "a.whl", folder=tree)
    assert done.records["size"].value == os.lstat(tree / "a.whl").st_blocks * 512


@pytest.mark.parametrize("path", ["nothing", "dist/*.whl", "empty"])
def test_nothing_found_is_a_failure(path, tree):
    """Without a file the exit status is 1, with a message and without a record."""
    (tree / "empty").mkdir()
    done = programs.program("size", path, folder=tree)
    assert (done.status, done.all) == (1, [])
    assert f"no file found in {path}" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--name", "", "a.whl"], ["--apparent", "--allocated", "a.whl"]])
def test_an_invalid_command_line_is_status_2(arguments, tree):
    """An invalid command line is exit status 2."""
    assert programs.program("size", *arguments, folder=tree).status == 2
