"""Commands as other users, by small processes; with programs of this machine in the place of Slurm's."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kifabrik.engines.slurm import deputy
from kifabrik.engines.slurm.deputies import Deputies
from kifabrik.errors import NotFoundError, RefusedError, UnavailableError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as another user")
PROGRAMS = {"PATH": "/usr/bin:/bin"}


def said(deputies, *words, user="daemon", stdin="", patience_s=60.0):
    setpriv = shutil.which("setpriv")
    ran = deputies.run(user, words, PROGRAMS, setpriv=setpriv, stdin=stdin, patience_s=patience_s)
    return ran.said or f"{ran.status} {ran.complained}"


def test_a_command_gets_its_input_its_user_and_none_of_the_services_privileges():
    deputies = Deputies()
    assert said(deputies, "/bin/cat", stdin="a\nü\n") == "a\nü\n"
    ids = dict(line.split(":\t", 1) for line in said(deputies, "/bin/cat", "/proc/self/status").splitlines())
    daemon = pwd.getpwnam("daemon")
    assert ids["Uid"].split() == [str(daemon.pw_uid)] * 4
    assert ids["Gid"].split() == [str(daemon.pw_gid)] * 4
    assert {int(ids[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert ids["NoNewPrivs"] == "1"
    assert ids["Groups"].split() == [str(number) for number in sorted(os.getgrouplist("daemon", daemon.pw_gid))]
    back = "import os; os.setresuid(0, 0, 0)"
    assert "Operation not permitted" in said(deputies, "/usr/bin/python3", "-c", back)
    assert said(deputies, "/bin/sh", "-c", "exit 3") == "3 "
    assert said(deputies, "/nowhere/sbatch").startswith("126 /nowhere/sbatch: ")


def test_a_command_finds_no_open_file_and_no_variable_of_the_service(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    with (tmp_path / "key").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert said(Deputies(), "/bin/ls", "/proc/self/fd").split() == [
            "0",
            "1",
            "2",
            "3",
        ]  # 3 is the folder itself
        assert said(Deputies(), "/usr/bin/env") == "PATH=/usr/bin:/bin\n"


def test_each_command_has_its_own_user_and_the_deputy_is_root_again_after_it():
    deputies = Deputies()
    for user in ("daemon", "nobody", "daemon"):
        assert said(deputies, "/usr/bin/id", "-un", user=user) == f"{user}\n"
    parent = said(deputies, "/bin/sh", "-c", "echo $PPID").strip()
    held = dict(line.split(":\t", 1) for line in Path(f"/proc/{parent}/status").read_text().splitlines())
    assert (held["Uid"].split(), held["Gid"].split(), held["Groups"].strip()) == (["0"] * 4, ["0"] * 4, "")


def test_a_command_cannot_look_into_the_deputy_that_has_its_user():
    look = "stat -c %u /proc/$PPID/maps; cat /proc/$PPID/maps && echo open"
    ran = Deputies().run(
        "daemon", ["/bin/sh", "-c", look], PROGRAMS, setpriv=shutil.which("setpriv"), patience_s=60.0
    )
    assert (ran.said, ran.status) == ("0\n", 1)
    assert "Permission denied" in ran.complained


def test_commands_run_side_by_side_and_their_deputies_are_used_again():
    deputies = Deputies()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        Path(folder).chmod(0o777)
        meet = f"echo $PPID; : > {folder}/$$; until [ $(ls {folder} | wc -l) = 4 ]; do sleep 0.02; done"
        parents = list(pool.map(lambda _: said(deputies, "/bin/sh", "-c", meet), range(4)))
    assert len(set(parents)) == 4
    assert said(deputies, "/bin/sh", "-c", "echo $PPID") in parents


def test_who_is_root_by_another_name_is_refused(monkeypatch):
    with pytest.raises(RefusedError, match="never submitted as root"):
        said(Deputies(), "/usr/bin/id", user="root")
    with pytest.raises(NotFoundError, match="kf-nobody-at-all"):
        said(Deputies(), "/usr/bin/id", user="kf-nobody-at-all")
    entry = pwd.struct_passwd(("kf-toor", "x", 0, 0, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: entry)
    wish = {"words": ["/usr/bin/id"], "environment": {}, "stdin": "", "patience_s": 1.0}
    assert deputy.answer(user="kf-toor", **wish) == {"refused": deputy.ROOT}


def test_what_does_not_end_and_whoever_dies_over_it_are_no_answer_and_the_next_is_served():
    deputies = Deputies()
    with pytest.raises(UnavailableError, match=r"sleep did not answer within 0\.2 s"):
        said(deputies, "/bin/sleep", "60", patience_s=0.2)
    parent = int(said(deputies, "/bin/sh", "-c", "echo $PPID"))
    os.kill(parent, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="other users"):
        said(deputies, "/bin/true")
    assert int(said(deputies, "/bin/sh", "-c", "echo $PPID")) != parent


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)"])
def test_deputies_end_with_whoever_asks_them(end):
    program = f"""
import os
from kifabrik.engines.slurm.deputies import Deputies
deputies = Deputies()
print(deputies.run("daemon", ["/bin/sh", "-c", "echo $PPID"], {{}}, setpriv="/usr/bin/setpriv", patience_s=60).said)
import sys; sys.stdout.flush()
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    until = time.monotonic() + 60
    while Path(f"/proc/{done.stdout.strip()}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{done.stdout.strip()}").exists()
