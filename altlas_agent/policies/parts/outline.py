"""What a policy of these settings is made of, said for people, and what it cannot write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import PolicyError

if TYPE_CHECKING:
    from altlas_agent.settings.policies import LstmPolicy, TransformerPolicy


def outline(settings: LstmPolicy | TransformerPolicy) -> dict[str, str]:
    """Name of a part to its size, or to off."""
    width, layers, heads = settings.shape
    reading = settings.reading
    texts = {"hint": reading.hint, "error": reading.error, "context": reading.context}
    read = ", ".join(["description", *(name for name, words in texts.items() if words)])
    with_heads = f"{heads} heads" if heads > 1 else "1 head"
    return {
        "kind": settings.type,
        "size": settings.size,
        "width": str(width),
        "layers": str(layers),
        "self attention": with_heads if settings.self_attention else "off",
        "cross attention": with_heads if settings.cross_attention else "off",
        "texts": read,
        "residual": "on" if settings.residual else "off",
        "layer norm": "on" if settings.layer_norm else "off",
        "positions": settings.positions,
        "window": str(settings.window),
        "initial": f"{settings.initial} x {settings.initial_scale:g}",
    }


def refuse_longer(tokens: int, settings: LstmPolicy | TransformerPolicy) -> None:
    """Raises PolicyError for programs that do not fit into the window."""
    if tokens > settings.window:
        raise PolicyError(
            f"a task allows {tokens} tokens, policy.window holds {settings.window}: enlarge it, or lower the "
            "max_tokens of the task"
        )
