"""A node's TPM is enrolled by the two parties, each with its own commands."""

from contextlib import contextmanager


def name_tpm(home, machine):
    """Name a TPM in a node's settings; return the settings as they were."""
    settings = (home / "node.toml").read_text()
    (home / "node.toml").write_text(f'tpm = "{machine.connection}"\n{settings}')
    return settings


def enrol_node(stage, home, machine, folder, boot="golden"):
    """List a node, and accept its boot under a name; return its endorsement file."""
    folder.mkdir(parents=True, exist_ok=True)
    endorsement, challenge, answer = (folder / f"node.{part}" for part in ("endorsement", "challenge", "answer"))
    unlock = ("--passphrase-file", stage.secret)
    steward = ("keyholder", "attestation")
    stage.factory.kifabrik("node", "attest", "init", "--home", home, "--out", endorsement)
    stage.customer.kifabrik(*steward, "challenge", endorsement, "--out", challenge, *unlock)
    stage.factory.kifabrik("node", "attest", "answer", challenge, "--home", home, "--out", answer)
    roots = ("--ek-roots", machine.roots)
    stage.customer.kifabrik(*steward, "add-node", endorsement, "--answer", answer, *roots, *unlock)
    stage.customer.kifabrik(*steward, "set-pcrs", endorsement, "--name", boot, "--pcr", "0,7,16", *unlock)
    return endorsement


@contextmanager
def without_tpm(home):
    """Take the TPM out of a node's settings for a while."""
    settings = (home / "node.toml").read_text()
    (home / "node.toml").write_text("\n".join(line for line in settings.splitlines() if not line.startswith("tpm")))
    try:
        yield
    finally:
        (home / "node.toml").write_text(settings)
