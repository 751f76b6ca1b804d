# ruff: noqa: E501 - texts
"""A certificate of erasure as a page to read and print: HTML without script and network, in German or English."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from kifabrik.customer.certificate import Certified
from kifabrik.customer.print_style import META, STYLE
from kifabrik.customer.usage_words import Language
from kifabrik.grants.statements import Release

WORDS: Final[dict[Language, dict[str, str]]] = {
    "de": {
        "kind": "Löschbescheinigung",
        "for": "Mandant {tenant}",
        "said": "Der Keyholder der Firma bescheinigt: Der Schlüssel zu allen {versions} Versionen des Datensatzes wurde am {time} (UTC) vernichtet.",
        "said_one": "Der Keyholder der Firma bescheinigt: Der Schlüssel des Datensatzes wurde am {time} (UTC) vernichtet.",
        "complete": "Die Löschung ist vollständig: Jede verzeichnete Sicherungskopie des Keyholders mit dem Schlüssel ist abgelaufen, und kein Lauf, der ihn hatte, arbeitet noch.",
        "lapsed": "{count} Sicherungskopien mit dem Schlüssel sind abgelaufen, zuletzt am {time}. Kein Keyholder wird aus ihnen wiederhergestellt; wer Datei und Passphrase aufgehoben hat, kann sie lesen.",
        "lapsed_one": "Eine Sicherungskopie mit dem Schlüssel ist am {time} abgelaufen. Kein Keyholder wird aus ihr wiederhergestellt; wer Datei und Passphrase aufgehoben hat, kann sie lesen.",
        "going_on": "Noch nicht vollständig: {runs} hatte den Schlüssel schon und kann noch etwas daraus machen.",
        "going_on_more": "Noch nicht vollständig: {count} Läufe hatten den Schlüssel schon und können noch etwas daraus machen.",
        "covers": "Sie nennt alles, was das Logbuch bis zu seinem Eintrag {size} zeigt; das wurde nachgerechnet.",
        "covers_none": "Sie nennt nicht, bis zu welchem Stand des Logbuchs sie gilt: Eine frühere Version hat sie ausgestellt.",
        "later": "Achtung: Es gibt eine neuere Bescheinigung, Eintrag {index} des Logbuchs.",
        "restored": "Der Keyholder wurde am {until} aus einer Sicherungskopie vom {since} wiederhergestellt. Kopien, die dazwischen entstanden, kennt er nicht.",
        "runs": "Läufe, die Schlüssel hatten",
        "run": "Lauf",
        "run_ended": "beendet",
        "run_going_on": "arbeitet noch",
        "log_erased": "Schlüssel zu Protokoll und Zwischenständen auch vernichtet",
        "log_kept": "Protokoll und Zwischenstände bestehen weiter",
        "results_released": "Früher herausgegebene Schlüssel der Ergebnisse",
        "not_complete": "Noch nicht vollständig: Sicherungskopien des Keyholders enthalten den Schlüssel, bis sie ablaufen, zuletzt am {time}.",
        "recovery": "Der Datensatz war auch für einen Wiederherstellungsschlüssel versiegelt ({recovery}). Wer dessen Gegenstück aus dem Tresor hat und Verschlüsseltes aufgehoben hat, kann es öffnen.",
        "checked": "Geprüft: Die Bescheinigung steht als Eintrag {index} vom {time} im nachgerechneten Logbuch.",
        "signed": "Unterschrieben mit dem Schlüssel des Keyholders.",
        "not_signed": "Die Unterschrift des Keyholders darauf wurde nicht einzeln geprüft.",
        "witnessed": "Das Logbuch ist vom Keyholder gegengezeichnet.",
        "not_witnessed": "Achtung: Der Keyholder hat das Logbuch bis zu diesem Eintrag nicht gegengezeichnet.",
        "derived": "Daraus entstanden",
        "derived_none": "Kein Ergebnis ist als daraus entstanden verzeichnet.",
        "result": "Ergebnis",
        "state": "Zustand",
        "erased": "auch gelöscht",
        "kept": "besteht weiter; es kann sich an gelöschte Daten erinnern",
        "releases": "Früher herausgegebene Schlüssel",
        "releases_says": "Sie lassen sich nicht zurückholen. Wer sie hatte, kann Kopien der geöffneten Daten haben.",
        "releases_none": "Der Schlüssel wurde nie herausgegeben.",
        "when": "Zeit (UTC)",
        "to": "an",
        "to_run": "Rechner der Fabrik, für {run}",
        "to_member": "Mitglied {member}",
        "backups": "Sicherungskopien des Keyholders mit dem Schlüssel",
        "backup": "Sicherungskopie",
        "until": "läuft ab",
        "not_named": "Nicht darin",
        "not_named_says": "Die Urschrift im Haus; Kopien, die Mitglieder geöffnet haben, und was sie daraus neu versiegelt haben; Kopien des Keyholder-Ordners, die auf anderem Weg entstanden; was in ein Programm geschrieben wurde; die Einträge im Logbuch und der versiegelte Name.",
        "ids": "Kennungen",
        "digest": "Prüfsumme dieser Bescheinigung",
        "dataset": "Datensatz",
    },
    "en": {
        "kind": "Certificate of erasure",
        "for": "Tenant {tenant}",
        "said": "The company's keyholder certifies: the key of all {versions} versions of the dataset was destroyed on {time} (UTC).",
        "said_one": "The company's keyholder certifies: the key of the dataset was destroyed on {time} (UTC).",
        "complete": "The erasure is complete: every registered backup of the keyholder with the key has lapsed, and no run that had it is at work.",
        "lapsed": "{count} backups with the key have lapsed, the last on {time}. No keyholder is restored from one; whoever has kept its file and passphrase can read it.",
        "lapsed_one": "A backup with the key lapsed on {time}. No keyholder is restored from it; whoever has kept its file and passphrase can read it.",
        "going_on": "Not yet complete: {runs} had the key before and may still make something of the data.",
        "going_on_more": "Not yet complete: {count} runs had the key before and may still make something of the data.",
        "covers": "It names all that the ledger shows up to its entry {size}; that was checked.",
        "covers_none": "It does not say up to where in the ledger it holds: an earlier version made it.",
        "later": "Beware: there is a newer certificate, entry {index} of the ledger.",
        "restored": "The keyholder was restored on {until} from a backup of {since}. Backups made in between are not known to it.",
        "runs": "Runs that had keys",
        "run": "Run",
        "run_ended": "ended",
        "run_going_on": "goes on",
        "log_erased": "keys of log and checkpoints destroyed, too",
        "log_kept": "log and checkpoints kept",
        "results_released": "Keys of results released earlier",
        "not_complete": "Not yet complete: backups of the keyholder hold the key until they lapse, the last on {time}.",
        "recovery": "The dataset was sealed to a recovery recipient, too ({recovery}). Whoever has its identity from the safe and has kept ciphertext can open it.",
        "checked": "Checked: the certificate stands as entry {index} of {time} in the recomputed ledger.",
        "signed": "Signed with the keyholder's key.",
        "not_signed": "The keyholder's signature on it was not checked by itself.",
        "witnessed": "The ledger is cosigned by the keyholder.",
        "not_witnessed": "Beware: the keyholder has not cosigned the ledger up to this entry.",
        "derived": "Made from it",
        "derived_none": "No result is on record as made from it.",
        "result": "Result",
        "state": "State",
        "erased": "erased, too",
        "kept": "kept; it may remember erased data",
        "releases": "Keys released earlier",
        "releases_says": "They cannot be recalled. Whoever had them may have copies of the opened data.",
        "releases_none": "The key was never released.",
        "when": "Time (UTC)",
        "to": "to",
        "to_run": "node of the factory, for {run}",
        "to_member": "member {member}",
        "backups": "Backups of the keyholder with the key",
        "backup": "Backup",
        "until": "lapses",
        "not_named": "Not in it",
        "not_named_says": "The originals in the house; copies members have opened, and what they sealed anew from them; copies of the keyholder's folder made by other means; what was written into a program; the entries of the ledger and the sealed name.",
        "ids": "Identifiers",
        "digest": "Digest of this certificate",
        "dataset": "Dataset",
    },
}


def page(found: Certified, language: Language, names: Mapping[str, str]) -> str:
    """The page's HTML.

    Args:
        found: A certificate that holds.
        language: Of the reader.
        names: Of datasets, results (`r-…/1`), runs and members, by id; ids are shown where there are none.
    """

    def say(key: str, **parts: object) -> str:
        return escape(WORDS[language][key].format(**parts))

    def time(text: str) -> str:
        day = ".".join(text[:10].split("-")[::-1]) if language == "de" else text[:10]
        return f"{day} {text[11:16]}"

    said = found.certificate
    key = "said_one" if len(said.manifests) == 1 else "said"
    texts = [say(key, versions=len(said.manifests), time=time(said.destroyed))]
    if said.complete:
        texts.append(say("complete"))
    doubts = []
    if said.going_on:
        one = "going_on" if len(said.going_on) == 1 else "going_on_more"
        run = names.get(said.going_on[0], said.going_on[0])
        doubts.append(say(one, runs=run, count=len(said.going_on)))
    if said.backups:
        doubts.append(say("not_complete", time=time(max(one.expires for one in said.backups))))
    if said.lapsed:
        last = max(one.expires for one in said.lapsed)
        doubts.append(
            say("lapsed" if len(said.lapsed) > 1 else "lapsed_one", count=len(said.lapsed), time=time(last))
        )
    doubts += [say("restored", since=time(one.since), until=time(one.until)) for one in said.restored]
    if said.recovery:
        doubts.append(say("recovery", recovery=said.recovery))
    if found.later is not None:
        doubts.append(say("later", index=found.later))
    texts += [f'<span class="warn">{doubt}</span>' for doubt in doubts]
    trust = [say("checked", index=found.index, time=time(found.time))]
    trust.append(say("covers", size=said.log_size - 1) if said.log_size else say("covers_none"))
    trust.append(say("signed" if found.is_signed else "not_signed"))
    witnessed = say("witnessed" if found.is_witnessed else "not_witnessed")
    trust.append(witnessed if found.is_witnessed else f'<span class="warn">{witnessed}</span>')
    derived = [
        (escape(names.get(one.owner, one.owner)), say("erased" if one.erased else "kept")) for one in said.derived
    ]

    def released(those: Sequence[Release]) -> list[tuple[str, str, str]]:
        return [
            (
                time(one.created),
                say("to_run", run=names.get(one.run, one.run))
                if one.receiver.startswith("a-")
                else say("to_member", member=names.get(one.receiver, one.receiver)),
                escape(one.receiver),
            )
            for one in those
        ]

    runs = [
        (
            escape(names.get(one.run, one.run)),
            say("run_ended" if one.ended else "run_going_on"),
            say("log_erased" if one.erased else "log_kept"),
        )
        for one in said.runs
    ]
    releases, results = released(said.releases), released(said.results_released)
    backups = [(escape(one.backup), time(one.created), time(one.expires)) for one in said.backups]
    name = names.get(said.dataset, said.dataset)
    parts = [
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">{META}',
        f"<title>{say('kind')}</title><style>{STYLE}</style></head><body><main>",
        f'<p class="kind">{say("kind")}</p><h1>{escape(name)}</h1>',
        f'<p class="note">{say("for", tenant=said.tenant)}</p>',
        *(f"<p>{text}</p>" for text in texts),
        f"<p>{' '.join(trust)}</p>",
        f"<h2>{say('derived')}</h2>",
        _table((say("result"), say("state")), derived) if derived else f"<p>{say('derived_none')}</p>",
        f"<h2>{say('runs')}</h2>{_table((say('run'), '', ''), runs)}" if runs else "",
        f"<h2>{say('releases')}</h2>",
        f'<p class="note">{say("releases_says")}</p>{_table((say("when"), say("to"), ""), releases)}'
        if releases
        else f"<p>{say('releases_none')}</p>",
        f"<h2>{say('results_released')}</h2>{_table((say('when'), say('to'), ''), results)}" if results else "",
        f"<h2>{say('backups')}</h2>{_table((say('backup'), '', say('until')), backups)}" if backups else "",
        f"<h2>{say('not_named')}</h2><p>{say('not_named_says')}</p>",
        f"<h2>{say('ids')}</h2>",
        _table(("", ""), [(say("dataset"), escape(said.dataset)), (say("digest"), escape(found.digest))]),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{body}</table>"
