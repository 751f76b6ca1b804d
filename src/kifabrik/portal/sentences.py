# ruff: noqa: E501 - texts
"""Reasons in the visitor's language: the factory writes them in English, and they stand so in its database.

What is not known here, such as a message of a node or of a cluster's scheduler, is shown as it is, and said to be
English.
"""

import re
from collections.abc import Callable
from typing import Final

from markupsafe import Markup, escape

from kifabrik.portal.language import Language

_RUN: Final = r"r-[a-z2-7]{16,32}(?:-[1-9][0-9]{0,4})?"
_DATASET: Final = r"d-[a-z2-7]{16,32}"
_LENGTH: Final = 1_000
"""Longer reasons are not looked at: they are messages of programs."""

_GERMAN: Final = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (
            r"Ordered and admitted; waits for its turn\.",
            "Bestellt und angenommen; wartet, bis er an der Reihe ist.",
        ),
        (
            r"Its data \((.+?)\) is streamed: no node has memory for it\.",
            r"Seine Daten (\1) werden beim Lesen geöffnet: Kein Rechner hat den Arbeitsspeicher dafür.",
        ),
        (
            r"Waits for its turn in the sweep: at most (\d+) of its tasks at once\.",
            r"Wartet in seiner Reihe: höchstens \1 Läufe daraus gleichzeitig.",
        ),
        (r"Waits its turn behind earlier runs\.", "Wartet hinter früheren Läufen."),
        (
            r"Waits so that an earlier run can start in time\.",
            "Wartet, damit ein früherer Lauf rechtzeitig beginnen kann.",
        ),
        (
            r"Waits for the tenant's own limit: (\d+) of (\d+) (.+?) are in use\.",
            r"Wartet wegen der eigenen Obergrenze: \1 von \2 sind in Gebrauch (\3).",
        ),
        (
            r"Waits for the tenant's keyholder, which has never called\. Start it\.",
            "Wartet auf den Keyholder der Firma, der sich noch nie gemeldet hat. Starten Sie ihn.",
        ),
        (
            r"Waits for the tenant's keyholder, last seen at (\S+)\.",
            r"Wartet auf den Keyholder der Firma, der sich zuletzt \1 gemeldet hat.",
        ),
        (
            r"Waits for power, which is kept for an earlier run\.",
            "Wartet auf Strom, der für einen früheren Lauf freigehalten wird.",
        ),
        (r"Waits for power\.", "Wartet auf Strom."),
        (
            r"Waits for (\d+ CPU cores?): (\d+) of (\d+) are in use(?:; the next frees up at (.+?) at the latest)?\.",
            "Wartet auf {cores}: {1} von {2} sind belegt{until}.",
        ),
        (
            r"Waits for ([^:]*GPU[^:]*): (\d+) of (\d+) are in use(?:; the next frees up at (.+?) at the latest)?\.",
            "Wartet auf {0}: {1} von {2} sind belegt{until}.",
        ),
        (
            r"Waits for ([^:]+ of memory[^:]*): ([^:;]+?) of ([^:;]+?) are in use(?:; the next frees up at (.+?) at the latest)?\.",
            "Wartet auf {memory}: {1} von {2} sind belegt{until}.",
        ),
        (r"Its turn comes at (.+?) at the latest\.", "Spätestens {0} ist er an der Reihe."),
        (rf"Waits for ({_RUN}(?:, {_RUN})*)\.", r"Wartet auf \1."),
        (rf"Needed ({_RUN}), which ended as (\w+)\.", r"Brauchte \1; dieser Lauf endete anders (\2)."),
        (r"Starting on (.+)\.", r"Beginnt auf \1."),
        (r"Starting (.+)\.", r"Beginnt \1."),
        (
            r"Handed to the cluster, whose queue decides when it starts\.",
            "An den Cluster übergeben, dessen Warteschlange über den Beginn entscheidet.",
        ),
        (r"The keyholder decides\.", "Der Keyholder entscheidet."),
        (r"Building the environment\.", "Baut die Umgebung."),
        (
            r"Waiting for the keyholder to release the keys\.",
            "Wartet, dass der Keyholder die Schlüssel herausgibt.",
        ),
        (r"Opening the data into memory\.", "Öffnet die Daten in den Arbeitsspeicher."),
        (
            r"Opening the code into memory; the data is opened while it is read\.",
            "Öffnet das Programm in den Arbeitsspeicher; die Daten werden beim Lesen geöffnet.",
        ),
        (r"The job is running\.", "Das Programm rechnet."),
        (r"Sealing what the job put out\.", "Versiegelt die Ergebnisse."),
        (r"Waiting for the other nodes (.+?); (\d+) are there\.", r"Wartet auf die anderen Rechner; \2 sind da."),
        (r"The plant can take all heat\.", "Die Anlage kann alle Wärme abführen."),
        (
            r"(The river is at its temperature limit|The river carries too little water for its warming limit)(?: until about (\S+) UTC)?: (\S+) of (\S+) MW are permitted(, the least that always is)?\.",
            "{river}{2} von {3} MW sind erlaubt{least}.",
        ),
        (rf"Dataset ({_DATASET}) was erased\.", r"Der Datensatz \1 wurde gelöscht."),
        (rf"Dataset ({_DATASET}) is frozen\.", r"Der Datensatz \1 ist eingefroren."),
        (r"The member who ordered was removed\.", "Das Mitglied, das bestellt hat, wurde entfernt."),
        (
            rf"The grant for purpose (\S+) on dataset ({_DATASET}) was revoked\.",
            r"Die Erlaubnis für den Zweck \1 am Datensatz \2 wurde widerrufen.",
        ),
        (rf"The grant on dataset ({_DATASET}) expired\.", r"Die Erlaubnis am Datensatz \1 ist abgelaufen."),
        (
            r"The role of the member who ordered does not allow runs\.",
            "Die Rolle des Mitglieds, das bestellt hat, erlaubt keine Läufe.",
        ),
        (
            rf"The grant on dataset ({_DATASET}) names other members\.",
            r"Die Erlaubnis am Datensatz \1 nennt andere Mitglieder.",
        ),
        (
            rf"The grant on dataset ({_DATASET}) does not allow the place (.+?)\.(?=\s|$)",
            r"Die Erlaubnis am Datensatz \1 gilt nicht für den Ort \2.",
        ),
        (
            rf"The grant on dataset ({_DATASET}) is for other code or other packages\.",
            r"Die Erlaubnis am Datensatz \1 gilt für ein anderes Programm oder andere Pakete.",
        ),
        (
            rf"The grant on dataset ({_DATASET}) asks for attested nodes\.",
            r"Die Erlaubnis am Datensatz \1 verlangt beglaubigte Rechner.",
        ),
        (
            rf"The limit of (\d+) runs per day on dataset ({_DATASET}) is reached\.",
            r"Die Grenze von \1 Läufen am Tag für den Datensatz \2 ist erreicht.",
        ),
        (
            rf"A person at the keyholder must decide about dataset ({_DATASET})\.",
            r"Beim Keyholder muss ein Mensch über den Datensatz \1 entscheiden.",
        ),
        (
            r"May wait, and does: from about (\S+) UTC its heat is wanted more, the river is cooler or power is cheaper\.",
            r"Darf warten und wartet: Ab etwa \1 UTC wird seine Wärme mehr gebraucht, ist der Fluss kühler oder der Strom billiger.",
        ),
        (r"The job finished\.", "Der Auftrag ist fertig."),
        (
            r"The job's program ended with an error; see its log\.",
            "Das Programm endete mit einem Fehler; siehe sein Protokoll.",
        ),
        (
            r"The job needed more memory than it asked for\.",
            "Das Programm brauchte mehr Arbeitsspeicher als bestellt.",
        ),
        (r"Somebody stopped the run\.", "Jemand hat den Lauf angehalten."),
        (
            r"Somebody stopped the run; it is not tried again\.",
            "Jemand hat den Lauf angehalten; er wird nicht wiederholt.",
        ),
        (r"Stopped while it waited for its turn\.", "Angehalten, während er wartete."),
        (
            r"Asked to stop; the launcher seals a checkpoint if the job keeps them\.",
            "Zum Anhalten aufgefordert; ein Zwischenstand wird versiegelt, wenn der Auftrag welche vorsieht.",
        ),
        (
            r"The run reached its longest duration or its budget\.",
            "Der Lauf hat seine längste Dauer oder sein Budget erreicht.",
        ),
        (r"The run gave way to a more urgent one\.", "Der Lauf ist einem dringenderen gewichen."),
        (r"The keyholder did not release the keys\.", "Der Keyholder hat die Schlüssel nicht herausgegeben."),
        (
            r"The environment could not be built; see the message\.",
            "Die Umgebung ließ sich nicht bauen; siehe die Meldung.",
        ),
        (
            r"Something did not verify; nothing was run on it\.",
            "Etwas ließ sich nicht bestätigen; darauf wurde nicht gerechnet.",
        ),
        (r"The node or its launcher stopped working\.", "Der Rechner ist ausgefallen."),
        (r"The cluster does not take the run\.", "Der Cluster nimmt den Lauf nicht an."),
        (r"Trying again: attempt (\d+) of (\d+)\.", r"Neuer Versuch: \1 von \2."),
        (r"That was attempt (\d+) of (\d+)\.", r"Das war Versuch \1 von \2."),
        (r"The order's deadline has passed\.", "Die Frist des Auftrags ist abgelaufen."),
        (r"The order's deadline passed while it waited\.", "Die Frist des Auftrags lief ab, während er wartete."),
        (
            r"The order's deadline has passed; no key is released for it any more\. The attempt goes on\.",
            "Die Frist des Auftrags ist abgelaufen; Schlüssel werden dafür nicht mehr herausgegeben. Der Versuch läuft weiter.",
        ),
        (
            r"The cluster does not answer now\. What runs goes on; what waits is looked at again\.",
            "Der Cluster antwortet gerade nicht. Was läuft, läuft weiter; was wartet, wird wieder angesehen.",
        ),
        (r"No node is in (.+?); there are nodes in (.+?)\.", r"Kein Rechner steht in \1; es gibt Rechner in \2."),
        (
            r"No node has Python (\S+); there is Python (.+?)\.(?=\s|$)",
            r"Kein Rechner hat Python \1; es gibt Python \2.",
        ),
        (
            r"There is no grant for purpose (\S+) on dataset (d-[a-z2-7]{16})\.",
            r"Es gibt keine Erlaubnis für den Zweck \1 am Datensatz \2.",
        ),
        (
            r"(\d+) of (\d+) tasks have succeeded((?:, \d+ \w+)*)(?:; (\d+) go on)?(?:(?:;|,) (\d+) wait)?\.",
            "{0} von {1} Läufen sind gelungen{ended}{going}{waiting}.",
        ),
    )
)
_RIVER: Final = {
    "The river is at its temperature limit": "Der Fluss ist an seiner Temperaturgrenze",
    "The river carries too little water for its warming limit": "Der Fluss führt zu wenig Wasser für die erlaubte Erwärmung",
}
_POINT: Final = re.compile(r"(?<=\d)\.(?=\d)")
"""Of an amount; sentences with versions are not made of parts."""
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_STATES: Final = {"failed": "misslungen", "stopped": "angehalten", "refused": "abgelehnt"}


