"""The entry point: finds a command, turns errors into sentences, is the only place that exits.

Commands are imported when they are called, not before, so `kifabrik --help` stays quick.
"""

import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from kifabrik import __version__
from kifabrik.cli.help_pages import Context
from kifabrik.errors import CapacityError, KifabrikError, UsageError

_INTERRUPTED: Final = 130
_DISK_ERRNOS: Final = frozenset({"ENOSPC", "EDQUOT"})
_NOT_YOURS: Final = "See whose it is, and whether this user may read and write it (ls -l)."
_NOT_AS_THOUGHT: Final = "Look at what is there (ls -l), and name another path."
_MANY_FILES: Final = "Too many files are open: end other programs, or raise the limit (ulimit -n)."
_WHAT_TO_DO: Final = {
    "EACCES": _NOT_YOURS,
    "EPERM": _NOT_YOURS,
    "EROFS": "This disk can only be read: name a folder on another one.",
    "ENOENT": "It is gone, or was never there: look at its folder (ls -l).",
    "EISDIR": _NOT_AS_THOUGHT,
    "ENOTDIR": _NOT_AS_THOUGHT,
    "EEXIST": _NOT_AS_THOUGHT,
    "ENAMETOOLONG": "Use a shorter name.",
    "EMFILE": _MANY_FILES,
    "ENFILE": _MANY_FILES,
    "ENOMEM": "There is no memory left: end other programs, and try again.",
    "EIO": "The disk does not answer as it should: see the system's log (dmesg).",
}
"""What a person can do, by what the system says, where nothing nearer to the fault has said more."""


class LazyGroup(click.Group):
    """A group whose commands are named by module and described here, so listing them imports nothing.

    Args:
        lazy: Command name to (`module:attribute`, one-line help).
        meant: What is suggested for words that are no commands here, but are in other programs.
    """

    context_class = Context

    def __init__(
        self,
        *args: Any,
        lazy: dict[str, tuple[str, str]] | None = None,
        meant: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}
        self._meant = meant or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order they are declared."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, or suggest the nearest one."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = Context
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a suggestion for a misspelt one; `help WORDS` is `WORDS --help`."""
        if args[0] == "help" and "help" not in self.list_commands(ctx):
            if len(args) == 1:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - only needed for a misspelt command

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            meant = self._meant.get(args[0]) or (near[0] if near else "")
            if meant:
                raise click.UsageError(f"{error.message} Did you mean '{meant}'?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        rows = [(name, self._help_line(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _help_line(self, ctx: click.Context, name: str) -> str:
        if name in self._lazy:
            return self._lazy[name][1]
        command = super().get_command(ctx, name)
        return command.get_short_help_str(limit=90) if command else ""


_BEHIND: Final = ("--home", "--json")
"""Options that nearly every command has, and the program itself has not."""
_COMMANDS: Final = {
    "up": ("kifabrik.cli.up:up", "Start a factory on this machine."),
    "tenant": ("kifabrik.cli.tenant:tenant", "Create a tenant and its keyholder; invite and remove members."),
    "keyholder": (
        "kifabrik.cli.keyholder:keyholder",
        "Run and steer the keyholder: the one who releases keys.",
    ),
    "login": ("kifabrik.cli.login:login", "Enrol this machine with an invitation."),
    "dataset": ("kifabrik.cli.dataset:dataset", "Seal, list, grant and erase datasets."),
    "apply": ("kifabrik.cli.apply:apply", "Order a run from a job file and follow it."),
    "ps": ("kifabrik.cli.ps:ps", "List runs."),
    "logs": ("kifabrik.cli.logs:logs", "Show the log of a run, opened on this machine."),
    "results": ("kifabrik.cli.results:results", "Show the tasks of a sweep with their metrics."),
    "retry": ("kifabrik.cli.retry:retry", "Order again what failed, and only that."),
    "stop": ("kifabrik.cli.stop:stop", "Stop a run."),
    "why": ("kifabrik.cli.why:why", "Say what happened to a run, and why it waits or was refused."),
    "model": ("kifabrik.cli.model:model", "List, pull, verify and accept models."),
    "ledger": ("kifabrik.cli.ledger:ledger", "Show and verify the record of every use."),
    "env": ("kifabrik.cli.env:env", "Rebuild and verify the environment of a run."),
    "footprint": ("kifabrik.cli.footprint:footprint", "Show time, energy and cost of a run."),
    "statement": ("kifabrik.cli.statement:statement", "Make the month's statement: hours, euros, energy, carbon."),
    "recipe": ("kifabrik.cli.recipe:recipe", "Industrial workloads as sealed jobs."),
    "maintenance": (
        "kifabrik.cli.maintenance:maintenance",
        "Predictive maintenance: watch machines by their readings.",
    ),
    "supply-chain": (
        "kifabrik.cli.supply_chain:supply_chain",
        "Simulate and optimise supply networks.",
    ),
    "pharma": ("kifabrik.cli.pharma:pharma", "Models and screening for confidential compounds."),
    "plant": ("kifabrik.cli.plant:plant", "The digital twin of a site: power, cooling, river, heat."),
    "sap": ("kifabrik.cli.sap:sap", "Bring SAP data in sealed, and results back."),
    "open": ("kifabrik.cli.open_pages:open_pages", "Open the factory's pages in the browser, signed in."),
    "doctor": ("kifabrik.cli.doctor:doctor", "Check this machine and its connections."),
    "node": ("kifabrik.cli.node:node", "Look after a node: its keys, its agent, its jobs."),
    "admin": ("kifabrik.cli.admin:admin", "Operate a factory: sign-up codes, tenants, checks."),
    "completion": ("kifabrik.cli.completion:completion", "Print the completion script for your shell."),
}
_ELSEWHERE: Final = {
    "init": "up --single-party",
    "start": "up --single-party",
    "run": "apply",
    "submit": "apply",
    "status": "ps",
    "list": "ps",
    "cancel": "stop",
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    meant=_ELSEWHERE,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kifabrik", message="%(prog)s %(version)s")
def cli() -> None:
    """Train your own models on your own sealed data, on shared GPUs.

    \b
    First steps on one machine:
      kifabrik up --single-party      start a factory and keyholder to try
      kifabrik login invitation.json  enrol this machine
      kifabrik dataset seal line-7 ./measurements
      kifabrik dataset grant line-7 --purpose predictive-maintenance
      kifabrik apply job.yaml
    """  # noqa: D301 - \b is click's mark for a block kept as it is


def main() -> NoReturn:
    """Run the command line and exit with the status of the error class, or 0."""
    _open_streams()
    try:
        status = cli.main(standalone_mode=False)
    except KifabrikError as error:
        _fail(error)
    except click.exceptions.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            _interrupted()
        _unanswered()
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption) and error.option_name in _BEHIND and not _is_of_a_command(error):
            said = f"{error.option_name} goes behind the command: kifabrik ps {error.option_name} …"
            error = click.UsageError(said, error.ctx)
        if "--json" in sys.argv:
            _fail(UsageError(error.format_message(), hint="See --help."))
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        _fail(_from_os_error(error))
    except Exception as error:  # noqa: BLE001 - the last line of defence against a traceback on a terminal
        # While a class is made, Python turns an interruption into a RuntimeError.
        if isinstance(error.__cause__, KeyboardInterrupt):
            _interrupted()
        _fail(_unforeseen(error))
    sys.exit(status if isinstance(status, int) else 0)


def _interrupted() -> NoReturn:
    click.echo("Interrupted. The same command goes on where that can be, or begins again.", err=True)
    sys.exit(_INTERRUPTED)


def _unanswered() -> NoReturn:
    """End at a question that was answered with no, or by nobody."""
    if sys.stdin.isatty():
        click.echo("Nothing was done.", err=True)
    else:
        click.echo("\nNothing was done: there is no terminal to ask at. With --yes nothing is asked.", err=True)
    sys.exit(_INTERRUPTED)


def _open_streams() -> None:
    """Where a standard stream was closed by whoever started the command, read and write nothing there.

    Else the next file that is opened would be taken for it, and Python itself has None in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _is_of_a_command(error: click.UsageError) -> bool:
    return error.ctx is not None and error.ctx.parent is not None


