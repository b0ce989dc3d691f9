"""Child-side main of the student process: answers set-up, generate, learn and save requests.

torch is imported before the first request is there, since it takes longer than all else until a run is
ready. The environment says one thread, the settings how many: on a machine with two cores the default number
of threads can cost a factor of ten (spinning threads that wait for each other).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from altlas_agent.core.children.serve import serve
from altlas_agent.core.errors import PolicyError
from altlas_agent.core.requests import (
    Done,
    Generate,
    Generated,
    Learn,
    Learned,
    ResetWeights,
    Save,
    Saved,
    SetUpStudent,
    Steer,
    StudentReady,
    WasReset,
)

if TYPE_CHECKING:
    from altlas_agent.learning.student import Student


class _Service:
    """Holds the one student of this process, once it is set up."""

    def __init__(self) -> None:
        self._student: Student | None = None

    def set_up(self, request: SetUpStudent) -> StudentReady:
        from altlas_agent.settings.run import Settings

        settings = Settings.model_validate_json(request.settings)
        _limit_threads(settings.learning.threads)
        from altlas_agent.learning.student import Student

        self._student = student = Student(settings, request.seed)
        loop = student.restore(request.checkpoint) if request.checkpoint else b""
        features = student.policy.features()
        return StudentReady(
            parameters=student.policy.num_parameters, version=student.version, loop=loop, features=features
        )

    def generate(self, request: Generate) -> Generated:
        return self._ready().generate(request)

    def learn(self, request: Learn) -> Learned:
        return self._ready().learn(request)

    def steer(self, request: Steer) -> Done:
        from altlas_agent.settings.run import Settings

        self._ready().steer(Settings.model_validate_json(request.settings))
        return Done()

    def reset(self, request: ResetWeights) -> WasReset:
        return self._ready().reset(request)

    def save(self, request: Save) -> Saved:
        return self._ready().save(request)

    def _ready(self) -> Student:
        if self._student is None:
            raise PolicyError("the student was asked before it was set up")
        return self._student


def _limit_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms would load torch's compiler


def _import_student() -> None:
    for name in ("altlas_agent.learning.student", "altlas_agent.settings.run"):
        importlib.import_module(name)


def main() -> None:
    service = _Service()
    serve(
        {
            SetUpStudent: service.set_up,
            Steer: service.steer,
            Generate: service.generate,
            Learn: service.learn,
            ResetWeights: service.reset,
            Save: service.save,
        },
        prepare=_import_student,
    )


if __name__ == "__main__":
    main()