def in_language(reason: str, language: Language) -> Markup:
    """Say a reason of the factory's in a language, as HTML.

    Args:
        reason: One or more sentences.
        language: Of the page.
    """
    if language == "en" or not reason or len(reason) > _LENGTH:
        return escape(reason)
    rest, said = reason, list[Markup]()
    while rest:
        found = _first(rest)
        if found is None:
            said.append(Markup('<span lang="en">{}</span>').format(rest))
            break
        text, end = found
        said.append(escape(text))
        rest = rest[end:].lstrip()
    return Markup(" ").join(said)


def _first(text: str) -> tuple[str, int] | None:
    for pattern, said in _GERMAN:
        match = pattern.match(text)
        if match:
            return (_made(match, said) if "{" in said else match.expand(said)), match.end()
    return None


def _made(match: re.Match[str], said: str) -> str:
    parts = match.groups()
    words: dict[str, Callable[[], str]] = {
        "river": lambda: f"{_RIVER[parts[0]]}{f' bis etwa {parts[1]} UTC' if parts[1] else ''}: ",
        "least": lambda: ", so viel wie immer" if parts[4] else "",
        "cores": lambda: _cores(parts[0]),
        "memory": lambda: (
            parts[0]
            .replace(" of memory", " Arbeitsspeicher")
            .replace("of it for the opened data", "davon für die geöffneten Daten")
        ),
        "until": lambda: f"; spätestens {parts[3]} wird etwas frei" if parts[3] else "",
        "ended": lambda: re.sub(r"\w+", lambda word: _STATES.get(word[0], word[0]), parts[2] or ""),
        "going": lambda: f"; {parts[3]} laufen" if parts[3] else "",
        "waiting": lambda: f"; {parts[4]} warten" if parts[4] else "",
    }
    needed = {name: make() for name, make in words.items() if f"{{{name}}}" in said}
    return _DATE.sub(r"\3.\2.\1", _POINT.sub(",", said.format(*parts, **needed)))


def _cores(text: str) -> str:
    count = int(text.split(maxsplit=1)[0])
    return f"{count} Prozessorkern{'e' if count > 1 else ''}"
