"""Tasks are proved in worker processes; the proofs come in order, and a lost worker proves nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.rewards.proving import Worker, prove_all, prove_by
from altlas_agent.settings.run import Settings
from altlas_agent.tasks.loader import read_entry
from tests.tasks.examples import function_task, stdout_task, write

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.tasks.checks import Proof

SET_UP = SetUpWorker(settings=Settings().model_dump_json(), languages=("python",))
QUICK = {"cpu_s": 0.3, "wall_s": 2.0}


@pytest.mark.timeout(90)
async def test_proofs_are_told_in_the_order_of_the_tasks(tmp_path: Path) -> None:
    trees = [
        function_task(name="slow", limits={"cpu_s": 1.0, "wall_s": 4.0}),
        stdout_task(name="wrong", cheats=["print(3 + 5)\n"], limits={**QUICK}),
        stdout_task(name="right", limits={**QUICK}),
    ]
    entries = [read_entry(write(tmp_path, tree), "here") for tree in trees]
    proofs: list[Proof] = []
    await prove_all(entries, SET_UP, jobs=2, tell=proofs.append)
    assert [(proof.key, proof.failures) for proof in proofs] == [
        ("here/slow", ()),
        ("here/wrong", ("cheat 1 succeeds on here/wrong",)),
        ("here/right", ()),
    ]


@pytest.mark.timeout(90)
async def test_a_worker_that_cannot_be_set_up_is_an_error(tmp_path: Path) -> None:
    entries = [read_entry(write(tmp_path, stdout_task()), "here")]
    set_up = SetUpWorker(settings=Settings().model_dump_json(), languages=("cobol",))
    with pytest.raises(ServiceMissingError, match="no sandbox runs 'cobol'"):
        await prove_all(entries, set_up, jobs=1, tell=lambda _: None)


@pytest.mark.timeout(90)
async def test_a_lost_worker_is_a_failed_proof(tmp_path: Path) -> None:
    entry = read_entry(write(tmp_path, stdout_task()), "here")
    argv = [sys.executable, "-m", "altlas_agent.rewards.service"]
    async with ChildProcess.start(name="worker-0", argv=argv) as child:
        child.kill()
        proof = await to_thread.run_sync(prove_by, Worker(child), entry)
    assert not proof.is_proved
    assert proof.failures[0].startswith("the sandbox worker was lost: worker-0 died")
