"""What the kernel shows of processes, read as it is meant."""

from __future__ import annotations

import os
import subprocess

import pytest

from altlas_agent.sandbox.walls.processes import tasks_of
from tests.sandbox.attacks import JAIL_UID

HIDDEN = """
import ctypes, sys
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
print(flush=True)
sys.stdin.read()
"""
"""Like all that lives in a jail: it may not be dumped, so that its entry in /proc is root's."""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user who runs nothing else")
def test_processes_of_a_user_that_look_like_those_of_root_are_counted() -> None:
    before = tasks_of(JAIL_UID)
    with subprocess.Popen(
        ["/usr/bin/python3", "-c", HIDDEN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=JAIL_UID,
    ) as hidden:
        assert hidden.stdout is not None
        hidden.stdout.readline()
        assert tasks_of(JAIL_UID) == before + 1
        hidden.communicate()
