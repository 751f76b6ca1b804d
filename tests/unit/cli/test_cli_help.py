"""Every command explains itself with an example; listing them imports nothing heavy; shells can complete."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from kifabrik.cli.help_pages import example_lines
from kifabrik.cli.main import cli

HEAVY = (
    "pydantic",
    "http.client",
    "cryptography",
    "rich",
    "yaml",
    "sqlalchemy",
    "fastapi",
    "cedarpy",
    "model_signing",
    "uv",
)


def commands():
    """Every command by its words, groups included."""

    def under(command, words):
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=words[-1] if words else "kifabrik")
            for name in command.list_commands(context):
                yield from under(command.get_command(context, name), (*words, name))

    return list(under(cli, ()))


COMMANDS = commands()
LEAVES = [(words, command) for words, command in COMMANDS if not isinstance(command, click.Group)]


def name(item):
    return " ".join(item) if isinstance(item, tuple) else ""


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=name)
def test_every_command_has_help_with_an_example_that_names_it(words, command):
    ran = CliRunner().invoke(cli, [*words, "--help"], prog_name="kifabrik")
    assert ran.exit_code == 0
    assert "Example" in ran.output
    assert f"kifabrik {' '.join(words)}" in ran.output
    assert command.help


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=name)
def test_no_line_of_help_is_wider_than_a_terminal_of_80_columns(words, command):
    ran = CliRunner().invoke(cli, [*words, "--help"], prog_name="kifabrik", terminal_width=80)
    assert [line for line in ran.output.splitlines() if len(line) > 80] == []


def test_an_example_that_is_too_long_goes_on_as_a_shell_takes_it():
    line = "  kifabrik x y --one 1 --two 'a b' --three 3      and so on"
    assert example_lines(line, 30) == [
        "  kifabrik x y --one 1 \\",
        "      --two 'a b' --three 3",
        "      and so on",
    ]
    assert example_lines(line, 80) == [line]


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=name)
def test_every_command_that_shows_something_can_do_it_as_json(words, command):
    if words[0] in ("up", "completion") or words in (
        ("keyholder", "run"),
        ("node", "serve"),
        ("plant", "serve"),
        ("node", "prolog"),
        ("node", "epilog"),
    ):
        return  # they serve, or print a script
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=name)
def test_every_option_says_what_it_is_for(words, command):
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == []


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=name)
def test_groups_list_their_commands_with_one_line_each(words, command):
    ran = CliRunner().invoke(cli, [*words, "--help"])
    assert ran.exit_code == 0
    if isinstance(command, click.Group):
        for child in command.list_commands(click.Context(command)):
            assert f"  {child} " in ran.output


def imported_by(code):
    """Modules that a fresh Python has imported after the code."""
    code += "; import json; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_help_imports_nothing_heavy():
    code = "import sys; from kifabrik.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
    loaded = imported_by(code)
    assert "kifabrik.cli.main" in loaded
    assert [module for module in HEAVY if module in loaded] == []


def test_the_customers_commands_need_nothing_of_the_factorys_side():
    modules = "kifabrik.cli.apply, kifabrik.cli.dataset_seal, kifabrik.cli.model_pull, kifabrik.cli.keyholder_run"
    loaded = imported_by(f"import sys, {modules}")
    assert [
        module for module in ("sqlalchemy", "fastapi", "uvicorn", "obstore", "pynvml") if module in loaded
    ] == []
    assert [module for module in loaded if module.startswith(("kifabrik.factory", "kifabrik.sandbox"))] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    ran = CliRunner().invoke(cli, ["completion", shell])
    assert ran.exit_code == 0
    assert f"_KIFABRIK_COMPLETE={shell}_complete" in ran.output


def test_completion_offers_commands_and_options():
    from click.shell_completion import ShellComplete

    complete = ShellComplete(cli, {}, "kifabrik", "_KIFABRIK_COMPLETE")
    assert [item.value for item in complete.get_completions(["model"], "ve")] == ["verify"]
    assert "--detach" in [item.value for item in complete.get_completions(["apply"], "--")]
    assert {"dataset", "doctor"} == {item.value for item in complete.get_completions([], "d")}


@pytest.mark.parametrize(
    "words", [("help",), ("dataset", "help"), ("help", "dataset", "seal"), ("dataset", "help", "seal")]
)
def test_help_may_be_asked_for_as_a_word(words):
    ran = CliRunner().invoke(cli, words, prog_name="kifabrik")
    meant = CliRunner().invoke(cli, [*(word for word in words if word != "help"), "--help"], prog_name="kifabrik")
    assert (ran.exit_code, ran.output) == (0, meant.output)
