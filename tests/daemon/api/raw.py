"""Bytes on the socket of a daemon, well-formed or not."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Error(msgspec.Struct):
    kind: str
    message: str


class Refusal(msgspec.Struct):
    error: Error


def connected(path: Path, timeout_s: float = 20.0) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    sock.connect(str(path))
    return sock


def read_all(sock: socket.socket) -> bytes:
    """Until the other side closes, or resets."""
    data = bytearray()
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return bytes(data)


def say(path: Path, *parts: bytes, timeout_s: float = 20.0) -> tuple[int, bytes]:
    """Send bytes as they are, and read the answer to its end: its status, or 0 for none, and its body."""
    with connected(path, timeout_s) as sock:
        try:
            for part in parts:
                sock.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        return split(read_all(sock))


def split(answer: bytes) -> tuple[int, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]), body) if head.startswith(b"HTTP/1.1 ") else (0, answer)


def request(path: Path, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request as it should be."""
    head = (
        f"{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return say(path, head.encode() + body)


def refusal(body: bytes) -> Error:
    return msgspec.json.decode(body, type=Refusal).error
