"""Functions that ``timefunc`` times, and a quick call of it."""

from __future__ import annotations

from tests.unit.scripts import programs

FUNCTIONS = """
import asyncio, functools, os, signal, subprocess, sys, threading, time

print("imported", os.environ.get("BBMEASURE_FILE"))
READY = False

def quick(n=10, *, double=False):
    return sum(range(n * (1 + double)))

def needs_setup():
    if not READY:
        raise RuntimeError("not set up")

def nested():
    return [quick(1) for _ in range(3)]

def recursive(n):
    return n and recursive(n - 1)

def speaks():
    print("spoken")
    print("murmured", file=sys.stderr)

def fails():
    print("before")
    raise ValueError("b\\u00e4d")

def fails_later(calls=[]):
    calls.append(1)
    if len(calls) > 2:
        raise ValueError("third call")

def reads():
    assert sys.stdin.read() == ""

def never():
    print("begun", flush=True)
    while True:
        time.sleep(0.01)

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
    while True:
        pass

def exits():
    os._exit(7)

def leaves():
    sys.exit(0)

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def becomes():
    os.execvp("true", ["true"])

def closes():
    sys.stdout.close()
    os.close(2)

def shuts():
    sys.stdout.close()

def forks():
    os.fork()

def leaves_a_daemon():
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
        os._exit(0)

def never_with_a_daemon():
    leaves_a_daemon()
    never()

def starts_a_thread():
    threading.Thread(target=time.sleep, args=(1000,)).start()

async def waits():
    await asyncio.sleep(0.001)

async def waits_and_fails():
    await asyncio.sleep(0)
    raise ValueError("awaited")

@functools.lru_cache(maxsize=None)
def cached():
    return 1

def makes():
    yield 1

class Class:
    def __init__(self):
        self.factor = 2
    def method(self, n):
        return n * self.factor
    @staticmethod
    def static(n):
        return n
    @classmethod
    def of_class(cls, n):
        return cls, n
    def __call__(self):
        return 3
    class Inner:
        pass

thing = Class()
number = 3
"""


FAST = ("--min-time=0.001", "--values=3", "--processes=2")


def timed(function, *arguments, folder, **more):
    """Time one of the functions, quickly."""
    return programs.program("timefunc", f"functions:{function}", *FAST, *arguments, folder=folder, **more)
