"""Weights and optimiser state on disk, as safetensors: a checkpoint can hold numbers, never code."""

from __future__ import annotations

import hashlib
import math
import os
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load, save

from altlas_agent.core.errors import PolicyError, boundary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn
    from torch.optim import Optimizer

_MODEL, _OPTIMISER, _EXTRA, _RNG = "model.", "optimiser.", "extra.", "rng"


def write(
    folder: Path, version: int, model: nn.Module, optimiser: Optimizer, *, extra: Mapping[str, Tensor]
) -> tuple[Path, str]:
    """Write weights, optimiser moments, torch's random state and `extra`; give the path and the SHA-256.

    The file is complete under its name, which carries the hash, or not there at all. Raises PolicyError for weights that are
    not finite: they are never checkpointed.
    """
    tensors = _collect(model, optimiser) | {f"{_EXTRA}{name}": tensor for name, tensor in extra.items()}
    sick = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if sick:
        raise PolicyError(f"checkpoint of version {version} refused: {sick[0]} holds NaN or infinity")
    data = save(tensors, metadata={"format": "altlas-2"})  # one key: several come in any order
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"policy-{version:06d}-{digest[:12]}.safetensors"
    with boundary(PolicyError, f"writing checkpoint {path}"):
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, data)
    return path, digest


def read(path: Path, sha256: str, model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """Restore what `write` wrote, and give its `extra`. Raises PolicyError when the bytes are not those that were written."""
    with boundary(PolicyError, f"reading checkpoint {path}"):
        data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PolicyError(f"checkpoint {path} is damaged: its SHA-256 differs from the one in the store")
    with boundary(PolicyError, f"loading checkpoint {path}"):
        tensors = load(data)
        model.load_state_dict({k.removeprefix(_MODEL): v for k, v in tensors.items() if k.startswith(_MODEL)})
        _restore_optimiser(optimiser, tensors)
        torch.set_rng_state(tensors[_RNG])
    return {name.removeprefix(_EXTRA): t for name, t in tensors.items() if name.startswith(_EXTRA)}


def _collect(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    tensors = {f"{_MODEL}{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"{_OPTIMISER}{index}.{key}"] = torch.as_tensor(value).contiguous()
    tensors[_RNG] = torch.get_rng_state()
    return tensors


def _restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMISER):
            index, _, key = name.removeprefix(_OPTIMISER).partition(".")
            state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or math.isfinite(
        float(tensor.abs().max()) if tensor.numel() else 0.0
    )


def _write_whole(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
