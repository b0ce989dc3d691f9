"""altlas completion: what a shell must be told to complete our commands, options and runs."""

from __future__ import annotations

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), metavar="|".join(_SHELLS))
def completion(*, shell: str) -> None:
    """Write the completion script for a shell.

    \b
    bash   altlas completion bash > ~/.local/share/bash-completion/completions/altlas
    zsh    altlas completion zsh > ~/.zfunc/_altlas   (with ~/.zfunc in fpath)
    fish   altlas completion fish > ~/.config/fish/completions/altlas.fish
    """
    # Imported here: the command that is completed imports this module's group, not this.
    from click.shell_completion import get_completion_class

    from altlas_agent.cli.main import altlas

    writer = get_completion_class(shell)
    assert writer is not None, "click knows these shells"
    click.echo(writer(altlas, {}, "altlas", "_ALTLAS_COMPLETE").source())
