"""A node's TPM, by Debian's tpm2-tools: making an attestation key, quoting with it, answering a challenge.

Invariants:
- the attestation key never leaves the TPM; files in the node's home name it and hold public areas only;
- the tools get their connection by argument and a clean environment, and write into a folder that goes with them;
- nothing here believes the TPM or the tools: who verifies sits elsewhere.
"""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from kifabrik.attestation.policy import TPM_QUOTE
from kifabrik.errors import UnavailableError, UsageError

BANK: Final = "sha256"
_PCRS: Final = 24
_DIGEST_BYTES: Final = 32
_PATIENCE_S: Final = 60.0
"""A discrete TPM takes about 10 s to make an RSA key."""
_HANDLE: Final = re.compile(r"persistent-handle: (0x81[0-9a-fA-F]{6})")
_EK_CERTIFICATE: Final = "0x01c00002"
"""Where an RSA endorsement key's certificate lies (TCG EK Credential Profile, 2.2.1.4)."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class AttestationKey:
    """A key that was made in the TPM and stays in it.

    Args:
        handle: Where it persists, such as `0x81000000`.
        public: Its public area (TPMT_PUBLIC).
        endorsement: Public area of the endorsement key it was made below.
    """

    handle: str
    public: bytes
    endorsement: bytes


class Tpm:
    """One TPM.

    Args:
        connection: As tpm2-tools name it, such as `device:/dev/tpmrm0`.

    Raises:
        UsageError: tpm2-tools are not installed.
    """

    def __init__(self, connection: str) -> None:
        self._connection = connection
        if shutil.which("tpm2_quote", path=_PATH) is None:
            raise UsageError("tpm2-tools are not installed here", hint="On Debian: apt-get install tpm2-tools")

    def make_key(self) -> AttestationKey:
        """Make an attestation key (P-256) below the TPM's RSA endorsement key, and let it persist.

        Raises:
            UnavailableError: The TPM cannot be reached, or has no room for another key.
        """
        with _scratch() as folder:
            endorsement = self._endorsement_key(folder)
            words: list[str | Path] = [
                "-C",
                folder / "ek.ctx",
                "-c",
                folder / "ak.ctx",
                "-u",
                folder / "ak.pub",
                "-f",
                "tpmt",
            ]
            self._run("tpm2_createak", *words, "-G", "ecc", "-g", "sha256", "-s", "ecdsa")
            self._flush()
            said = self._run("tpm2_evictcontrol", "-C", "o", "-c", folder / "ak.ctx")
            self._flush()
            handle = _HANDLE.search(said)
            if handle is None:
                raise UnavailableError("the TPM did not say where it keeps the attestation key")
            return AttestationKey(handle[1].lower(), (folder / "ak.pub").read_bytes(), endorsement)

    def endorsement_certificate(self) -> bytes:
        """Return the manufacturer's certificate of the endorsement key (DER), or nothing where there is none."""
        with _scratch() as folder:
            try:
                self._run("tpm2_nvread", _EK_CERTIFICATE, "-o", folder / "ek.der")
            except UnavailableError:
                return b""
            return _without_padding((folder / "ek.der").read_bytes())

    def answer(self, key: AttestationKey, challenge: bytes) -> bytes:
        """Let the TPM take a secret out of a credential (TPM2_ActivateCredential).

        Args:
            key: The attestation key the challenge must be for.
            challenge: From `kifabrik.attestation.tpm_credential.make_credential`.

        Raises:
            UnavailableError: The TPM gives nothing out: the challenge is for another TPM or key.
        """
        with _scratch() as folder:
            self._endorsement_key(folder)
            (folder / "challenge").write_bytes(challenge)
            session = folder / "session.ctx"
            self._run("tpm2_startauthsession", "--policy-session", "-S", session)
            try:
                self._run("tpm2_policysecret", "-S", session, "-c", "e")
                words: list[str | Path] = ["-c", key.handle, "-C", folder / "ek.ctx", "-i", folder / "challenge"]
                self._run("tpm2_activatecredential", *words, "-o", folder / "secret", "-P", f"session:{session}")
            finally:
                self._run("tpm2_flushcontext", session)
                self._flush()
            return (folder / "secret").read_bytes()

    def registers(self) -> Mapping[str, str]:
        """Return the present values of all registers of the bank, in hex, by number."""
        with _scratch() as folder:
            self._run("tpm2_pcrread", f"{BANK}:all", "-o", folder / "pcrs")
            return _registers((folder / "pcrs").read_bytes())

    def quote(self, handle: str, data: bytes) -> Mapping[str, Any]:
        """Return a quote over all registers, as an item of evidence.

        Args:
            handle: Of the attestation key.
            data: 32 bytes that the TPM signs with it.

        Raises:
            UnavailableError: The TPM cannot be reached, or has no such key.
        """
        with _scratch() as folder:
            selection = f"{BANK}:{','.join(map(str, range(_PCRS)))}"
            out: list[str | Path] = [
                "-m",
                folder / "attest",
                "-s",
                folder / "signature",
                "-o",
                folder / "pcrs",
                "-F",
                "values",
            ]
            self._run("tpm2_quote", "-c", handle, "-l", selection, "-q", data.hex(), "-g", "sha256", *out)
            self._run("tpm2_readpublic", "-c", handle, "-o", folder / "public", "-f", "tpmt")
            return {
                "type": TPM_QUOTE,
                "attest": _text(folder / "attest"),
                "signature": _text(folder / "signature"),
                "public": _text(folder / "public"),
                "pcrs": dict(_registers((folder / "pcrs").read_bytes())),
            }

    def forget(self, handle: str) -> None:
        """Remove a persistent key.

        Raises:
            UnavailableError: There is none.
        """
        self._run("tpm2_evictcontrol", "-C", "o", "-c", handle)

    def _endorsement_key(self, folder: Path) -> bytes:
        """Make the endorsement key anew, which always comes out the same; return its public area."""
        public = folder / "ek.pub"
        self._run("tpm2_createek", "-c", folder / "ek.ctx", "-G", "rsa", "-u", public, "-f", "tpmt")
        self._flush()
        return public.read_bytes()

    def _flush(self) -> None:
        """Make room in a TPM without a resource manager; it holds three keys at a time."""
        self._run("tpm2_flushcontext", "-t")

    def _run(self, tool: str, *words: str | Path) -> str:
        environment = {"PATH": _PATH, "LC_ALL": "C", "TPM2TOOLS_TCTI": self._connection}
        try:
            ran = subprocess.run(
                [tool, *map(str, words)],
                env=environment,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PATIENCE_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnavailableError(f"{tool} did not end: {type(error).__name__}") from None
        if ran.returncode != 0:
            raise UnavailableError(
                f"{tool} failed with {self._connection}: {_first_error(ran.stderr)}",
                hint="Is the setting 'tpm' in node.toml right, and may this user open the device (group tss)?",
            )
        return ran.stdout.decode(errors="replace")


def _registers(raw: bytes) -> Mapping[str, str]:
    if len(raw) != _PCRS * _DIGEST_BYTES:
        raise UnavailableError(
            f"the TPM has no complete {BANK} bank of registers",
            hint=f"Activate it: tpm2_pcrallocate {BANK}:all, then reboot.",
        )
    return {
        str(number): raw[at : at + _DIGEST_BYTES].hex()
        for number, at in enumerate(range(0, len(raw), _DIGEST_BYTES))
    }


def _text(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _first_error(said: bytes) -> str:
    """The first line that begins with ERROR: the tools name the cause first, and what failed for it after."""
    lines = [line for line in said.decode(errors="replace").splitlines() if line.startswith("ERROR")]
    return lines[0][:200] if lines else "no reason given"


def _without_padding(der: bytes) -> bytes:
    """Cut what follows a certificate in its storage: many manufacturers fill it up."""
    if len(der) < 4 or der[:2] != b"\x30\x82":  # noqa: PLR2004 - a SEQUENCE with a length of two bytes
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]


@contextmanager
def _scratch() -> Iterator[Path]:
    with TemporaryDirectory(prefix="kifabrik-tpm-") as folder:
        yield Path(folder)
