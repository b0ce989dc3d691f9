"""A group of commands of which only the one that is called is imported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem

    Table = Mapping[str, tuple[str, str]]
    """Name -> where the command lives (`module:attribute`), and its line in --help."""


class LazyGroup(click.Group):
    """A group with a table of commands, which --help lists without importing them.

    A subclass has the table. Commands that are added as to any group come behind those of the table.
    """

    table: ClassVar[Table] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return self.commands.get(cmd_name)
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: object = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:  # click would guess among those of no table only
            known = self.list_commands(ctx)
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines().items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # Imported here: needed only when a shell asks for completion.
        from click.shell_completion import CompletionItem

        lines = self._lines()
        found = [CompletionItem(name, help=lines[name]) for name in lines if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def _lines(self) -> dict[str, str]:
        lines = {name: line for name, (_, line) in self.table.items()}
        return lines | {name: command.get_short_help_str(80) for name, command in self.commands.items()}
