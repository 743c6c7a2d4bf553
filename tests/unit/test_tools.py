"""The scripts behind `make`: messages, stages, and exit statuses."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "tools"


@pytest.fixture
def commands(tmp_path):
    """Creates fake programs in a directory for PATH; each appends its command line to the file ``calls``."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(**programs):
        for name, body in programs.items():
            path = folder / name.replace("_", "-")
            path.write_text(f'#!/bin/sh\necho "{path.name} $*" >>{tmp_path}/calls\n{body}\n')
            path.chmod(0o755)
        return folder

    return make


def run(tool, *arguments, **environment):
    """The completed process of a script, run with these environment variables."""
    return subprocess.run(
        ["/bin/sh", str(TOOLS / tool), *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def packages():
    """The programs and packages that debian_packages.sh lists."""
    table = re.search(r"^wanted='\n(.*?)^'", (TOOLS / "debian_packages.sh").read_text(), re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]  # the pattern matches
    return dict(line.split()[:2] for line in table.splitlines())


def test_without_root_the_command_is_printed(commands):
    """Without root, the script prints one apt-get command for the missing packages and installs nothing."""
    there = {name.replace("-", "_"): "" for name in packages() if name not in ("influxd", "cloc") and "/" not in name}
    path = commands(**there, apt_get="", id="echo 1000")
    done = run("debian_packages.sh", PATH=str(path))
    assert done.returncode == 1
    assert re.search(r"sudo apt-get install --no-install-recommends cloc influxdb\b", done.stderr)


def test_root_installs_what_is_missing_and_starts_no_service(commands, tmp_path):
    """As root, one update and one install run, for missing packages only, and no service can start."""
    there = {name.replace("-", "_"): "" for name in packages() if name != "cloc" and "/" not in name}
    policy = tmp_path / "policy-rc.d"
    path = commands(**there, apt_get=f'/bin/sh {policy}; echo "services: $?"', id="echo 0")
    for program in ("rm", "chmod"):
        (path / program).symlink_to(shutil.which(program))
    done = run("debian_packages.sh", PATH=str(path), POLICY=str(policy))
    assert done.returncode == 0, done.stderr
    calls = [call for call in (tmp_path / "calls").read_text().splitlines() if call.startswith("apt-get")]
    assert len(calls) == 2
    assert calls[0].startswith("apt-get update")
    assert re.search(r" install .*--no-install-recommends cloc\b", calls[1])
    assert "services: 101" in done.stdout
    assert not policy.exists()


def test_with_all_programs_apt_does_not_run(commands, tmp_path):
    """A machine with all programs needs no apt, no root and no network."""
    there = {name.replace("-", "_"): "" for name in packages() if "/" not in name}
    done = run("debian_packages.sh", PATH=f"{commands(**there, apt_get='exit 1')}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "calls").exists()


def test_without_apt_the_packages_are_printed(commands):
    """Without apt-get, the script prints the names of the packages."""
    done = run("debian_packages.sh", PATH=str(commands(cloc="")))
    assert done.returncode == 1
    assert "install them as your system does: sloccount" in done.stderr
    assert "cloc" not in done.stderr


@pytest.mark.parametrize(
    ("python", "message"),
    [
        (None, "no program no-such-python: Python 3.9 or newer is needed; name it with PYTHON="),
        ('case "$2" in *print*) echo 3.8 ;; *) exit 1 ;; esac', "is Python 3.8: 3.9 or newer is needed"),
        (
            'case "$2" in *print*) echo 3.11 ;; *ensurepip*) exit 1 ;; esac',
            "run: sudo apt-get install python3.11-venv",
        ),
    ],
)
def test_an_unusable_python_is_an_error(commands, tmp_path, python, message):
    """A Python that is missing, too old, or without venv is an error before anything is created."""
    program = "no-such-python"
    if python is not None:
        program = str(commands(python=python, id="echo 1000") / "python")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = run("make_venv.sh", PYTHON=program, VENV=str(tmp_path / "venv"), PATH=path)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "venv").exists()


def _environment(commands, **programs):
    """A fake virtual environment in which each tool is the given shell script."""
    tools = {"ruff": "", "mypy": "", "lint_imports": "", "python": "", **programs}
    return str(commands(**tools).parent)


def test_a_successful_run_ends_with_the_time_of_each_stage(commands):
    """The report of `make check` has the seconds of each stage and of the whole run."""
    done = run("stages.sh", "check", VENV=_environment(commands))
    assert done.returncode == 0, done.stderr
    stages = re.findall(r"^(.+?) +passed +\d+ s$", done.stdout, re.MULTILINE)
    assert stages == ["Debian packages", "ruff", "mypy", "import-linter", "tests/unit"]
    assert re.search(r"^in all \d+ s$", done.stdout, re.MULTILINE)


def test_the_first_failed_stage_ends_the_run(commands, tmp_path):
    """The first failure is reported with its exit status, which is that of the run, and no later stage runs."""
    done = run("stages.sh", "check", VENV=_environment(commands, mypy="exit 3"))
    assert done.returncode == 3
    assert re.search(r"^mypy +FAILED +\d+ s \(exit status 3\)$", done.stdout, re.MULTILINE)
    assert "lint-imports" not in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("free", "python", "given", "used", "stays"),
    [
        ("4096M", "", "", "memory", False),
        ("4096M", 'echo >"$TMPDIR/file"; exit 1', "", "memory", True),
        ("64M", "", "", "", False),
        ("4096M", "", "given", "given", True),
    ],
)
def test_the_files_of_tests_are_in_memory(commands, tmp_path, free, python, given, used, stays):
    """A folder in memory is TMPDIR where there is room and none is set; it is removed unless a test fails."""
    folder = tmp_path / "memory"
    python = f'echo "in <$TMPDIR>"; {python}'
    environment = _environment(
        commands, python=python, df=f"echo Avail; echo {free}", mktemp=f"mkdir {folder}; echo {folder}"
    )
    search = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    (tmp_path / "given").mkdir()
    done = run("stages.sh", "steps", VENV=environment, PATH=search, TMPDIR=str(tmp_path / given) if given else "")
    assert f"in <{tmp_path / used if used else ''}>" in done.stdout
    assert (bool(used) and (tmp_path / used).exists()) == stays
    assert (f"the files of the tests: {folder}" in done.stdout) == (done.returncode == 1)


@pytest.mark.parametrize(("mypy", "status"), [("", 0), ("echo wrong; exit 3", 3)])
def test_the_checks_of_a_whole_run_are_stages_of_it(commands, mypy, status):
    """The checks in the background of `make test` are in its output and its report; tests run only if all pass."""
    there = {name.replace("-", "_"): "" for name in packages() if "/" not in name}
    environment = _environment(commands, **{**there, "node": "exit 1", "shellcheck": "", "mypy": mypy})
    search = f"{Path(environment) / 'bin'}:{os.environ['PATH']}"
    done = run("stages.sh", "all", VENV=environment, PATH=search, PYTHON27="/nowhere")
    assert done.returncode == status, done.stderr
    stages = dict(re.findall(r"^(.{24}) (passed|FAILED) +\d+ s", done.stdout.rpartition("====")[2], re.MULTILINE))
    found = {name.rstrip(): outcome for name, outcome in stages.items()}
    assert found["mypy"] == ("FAILED" if status else "passed")
    assert ("tests/unit" in found) == ("docs" in found) == (not status)
    assert ("wrong\n" in done.stdout) == bool(status)


def test_a_folder_without_a_test_fails(commands):
    """pytest's exit status 5, no tests, fails the run."""
    done = run("stages.sh", "check", VENV=_environment(commands, python="exit 5"))
    assert done.returncode == 5
    assert re.search(r"^tests/unit +FAILED", done.stdout, re.MULTILINE)


def test_an_unknown_stage_is_an_error():
    """A stage that does not exist is exit status 2, with the names of those that do."""
    done = run("stages.sh", "nonsense")
    assert done.returncode == 2
    assert "expected all, check, lint, unit, steps, e2e, attacks, faults, browser, eight, matrix, only," in done.stderr
    assert "soak, docs, release or www" in done.stderr


def test_an_unknown_group_of_packages_is_an_error():
    """A group of packages that does not exist is exit status 2, with the names of those that do."""
    done = run("debian_packages.sh", "nonsense")
    assert (done.returncode, "expected check, unit, all or soak" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("group", "needed", "not_needed"),
    [
        ("check", {"cloc"}, {"influxdb", "victoria-metrics", "chromium-headless-shell", "postgresql", "nginx"}),
        ("unit", {"cloc", "influxdb", "victoria-metrics"}, {"chromium-headless-shell", "postgresql", "nginx"}),
        ("all", {"cloc", "influxdb", "chromium-headless-shell"}, set()),
    ],
)
def test_a_target_requires_only_its_own_packages(commands, group, needed, not_needed):
    """`make check` needs no database and no browser, `make unit` no browser."""
    done = run("debian_packages.sh", group, PATH=str(commands(apt_get="", id="echo 1000")))
    requested = set(done.stderr.split())
    assert needed <= requested
    assert not_needed.isdisjoint(requested)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("tests/unit", "-n 4 --dist=loadfile --no-loadscope-reorder"),
        ("tests/unit/test_units.py", "-n 0 --dist=loadfile --no-loadscope-reorder"),
        ("tests/steps", "-n 4 -p no:twisted --dist=loadfile --no-loadscope-reorder"),
        (
            "tests/steps/test_shell.py::TestShell::test_it[a b]",
            "-n 0 -p no:twisted --dist=loadfile --no-loadscope-reorder",
        ),
    ],
)
def test_one_path_runs_in_its_runner(commands, tmp_path, path, options):
    """`make test T=PATH` runs that alone, Buildbot's kit without pytest-twisted, and a folder in several processes."""
    there = {name.replace("-", "_"): "" for name in packages() if "/" not in name}
    environment = _environment(commands, **there)
    search = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = run("stages.sh", "only", VENV=environment, T=path, JOBS="3", PATH=search)
    assert done.returncode == 0, done.stderr
    assert f"python -m pytest {path} {options}" in (tmp_path / "calls").read_text().splitlines()


