"""Control groups for processes that run one program each: taken, limited, asked, and used again."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from altlas_agent.core.errors import SandboxError
from altlas_agent.sandbox.walls.cgroup import LAYER, Cgroup

if TYPE_CHECKING:
    from collections.abc import Generator

    from altlas_agent.sandbox.jail import Launch
    from altlas_agent.sandbox.walls.cgroup import Account

ROOM_FOR_PROCESSES = 48
"""What bubblewrap, a harness and the threads of an engine may take beyond the program's own limit, which is set
inside the jail: this one is for what slips past that."""


@contextmanager
def joining(launch: Launch, group: Cgroup | None) -> Generator[Launch]:
    """The launch of something that becomes a member of the group before it starts."""
    files = group.join_files() if group else []
    try:
        yield replace(launch, groups=tuple(files))
    finally:
        for fd in files:
            os.close(fd)


class Groups:
    """The groups of one runner. A removed group leaves something behind in the kernel, so none is thrown away."""

    def __init__(self) -> None:
        self._free: list[Cgroup] = []
        self._can_make = True
        self._free = [group] if (group := self.take()) else []

    @property
    def layers(self) -> tuple[str, ...]:
        """What they add to the layers of a jail: nothing where none can be made."""
        return (LAYER,) if self._can_make else ()

    def take(self) -> Cgroup | None:
        """One without members, None where none can be made."""
        if self._free:
            return self._free.pop()
        if self._can_make:
            with suppress(SandboxError):
                return Cgroup.make()
            self._can_make = False
        return None

    def give_back(self, group: Cgroup) -> None:
        """Its members have ended; where one has not, it is ended with its group."""
        if group.is_empty():
            self._free.append(group)
        else:
            group.close()

    def close(self) -> None:
        """Remove those that are free; those that are taken have to be given back before."""
        while self._free:
            self._free.pop().close()


class Ledger:
    """What one program takes of the memory of a group, from the word to go to its end."""

    def __init__(self, group: Cgroup, *, memory_bytes: int, processes: int) -> None:
        """Raises OSError when the kernel refuses the limit."""
        self._group = group
        self._own_bytes = group.usage_bytes()
        group.limit(self._own_bytes + memory_bytes, processes + ROOM_FOR_PROCESSES)
        group.account()

    def has_killed(self) -> bool:
        """Whether the kernel ended something for want of memory."""
        return self._group.has_killed()

    def close(self) -> Account:
        """What was used."""
        used = self._group.account()
        return replace(used, peak_bytes=max(0, used.peak_bytes - self._own_bytes))
