"""The second party of `kifabrik up --single-party`: a tenant and its keyholder on the same machine."""

import json
import secrets
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from kifabrik.cli.terminal import done, remark, warn
from kifabrik.customer.profile import usual_folder
from kifabrik.durable import write_whole
from kifabrik.errors import ConflictError

_KIFABRIK: Final = (sys.executable, "-m", "kifabrik.cli.main")
_ENDING_S: Final = 10.0


class SingleParty:
    """Makes a tenant once, and runs its keyholder as a process of its own.

    Args:
        home: Folder of keys and settings; the keyholder lies in `keyholder` below it.
        factory: Folder of the factory.
    """

    def __init__(self, home: Path, factory: Path) -> None:
        self._home = home
        self._factory = factory
        self._keyholder: subprocess.Popen[bytes] | None = None

    def begin(self, url: str) -> None:
        """Set up what is missing and start the keyholder, beside the service that has just begun to answer."""
        warn("Single party: factory and keyholder share this machine and its user. This is ONE TRUST DOMAIN:")
        warn("whoever controls this machine controls the keys. It is for trying things out.")
        threading.Thread(target=self._begin, args=(url,), name="single-party", daemon=True).start()

    def end(self) -> None:
        """Stop the keyholder."""
        if self._keyholder is None or self._keyholder.poll() is not None:
            return
        self._keyholder.terminate()
        try:
            self._keyholder.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self._keyholder.kill()

    def _begin(self, url: str) -> None:
        invitation = self._home / "invitation.json"
        key_file = self._home / "keyholder.key"
        passphrase = self._home / "passphrase.txt"
        # A start that was cut off is gone on with: only it leaves a passphrase and no key file or invitation.
        if not passphrase.exists() and not (self._home / "keyholder").exists():
            write_whole(passphrase, f"{secrets.token_urlsafe(24)}\n".encode())
        if passphrase.exists() and not key_file.exists():
            code = json.loads(self._kifabrik("admin", "code", "--json"))["code"]
            self._kifabrik(
                *("tenant", "create", "--factory", url, "--code", code),
                *("--passphrase-file", str(passphrase), "--key-file", str(key_file)),
                may=(ConflictError.exit_status,),  # it had signed up, and its key file was still to be written
            )
            if not key_file.exists():
                self._kifabrik("keyholder", "key-file", str(key_file), "--passphrase-file", str(passphrase))
        if passphrase.exists() and not invitation.exists() and not (self._home / "member").exists():
            self._kifabrik(
                *("tenant", "invite", "--role", "owner", "--name", "me", "--out", str(invitation)),
                *("--passphrase-file", str(passphrase)),
            )
        self._keyholder = subprocess.Popen(
            [*_KIFABRIK, "keyholder", "run", "--home", str(self._home), "--key-file", str(key_file)],
            stdin=subprocess.DEVNULL,
        )
        done("The keyholder runs")
        if invitation.exists():
            remark("  In another terminal:")
            if self._home.resolve() != usual_folder().resolve():
                remark(f"    export KIFABRIK_HOME={shlex.quote(str(self._home.resolve()))}")
            remark(f"    kifabrik login {shlex.quote(str(invitation.resolve()))}")
            remark(f"  Grants and erasures ask for the passphrase in {self._home / 'passphrase.txt'}")

    def _kifabrik(self, *words: str, may: tuple[int, ...] = ()) -> str:
        ran = subprocess.run(
            [*_KIFABRIK, *words, "--home", str(self._home)], capture_output=True, text=True, check=False
        )
        if ran.returncode not in (0, *may):
            warn(f"kifabrik {' '.join(words[:2])}: {ran.stderr.strip()}")
        return ran.stdout
