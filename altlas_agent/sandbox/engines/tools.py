"""Finds the tools that run or compile a language, and tells which version of them lies there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.sandbox.engines.interpreters import Engine
from altlas_agent.sandbox.jail import ENVIRONMENT

if TYPE_CHECKING:
    from altlas_agent.languages.execution import Execution

_ALTERNATIVES = "/etc/alternatives"
"""Where many a /usr/bin/awk leads; nothing but links."""
_VERSION_TIMEOUT_S = 10.0


def find_tool(language: str, execution: Execution) -> Engine:
    """What the settings call by name, and the folders outside /usr that it needs.

    Raises ServiceMissingError, with the package that brings it.
    """
    path = shutil.which(execution.tool)
    if path is None:
        raise ServiceMissingError(
            f"no {execution.tool} on PATH, which {language} programs need; "
            f"install it: apt-get install {execution.package}"
        )
    alternatives = (_ALTERNATIVES,) if os.path.isdir(_ALTERNATIVES) else ()
    real = Path(os.path.realpath(path))
    if real.is_relative_to("/usr") and Path(path).is_relative_to("/usr"):
        # Under the name it was called by: some tools are several, and look at it.
        return Engine(path=path, folders=alternatives)
    if real.is_relative_to("/usr"):
        return Engine(path=str(real), folders=alternatives)
    return Engine(path=str(real), folders=(*alternatives, str(real.parent.parent)))


def stamp(engine: Engine) -> str:
    """Differs when another version was installed; "" when there is nothing any more."""
    try:
        seen = os.stat(engine.path)
    except OSError:
        return ""
    return f"{engine.path} {seen.st_size} {seen.st_mtime_ns}"


def version(engine: Engine) -> str:
    """What the tool says of itself, such as 12.2.0; "" when it says nothing in time."""
    try:
        said = subprocess.run(
            [engine.path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=ENVIRONMENT,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = (said.stdout or said.stderr).decode(errors="replace")
    found = re.search(r"(?<![\w.])v?(\d+(?:\.\d+)+)", text)
    return found[1] if found else text.strip().partition("\n")[0][:80]
