"""Weights and optimiser state on disk, as safetensors: a checkpoint can hold numbers, never code."""

from __future__ import annotations

import errno
import hashlib
import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

import torch
from safetensors import safe_open
from safetensors.torch import load, save

from altlas_agent.core.errors import NoRoomError, PolicyError, boundary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn


class Optimiser(Protocol):
    """What of an optimiser is kept beside the weights."""

    def tensors(self) -> dict[str, Tensor]:
        """What going on needs, by name."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from there."""
        ...


FORMAT = "altlas-2"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_MODEL, _OPTIMISER, _EXTRA, _RNG = "model.", "optimiser.", "extra.", "rng"


def write(
    folder: Path, version: int, model: nn.Module, optimiser: Optimiser, *, extra: Mapping[str, Tensor]
) -> tuple[Path, str]:
    """Write weights, optimiser moments, torch's random state and `extra`; give the path and the SHA-256.

    The file is complete under its name, which carries the hash, or not there at all. Raises NoRoomError when
    the disk is full, and PolicyError for weights that are not finite: they are never checkpointed.
    """
    tensors = _collect(model, optimiser) | {f"{_EXTRA}{name}": tensor for name, tensor in extra.items()}
    sick = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if sick:
        raise PolicyError(f"checkpoint of version {version} refused: {sick[0]} holds NaN or infinity")
    data = save(tensors, metadata={"format": FORMAT})  # one key: several come in any order
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"policy-{version:06d}-{digest[:12]}.safetensors"
    with boundary(PolicyError, f"writing checkpoint {path}"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, data)
        except OSError as error:
            if error.errno in _FULL:
                raise NoRoomError(f"no room for checkpoint {path} ({len(data)} bytes): {error}") from error
            raise
    return path, digest


def read(path: Path, sha256: str, model: nn.Module, optimiser: Optimiser) -> dict[str, Tensor]:
    """Restore what `write` wrote, and give its `extra`. Raises PolicyError when the bytes are not those that were written."""
    with boundary(PolicyError, f"reading checkpoint {path}"):
        data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PolicyError(f"checkpoint {path} is damaged: its SHA-256 differs from the one in the store")
    with boundary(PolicyError, f"loading checkpoint {path}"):
        tensors = load(data)
        model.load_state_dict(_below(_MODEL, tensors))
        optimiser.restore(_below(_OPTIMISER, tensors))
        torch.set_rng_state(tensors[_RNG])
    return _below(_EXTRA, tensors)


def sweep(folder: Path, *, since: int, known: Path | None) -> None:
    """Remove what a process left here that was killed while it saved: files that nobody was told of.

    The caller goes on from version `since`, from the file `known`, because no newer one that is whole was
    ever told of. What is damaged or of another format is left alone.
    """
    for path in folder.glob("policy-*.part"):
        path.unlink()
    for path in folder.glob("policy-*.safetensors"):
        if path != known and int(path.stem.split("-")[1]) >= since and _is_ours(path):
            path.unlink()


def _is_ours(path: Path) -> bool:
    if not hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.split("-")[2]):
        return False
    with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] - it leaves itself untyped
        metadata = cast("dict[str, str]", file.metadata())  # pyright: ignore[reportUnknownMemberType]
    return metadata.get("format") == FORMAT


def _collect(model: nn.Module, optimiser: Optimiser) -> dict[str, Tensor]:
    tensors = {f"{_MODEL}{name}": tensor.contiguous() for name, tensor in model.state_dict().items()}
    tensors |= {f"{_OPTIMISER}{name}": tensor.contiguous() for name, tensor in optimiser.tensors().items()}
    return tensors | {_RNG: torch.get_rng_state()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or math.isfinite(
        float(tensor.abs().max()) if tensor.numel() else 0.0
    )


def _write_whole(path: Path, data: bytes) -> None:
    """Temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()  # a full disk needs the room
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
