"""A real TPM 2.0 in software (libtpms), with an endorsement certificate of a manufacturer of its own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_localca", "tpm2_quote")
MISSING = [program for program in _PROGRAMS if shutil.which(program, path=_PATH) is None]
PATIENCE_S = 30.0

needs_swtpm = pytest.mark.skipif(
    bool(MISSING), reason=f"without {', '.join(MISSING)}; as root: scripts/install-swtpm"
)


@dataclass
class SoftwareTpm:
    """One TPM.

    Args:
        home: Folder of its state.
        authority: Folder of the manufacturer that certifies its endorsement key.
    """

    home: Path
    authority: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def connection(self) -> str:
        """As tpm2-tools name it."""
        return f"swtpm:path={self.home / 'tpm.sock'}"

    @property
    def roots(self) -> Path:
        """The manufacturer's certificates: PEM, the root and what it lets certify TPMs."""
        issuer = (self.authority / "issuercert.pem").read_bytes()
        root = (self.authority / "swtpm-localca-rootca-cert.pem").read_bytes()
        file = self.authority / "roots.pem"
        file.write_bytes(issuer + root)
        return file

    def make(self) -> None:
        """Manufacture it."""
        self.home.mkdir(parents=True)
        self.authority.mkdir(parents=True, exist_ok=True)
        (self.authority / "ca.conf").write_text(
            f"statedir = {self.authority}\nsigningkey = {self.authority / 'signkey.pem'}\n"
            f"issuercert = {self.authority / 'issuercert.pem'}\ncertserial = {self.authority / 'certserial'}\n"
        )
        (self.authority / "setup.conf").write_text(
            f"create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {self.authority / 'ca.conf'}\n"
            "create_certs_tool_options = /etc/swtpm-localca.options\nactive_pcr_banks = sha256\n"
        )
        words = ["--tpm2", "--tpmstate", str(self.home), "--create-ek-cert", "--pcr-banks", "sha256"]
        self._run("swtpm_setup", *words, "--config", str(self.authority / "setup.conf"))

    def start(self) -> None:
        """Switch it on, as a boot does."""
        socket = self.home / "tpm.sock"
        words = ["--tpm2", "--tpmstate", f"dir={self.home}", "--server", f"type=unixio,path={socket}"]
        words += ["--ctrl", f"type=unixio,path={socket}.ctrl", "--flags", "not-need-init,startup-clear"]
        log = (self.home / "swtpm.log").open("a")
        with log:
            self.process = subprocess.Popen(["swtpm", "socket", *words], env={"PATH": _PATH}, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while not socket.exists():
            assert self.process.poll() is None, (self.home / "swtpm.log").read_text()
            assert time.monotonic() < until, "the software TPM does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """Switch it off in good order: else it counts a guess at its keys, and locks after a few."""
        if self.process is not None:
            self.tool("tpm2_shutdown", "-c")
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None

    def reboot(self) -> None:
        """Switch it off and on again: registers begin anew, keys stay."""
        self.stop()
        (self.home / "tpm.sock").unlink(missing_ok=True)
        self.start()

    def extend(self, register: int, digest: str = "ab" * 32) -> None:
        """Measure something into a register."""
        self.tool("tpm2_pcrextend", f"{register}:sha256={digest}")

    def tool(self, *words: str) -> bytes:
        """Run one of tpm2-tools on it."""
        return self._run(*words, TPM2TOOLS_TCTI=self.connection)

    def _run(self, *words: str, **environment: str) -> bytes:
        ran = subprocess.run(
            words,
            env={"PATH": _PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/"), **environment},
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


def switched_on(folder: Path, name: str) -> Iterator[SoftwareTpm]:
    """Manufacture a TPM and switch it on; all in one folder are of one manufacturer."""
    made = SoftwareTpm(folder / name, folder / "manufacturer")
    made.make()
    made.start()
    yield made
    made.stop()
