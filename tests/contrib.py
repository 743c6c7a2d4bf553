"""The files of contrib/, as their tests read them: instructions of the Dockerfile, settings of the units."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "contrib" / "docker"
SYSTEMD = ROOT / "contrib" / "systemd"


class Instruction(NamedTuple):
    """An instruction of the Dockerfile in its build stage."""

    stage: str
    name: str
    arguments: str


def instructions() -> list[Instruction]:
    """The instructions of the Dockerfile in their order, with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    found, stage = [], ""
    for line in text.splitlines():
        name, _, arguments = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if name == "FROM":
            stage = arguments.rpartition(" AS ")[2]
        found.append(Instruction(stage, name, arguments))
    return found


def command_of(stage: str) -> list[str]:
    """The words of a stage's CMD."""
    (command,) = (each.arguments for each in instructions() if (each.stage, each.name) == (stage, "CMD"))
    words: list[str] = json.loads(command)
    return words


def unit(name: str) -> configparser.ConfigParser:
    """The settings of a systemd unit."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    settings.read(SYSTEMD / name)
    return settings
