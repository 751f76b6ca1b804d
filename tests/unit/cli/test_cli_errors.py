"""The entry point turns every failure into a sentence and a status; a traceback reaches no terminal."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kifabrik.errors import BY_CODE

RAISING = """
import sys
import click
from kifabrik.cli import main
from kifabrik import errors

@main.cli.command("fail")
@click.option("--json", "as_json", is_flag=True)
def fail(as_json):
    {statement}

sys.argv = ["kifabrik", "fail", *sys.argv[1:]]
main.main()
"""


def run(statement, *words, **options):
    return subprocess.run(
        [sys.executable, "-c", RAISING.format(statement=statement), *words],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_an_error_is_one_line_with_a_hint_and_the_status_of_its_class(code):
    error = BY_CODE[code]
    said = run(f"raise errors.{error.__name__}('it went wrong', hint='do that')")
    assert (said.returncode, said.stdout) == (error.exit_status, "")
    assert said.stderr == "error: it went wrong\nhint: do that\n"


def test_with_json_an_error_is_one_document_on_stdout():
    said = run("raise errors.NotFoundError('no such thing', hint='look')", "--json")
    assert said.returncode == 3
    assert json.loads(said.stdout) == {"error": {"code": "not-found", "message": "no such thing", "hint": "look"}}
    assert said.stderr == ""


def test_a_full_disk_is_a_lack_of_capacity():
    said = run(f"raise OSError({errno.ENOSPC}, 'No space left on device', '/data/x')")
    assert said.returncode == 8
    assert "No space left on device: /data/x" in said.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EISDIR, errno.EMFILE, errno.EIO])
def test_what_the_system_refuses_comes_with_what_to_do(number):
    said = run(f"raise OSError({number}, 'refused', '/data/x')")
    error, hint = said.stderr.splitlines()
    assert error == "error: refused: /data/x"
    assert hint.startswith("hint: ")


def test_any_other_failure_of_the_system_names_the_file():
    said = run(f"raise PermissionError({errno.EACCES}, 'Permission denied', '/data/x')")
    assert said.returncode == 1
    assert said.stderr.startswith("error: Permission denied: /data/x\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_was_closed_is_no_fault_of_the_command(tmp_path, closed):
    statement = "click.echo('said'); click.echo('told', err=True); sys.stdin.read()"
    (tmp_path / "program.py").write_text(RAISING.format(statement=statement))
    said = subprocess.run(
        f"{sys.executable} {tmp_path / 'program.py'} {closed}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_full_disk_behind_stdout_ends_with_a_status_and_no_traceback(words):
    with Path("/dev/full").open("w") as full:
        said = subprocess.run(
            [sys.executable, "-c", RAISING.format(statement="click.echo('x' * 100_000)"), *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert said.returncode == 8
    assert "Traceback" not in said.stderr
    assert "Exception ignored" not in said.stderr


def test_a_question_nobody_can_answer_says_how_to_go_without_it():
    said = run("click.confirm('Sure?', abort=True, err=True)", stdin=subprocess.DEVNULL)
    assert said.returncode == 130
    assert "--yes" in said.stderr


def test_what_nobody_foresaw_goes_into_a_file_and_not_to_the_terminal(tmp_path):
    said = run("raise ZeroDivisionError('the details')", env={"TMPDIR": str(tmp_path)})
    assert said.returncode == 1
    assert "Traceback" not in said.stderr
    assert "ZeroDivisionError" in said.stderr
    (report,) = tmp_path.glob("kifabrik-error-*.txt")
    assert str(report) in said.stderr
    assert "the details" in Path(report).read_text()
    assert report.stat().st_mode & 0o077 == 0


NAMED = "type('Key', (), {'__set_name__': lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)})()"


@pytest.mark.parametrize("statement", ["raise KeyboardInterrupt", f"type('Holder', (), {{'key': {NAMED}}})"])
def test_interrupting_says_what_the_same_command_does(statement):
    said = run(statement)
    assert said.returncode == 130
    assert said.stderr.lstrip() == "Interrupted. The same command goes on where that can be, or begins again.\n"


def test_a_reader_that_goes_away_is_told_nothing():
    code = RAISING.format(statement="[click.echo('x' * 1000) for _ in range(1000)]")
    piped = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    piped.stdout.read(10)
    piped.stdout.close()
    said = piped.stderr.read()
    piped.stderr.close()
    assert piped.wait() == 1
    assert said == b""
