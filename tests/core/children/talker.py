"""The child of test_process.py: a process that answers, misbehaves and dies on request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core import errors
from altlas_agent.core.children.serve import serve
from altlas_agent.core.errors import AltlasError
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

NAP = "import time; time.sleep(60)"


class Echo(Record):
    text: str = ""
    blob: bytes = b""


class Nap(Record):
    seconds: float


class Shout(Record):
    """Print the text in every way there is, then answer."""

    text: str


class Refuse(Record):
    """Raise an error of the class `kind`."""

    message: str
    kind: str = "PolicyError"


class Stumble(Record):
    message: str


class Die(Record):
    signal: int = 0
    exit_code: int = 0
    last_words: str = ""


class Bear(Record):
    """Start a process that outlives its request; answered with its pid."""

    own_session: bool
    fork_only: bool = False


class Inflate(Record):
    """Answer with this many bytes."""

    num_bytes: int


class Interrupt(Record):
    """Get the signal that Ctrl+C sends."""


class Write(Record):
    """Answer by creating a file, so that somebody outside can see it."""

    path: str


class Pids(Record):
    pids: tuple[int, ...]


def echo(request: Echo) -> Echo:
    return request


def nap(request: Nap) -> Echo:
    time.sleep(request.seconds)
    return Echo(text="awake")


def shout(request: Shout) -> Echo:
    print(request.text)  # noqa: T201 - what must not reach the frames
    sys.stdout.flush()
    os.write(1, request.text.encode())
    subprocess.run([sys.executable, "-S", "-c", f"print({request.text!r})"], check=True)
    return Echo(text=f"read {len(sys.stdin.read())}")


def refuse(request: Refuse) -> None:
    error: AltlasError = AltlasError.__new__(getattr(errors, request.kind))
    AltlasError.__init__(error, request.message)
    raise error


def stumble(request: Stumble) -> None:
    raise KeyError(request.message)


def die(request: Die) -> None:
    sys.stderr.write(request.last_words)
    sys.stderr.flush()
    if request.signal:
        os.kill(os.getpid(), request.signal)
    os._exit(request.exit_code)


def bear(request: Bear) -> Pids:
    if request.fork_only:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        return Pids(pids=(pid,))
    grandchild = subprocess.Popen([sys.executable, "-S", "-c", NAP], start_new_session=request.own_session)
    return Pids(pids=(grandchild.pid,))


def inflate(request: Inflate) -> Echo:
    return Echo(blob=bytes(request.num_bytes))


def interrupt(_request: Interrupt) -> Echo:
    os.kill(os.getpid(), signal.SIGINT)
    return Echo(text="still here")


def write(request: Write) -> None:
    Path(request.path).touch()


HANDLERS: dict[type[Record], Callable[..., Record | None]] = {
    Echo: echo,
    Nap: nap,
    Shout: shout,
    Refuse: refuse,
    Stumble: stumble,
    Die: die,
    Bear: bear,
    Inflate: inflate,
    Interrupt: interrupt,
    Write: write,
}

if __name__ == "__main__":
    print("printed before it serves")  # noqa: T201 - nor may this
    serve(HANDLERS, max_frame_bytes=int(sys.argv[1]))
