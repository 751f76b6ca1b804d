"""What a newcomer does wrong is said before anything is asked or changed, with what to do instead."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.cli.options import Country
from kifabrik.cli.unlock import ask_passphrase
from kifabrik.errors import NotFoundError, SignInError, UsageError

KEYHOLDERS = (
    ("keyholder", "status"),
    ("keyholder", "run"),
    ("keyholder", "asked"),
    ("keyholder", "freeze"),
    ("keyholder", "backup", "copy.backup"),
    ("tenant", "invite", "--role", "engineer", "--name", "Karl"),
)


@pytest.mark.parametrize("words", KEYHOLDERS, ids=" ".join)
def test_where_there_is_no_keyholder_nobody_is_asked_for_its_passphrase(tmp_path, words):
    ran = CliRunner().invoke(cli, [*words, "--home", str(tmp_path)], input="secret\n")
    assert isinstance(ran.exception, NotFoundError)
    assert "there is no keyholder in" in ran.exception.message
    assert "kifabrik tenant create" in ran.exception.hint
    assert "Passphrase" not in ran.output


def test_without_a_terminal_a_passphrase_is_not_read_from_elsewhere():
    code = (
        "from kifabrik.cli import main, unlock\n"
        "@main.cli.command('ask')\ndef ask():\n    unlock.ask_passphrase(None)\n"
        "main.main()\n"
    )
    asked = subprocess.run(
        [sys.executable, "-c", code, "ask"],
        input="secret\n",
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # away from this process's own terminal
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert asked.returncode == UsageError.exit_status
    assert "error: Passphrase of the keyholder: there is no terminal to ask for it at" in asked.stderr
    assert "--passphrase-file" in asked.stderr
    assert "getpass" not in asked.stderr


@pytest.mark.parametrize("content", ["", "\n", "\nsecond line\n"])
def test_a_passphrase_file_without_a_first_line_is_said_so(tmp_path, content):
    file = tmp_path / "passphrase.txt"
    file.write_text(content)
    with pytest.raises(NotFoundError, match="holds no passphrase"):
        ask_passphrase(file)


@pytest.mark.parametrize(("written", "code"), [("DE", "DE"), ("de", "DE"), (" at ", "AT"), ("", "")])
def test_a_country_is_its_code_in_capitals(written, code):
    assert Country().convert(written, None, None) == code


@pytest.mark.parametrize("written", ["Deutschland", "D", "DEU", "49", "Ö1", "ÄÖ"])
def test_what_is_no_code_of_a_country_is_refused(written):
    with pytest.raises(click.BadParameter, match="such as DE"):
        Country().convert(written, None, None)


@pytest.mark.parametrize("words", [("dataset", "grant", "line-7", "--purpose", "x"), ("up",), ("node", "init")])
def test_a_country_by_its_name_is_refused_before_anything_is_made(tmp_path, words):
    ran = CliRunner().invoke(cli, [*words, "--country", "Deutschland", "--home", str(tmp_path / "new")])
    assert ran.exit_code == UsageError.exit_status
    assert "'Deutschland' is not an ISO country code" in ran.output
    assert not (tmp_path / "new").exists()


def test_an_invitation_that_is_no_text_is_said_so(tmp_path):
    file = tmp_path / "invitation.json"
    file.write_bytes(b"\xff\xfe\x00\x81")
    ran = CliRunner().invoke(cli, ["login", str(file), "--home", str(tmp_path)])
    assert isinstance(ran.exception, UsageError)
    assert "is not a text file" in ran.exception.message


def test_an_invitation_that_is_another_document_is_said_so(tmp_path):
    file = tmp_path / "invitation.json"
    file.write_text('{"name": "something else"}')
    ran = CliRunner().invoke(cli, ["login", str(file), "--home", str(tmp_path)])
    assert isinstance(ran.exception, SignInError)
    assert "not an invitation" in ran.exception.message


@pytest.mark.parametrize("option", ["--home", "--json"])
def test_an_option_of_commands_before_the_command_is_told_its_place(option):
    ran = subprocess.run(
        [sys.executable, "-m", "kifabrik.cli.main", option, "ps"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == UsageError.exit_status
    assert f"{option} goes behind the command: kifabrik ps {option}" in ran.stdout + ran.stderr


@pytest.mark.parametrize(("word", "meant"), [("init", "up --single-party"), ("submit", "apply"), ("lgos", "logs")])
def test_a_word_that_is_no_command_gets_the_one_that_is_meant(word, meant):
    ran = CliRunner().invoke(cli, [word])
    assert f"No such command '{word}'. Did you mean '{meant}'?" in ran.output


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("statement",), "End it in .html, .csv or .json."),
        (("admin", "bill"), "End it in .csv or .html."),
        (("ledger", "report"), "End it in .html."),
    ],
    ids=["statement", "admin bill", "ledger report"],
)
def test_a_file_to_write_whose_name_does_not_say_as_what_is_refused_before_anything_is_asked(tmp_path, words, hint):
    ran = CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "page.pdf"), "--home", str(tmp_path)])
    assert isinstance(ran.exception, UsageError)
    assert "page.pdf: what to write is not clear from its name" in ran.exception.message
    assert ran.exception.hint == hint
