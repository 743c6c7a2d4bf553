"""Valid inputs for each check of ``hostile.py``, the corpus of the fuzzers."""

from __future__ import annotations

from tests.unit.scripts.hostile import COMMANDS, SYNTAXES

_STAT = b"7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0"
_IO = b"rchar: 2012\nwchar: 0\nsyscr: 7\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"
_SCC = b'[{"Name":"C","Bytes":73,"Lines":4,"Code":3,"Comment":1,"Blank":0}]'
_TOKEI = b'{"C":{"blanks":0,"children":{},"code":3,"comments":1},"Total":{"blanks":3,"code":10}}'
_CLOC = b'{"header":{"cloc_version":"1.96"},"Python":{"nFiles":1,"code":3},"SUM":{"code":3}}'
_SLOCCOUNT = b"Totals grouped by language (dominant first):\npython: 5 (62.50%)\nansic: 3 (37.50%)\n\nTotal Physical"
_PYGOUNT = b'{"languages":[{"isPseudoLanguage":false,"language":"Python","sourceCount":5}]}'

#: Good input by part.
SEEDS: dict[str, list[bytes]] = {
    "emit": [
        b"link\x003\x001.5 ms\x00--unit\0ms\0--better\0lower\0--tag\0a=b",
        b"compiler\0gcc\x0012\0--kind\0text",
        b"--kind=size\0wheel\x001_024 KiB\x002.5e3 MiB\0--tag=k=v=w",
        b"name\x0085 %\0--\0-3",
    ],
    "report": [
        b'{"v":1,"name":"x","value":1}\0\0wheel\x001.5\0MiB\0lower\0python=3.9\0a=b',
        b"\0a\0link\x003,1,2\0ms\0higher",
        b"rubbish\n\0aa\0load\x002\0{request}",
        b"\0aaaaa\0compiler\0gcc 12",
    ],
    "run": [b"--name\0link\0--tag\0a=b\0--\0make\0-j2", b"/bin/echo\0--\0x", b"--tag=a=b\0--name=n\0--\0--\0-3"],
    "processes": [
        b"\0".join([_IO, _IO, b"A=b\nLC_CTYPE=C", b"7", _STAT, b"100 50 1", b"8", _STAT, b"2 1", b"self", b"", b""])
    ],
    "size": [
        b"**/*.whl\0--exclude\0*.txt\0--name=n\0\0a.whl\0sub/b.whl\0sub/deeper/c.txt\0.hidden/d\xff.whl",
        b"--allocated\0[!a-c]?/**\0--exclude=sub/*\0\0ab/c\0de/f\0sub/g",
        b"*/[a-z]*\0a[\0\0b/c\0b/d/e",
    ],
    "sloc_count": [
        bytes([number]) + b"#!/bin/sh\n/* c */ x = \"s\" // y\n'''d'''\n<!-- h -->\n(* o *)\n--[[ l ]] `t`\n"
        for number in range(len(SYNTAXES))
    ],
    "sloc_tools": [
        bytes([COMMANDS.index(name)]) + name.encode() + b" version 1.2.3\0" + printed
        for name, printed in zip(COMMANDS, (_SCC, _TOKEI, _CLOC, _SLOCCOUNT, _PYGOUNT))
    ],
    "timefunc": [
        b'module:function\0--args=[1, "a"]\0--kwargs\0{"n": 3}\0--calls',
        b"path/to/file.py:Class.method\0--name\0n\0--timeout\x002.5\0--values\x003\0--loops=7\0--budget=1e3",
        b"--setup\0import x\0a:function\0--min-time=0.1\0--processes=2\0--warmups=0",
    ],
    "bundle": [b"aaa\0--name\0link\0'\"\\\n\xff\xc3\xa9", b""],
    "wire": [
        b'{"v":1,"name":"link_time","value":12.5,"unit":"s","better":"lower","tags":{"target":"core"}}\n',
        b'log ##bbmeasure {"name":"x","samples":[1,2],"kind":"size"}\n',
        b'\x1b[31m##bbmeasure\x1b[0m {"name":"y","value":"t"}\n',
    ],
}