def _from_os_error(error: OSError) -> KifabrikError:
    import errno  # noqa: PLC0415 - only needed on failure

    place = f": {error.filename}" if error.filename else ""
    message = f"{error.strerror or type(error).__name__}{place}"
    if errno.errorcode.get(error.errno or 0) in _DISK_ERRNOS:
        return CapacityError(message, hint="Free some space; what was under way can then be resumed.")
    return KifabrikError(message, hint=_WHAT_TO_DO.get(errno.errorcode.get(error.errno or 0, ""), ""))


def _unforeseen(error: Exception) -> KifabrikError:
    import tempfile  # noqa: PLC0415 - only needed on failure
    import traceback  # noqa: PLC0415

    with tempfile.NamedTemporaryFile(
        "w", prefix="kifabrik-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        traceback.print_exception(error, file=file)
    return KifabrikError(
        f"unforeseen {type(error).__name__}: this is a fault of kifabrik, not yours",
        hint=f"The details are in {Path(file.name)}; please report them.",
    )


def _fail(error: KifabrikError) -> NoReturn:
    if "--json" in sys.argv:
        import json  # noqa: PLC0415 - only needed on failure

        problem = {"code": error.code, "message": error.message, "hint": error.hint}
        with suppress(OSError):  # that nothing can be said there may be the error itself
            click.echo(json.dumps({"error": problem}, ensure_ascii=False))
            sys.stdout.flush()
    else:
        from kifabrik.cli.folding import folded  # noqa: PLC0415 - only needed on failure
        from kifabrik.cli.plain import plain  # noqa: PLC0415

        click.secho(folded(f"error: {plain(error.message)}"), fg="red", err=True)
        if error.hint:
            click.echo(folded(f"hint: {plain(error.hint)}"), err=True)
    sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