@pytest.mark.parametrize("path", ["tests", "tests/", "."])
def test_all_folders_in_one_process_are_refused(path):
    """`make test T=tests` is an error, because the folders need different runners."""
    done = run("stages.sh", "only", T=path)
    assert done.returncode == 2
    assert "expected a file, a folder below tests/" in done.stderr


def test_every_target_is_listed_by_help():
    """`make help` has a line for each target."""
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()) - {"help"}  # type: ignore[index]  # the pattern matches
    assert targets == set(re.findall(r"^## make ([\w-]+)", text, re.MULTILINE))


def requirements():
    """The names of the packages that bbmeasure, its tests and its documentation require on Python 3.11."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = [setup["options"]["install_requires"]]
    wanted += [setup["options.extras_require"][extra] for extra in ("lint", "unit", "e2e", "docs", "release")]
    lines = [Requirement(line) for text in wanted for line in text.split("\n") if line]
    return {
        canonicalize_name(line.name)
        for line in lines
        if line.marker is None or line.marker.evaluate({"python_version": "3.11"})
    }


def test_each_requirement_has_a_constraint():
    """The environment of continuous integration has the releases of constraints.txt, which names no registry."""
    lines = (TOOLS / "constraints.txt").read_text().splitlines()
    constraints = [Requirement(line) for line in lines if not line.startswith("#")]
    pinned = {canonicalize_name(one.name) for one in constraints if re.fullmatch("==[^*]+", str(one.specifier))}
    assert requirements() <= pinned, requirements() - pinned
    assert not [one for one in constraints if one.url]
    assert "--constraint tests/tools/constraints.txt" in (TOOLS / "make_venv.sh").read_text()
    assert "make_venv.sh tests/tools/constraints.txt" in (ROOT / "Makefile").read_text()


def test_continuous_integration_runs_the_command_of_the_readme():
    """.ci/run runs `make test`, as README.rst does."""
    assert "exec make test\n" in (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^   make test\b", (ROOT / "README.rst").read_text(), re.MULTILINE)


def test_without_a_python_27_the_ways_to_get_one_are_printed(commands, tmp_path):
    """`tests/tools/eight.sh find` is exit status 1 where none is found, and a PYTHON27 that is none is 2."""
    nothing = {"PATH": str(commands()), "HOME": str(tmp_path), "PYENV_ROOT": str(tmp_path)}
    done = run("eight.sh", "find", PYTHON27="", **nothing)
    assert done.returncode == 1
    assert "pyenv install 2.7.18" in done.stderr
    assert "PYTHON27=" in done.stderr
    done = run("eight.sh", "find", PYTHON27=sys.executable, **nothing)
    assert (done.returncode, "expected a Python 2.7" in done.stderr) == (2, True)


def test_the_named_python_27_is_used(commands):
    """PYTHON27= names the Python of `make test-eight`."""
    path = commands(python_old="exit 0") / "python-old"
    done = run("eight.sh", "find", PYTHON27=str(path))
    assert (done.returncode, done.stdout) == (0, f"{path}\n")
