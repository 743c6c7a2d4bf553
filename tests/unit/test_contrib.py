"""The Docker files of contrib/ name what exists: files, scripts, packages, programs and variables."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.contrib import DOCKER, ROOT, command_of, instructions

CONSTRAINTS = (ROOT / "tests" / "tools" / "constraints.txt").read_text()
#: The programs of the base images and of Debian's packages; the Dockerfile names no others.
PROGRAMS = {"apt-get", "install", "npm", "pip", "rm", "useradd"}
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())


def words(name: str, stage: str = "") -> list[list[str]]:
    """The words of each instruction with this name, of one stage or all."""
    return [shlex.split(each.arguments) for each in instructions() if each.name == name and stage in ("", each.stage)]


def commands() -> list[list[str]]:
    """The words of each command of a RUN, without assignments of variables."""
    found = []
    for each in instructions():
        if each.name == "RUN":
            for command in each.arguments.split(" && "):
                found.append([word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)])
    return found


def ignored(path: str) -> bool:
    """Whether Dockerfile.dockerignore leaves a path out of the build context: its last pattern that matches decides."""
    out = False
    for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.lstrip("!").replace("**/", "*")
        parents = [path, *map(str, Path(path).parents)]
        if not line.startswith("#") and any(fnmatch.fnmatchcase(parent, pattern) for parent in parents):
            out = not line.startswith("!")
    return out


def test_each_command_of_the_images_exists() -> None:
    """Each RUN runs programs of the base images; scripts of npm are those of the page."""
    assert {command[0] for command in commands()} == PROGRAMS
    scripts = json.loads((ROOT / "www" / "package.json").read_text())["scripts"]
    assert [command[2] for command in commands() if command[:2] == ["npm", "run"]] == ["build"]
    assert "build" in scripts


def test_each_copied_path_exists_and_is_in_the_context() -> None:
    """Each COPY names paths of the checkout that the ignore file lets through."""
    copied = [words[:-1] for words in words("COPY") if not words[0].startswith("--from=")]
    assert copied
    for path in [path for sources in copied for path in sources]:
        assert (ROOT / path).exists()
        assert not ignored(path), path
    assert ignored("www/node_modules")
    assert ignored("bbmeasure/master/www/static")
    assert ignored("bbmeasure/units/__pycache__")
    assert ignored(".git")


def test_the_image_of_the_master_has_the_sources_of_every_package() -> None:
    """What setup.cfg installs is copied, and the page is where npm builds it."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = {line.partition("=")[2].split("/")[0].strip() for line in setup["options"]["package_dir"].split("\n")}
    copied = {path for sources in words("COPY", "master") for path in sources[:-1]}
    assert folders - {""} <= copied
    ((_, page, target),) = (each for each in words("COPY") if each[0] == "--from=page")
    assert page == f"/source/{target}"
    assert f'here("../{target}")' in (ROOT / "www" / "vite.config.ts").read_text()
    (extra,) = re.findall(r"'\.\[(\w+)\]'", (DOCKER / "Dockerfile").read_text())
    assert extra in setup["options.extras_require"]


def test_the_images_have_the_releases_that_the_tests_have() -> None:
    """Each pinned package of the images is the release of constraints.txt; Python and Node.js are supported ones."""
    pinned = [word for command in commands() for word in command if "==" in word]
    assert {pin.partition("==")[0] for pin in pinned} == {"buildbot", "buildbot-www", "buildbot-worker"}
    assert [pin for pin in pinned if f"{pin};" not in CONSTRAINTS] == []
    (python,) = {image[0] for image in words("FROM") if image[0].startswith("python:")}
    assert f"Python :: {re.findall(r'[0-9.]+', python)[0]}\n" in (ROOT / "setup.cfg").read_text()


@pytest.mark.parametrize("service", ["master", "worker"])
def test_each_service_has_its_files_and_variables(service: str) -> None:
    """The mounted folder has the file that the image runs, which reads no variable that compose.yaml does not set."""
    settings = COMPOSE["services"][service]
    assert f"./{service}:/etc/buildbot:ro" in settings["volumes"]
    assert settings["build"]["target"] == service
    (path,) = re.findall(r"/etc/buildbot/([\w.]+)", " ".join(command_of(service)))
    assert (DOCKER / service / path).is_file()
    text = "".join(path.read_text() for path in (DOCKER / service).iterdir() if path.is_file())
    read = set(re.findall(r'environ(?:\[|\.pop\()"(\w+)"', text))
    assert read == set(settings["environment"])


def test_the_example_sets_each_variable_of_the_compose_file() -> None:
    """.env.example assigns each variable of compose.yaml, and no other."""
    used = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    assigned = dict(re.findall(r"^(\w+)=(.+)$", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert used == set(assigned)
    passwords = [value for name, value in assigned.items() if "PASSWORD" in name]
    assert len(set(passwords)) == len(passwords)


def test_only_web_pages_are_published_and_only_to_this_machine() -> None:
    """Published are the pages of Buildbot and Grafana, on 127.0.0.1."""
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert published == {"master": ["127.0.0.1:8010:8010"], "grafana": ["127.0.0.1:3000:3000"]}
    assert 'c["www"] = {"port": "tcp:8010"' in (DOCKER / "master" / "master.cfg").read_text()
