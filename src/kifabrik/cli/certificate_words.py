"""How a certificate of erasure is said on a terminal."""

from collections.abc import Mapping

from kifabrik.grants.statements import ErasureCertificate

_MOST_NAMED = 3


def named_rows(said: ErasureCertificate, names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return what a certificate names, as rows of a table: what it is, which one, and a word about it."""
    rows = [
        ("made from it", names.get(one.owner, one.owner), "erased" if one.erased else "kept")
        for one in said.derived
    ]
    rows += [
        ("had its keys", names.get(one.run, one.run), _of_run(ended=one.ended, erased=one.erased))
        for one in said.runs
    ]
    rows += [("released before", one.receiver, one.created) for one in said.releases]
    rows += [("result released", one.receiver, one.created) for one in said.results_released]
    rows += [("in a backup", one.backup, f"until {one.expires}") for one in said.backups]
    rows += [("lapsed backup", one.backup, f"since {one.expires}") for one in said.lapsed[-_MOST_NAMED:]]
    rows += [("backups unknown", f"from {one.since}", f"until {one.until}") for one in said.restored]
    rows += [("the safe", said.recovery, "opens kept ciphertext")] if said.recovery else []
    return rows


def doubts(said: ErasureCertificate) -> list[str]:
    """Return sentences about what is not gone although the key is."""
    found = []
    if said.going_on:
        shown = ", ".join(said.going_on[:_MOST_NAMED])
        more = f" and {len(said.going_on) - _MOST_NAMED} more" if len(said.going_on) > _MOST_NAMED else ""
        found.append(f"Not complete yet: {shown}{more} had its keys before and may still make something of it.")
    if said.backups:
        found.append("Not complete yet: backups of the keyholder still hold the key until they expire.")
    if said.lapsed:
        count = f"{len(said.lapsed)} backups" if len(said.lapsed) > 1 else "A backup"
        found.append(f"{count} of the keyholder that held the key lapsed: see to it that no file of them is kept.")
    if said.restored:
        found.append("The keyholder was restored: backups of it made in the time named above are not known to it.")
    if said.recovery:
        found.append(
            "It was sealed to a recovery recipient too: its identity, in the safe, opens ciphertext that was kept."
        )
    return found


def _of_run(*, ended: bool, erased: bool) -> str:
    return f"{'ended' if ended else 'goes on'}; log {'erased' if erased else 'kept'}"
