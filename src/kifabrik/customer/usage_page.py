"""The record of use as a page to print: HTML without script and network, in German or English."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from kifabrik.customer.print_style import META, STYLE
from kifabrik.customer.usage import Kept, Permission, Release, Usage
from kifabrik.customer.usage_words import REASONS, WORDS, Language


def page(found: Usage, language: Language, only: str = "", made: str = "") -> str:
    """The record's HTML.

    Args:
        found: What to show.
        language: Of the reader.
        only: Name of the only dataset it tells of; empty for all.
        made: When the page is made, RFC 3339; empty to leave it out.
    """
    say = _Writer(found, language)
    head = f'<meta charset="utf-8">{META}<title>{say("kind")}</title><style>{STYLE}</style>'
    about = [say("for", tenant=found.tenant), _period(found, say), *([say("only", name=only)] if only else [])]
    about += [say("made", time=say.time(made))] if made else []
    parts = [
        f'<!DOCTYPE html><html lang="{language}"><head>{head}</head><body><main>',
        f'<p class="kind">{say("kind")}</p><h1>{say("title")}</h1>',
        f'<p class="note">{", ".join(about)}</p>',
        _tiles(found, say),
        *(f"<p>{text}</p>" for text in _trust(found, say)),
        _purposes(found, say),
        *(_dataset(found, one, say) for one in found.datasets),
        "" if only else _results(found, say) + _refusals(found, say),
        f"<h2>{say('proves')}</h2>",
        *(f"<p>{say(f'proves_{at}')}</p>" for at in range(1, 5)),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


class _Writer:
    """Says texts and times in one language, escaped."""

    def __init__(self, found: Usage, language: Language) -> None:
        self._found = found
        self.language: Language = language

    def __call__(self, key: str, **parts: object) -> str:
        return escape(WORDS[self.language][key].format(**parts))

    def time(self, time: str) -> str:
        day, clock = time[:10], time[11:16]
        if self.language == "de":
            day = ".".join(day.split("-")[::-1])
        return f"{day} {clock}".strip()

    def name(self, identifier: str) -> str:
        """Name and id of something."""
        if not identifier:
            return self("nobody")
        name = self._found.named(identifier)
        return (
            escape(name) if name == identifier else f'{escape(name)} <span class="id">{escape(identifier)}</span>'
        )


def _period(found: Usage, say: _Writer) -> str:
    period = found.period
    if not period.first and not period.last:
        return say("period_all")
    first = say.time(period.first) if period.first else WORDS[say.language]["begin"]
    last = say.time(period.last) if period.last else WORDS[say.language]["now"]
    return say("period", first=first, last=last)


def _tiles(found: Usage, say: _Writer) -> str:
    data = [one for one in found.releases if one.datasets]
    figures = {
        "tile_releases": len(data),
        "tile_purposes": len({one.purpose for one in data}),
        "tile_members": len({one.member for one in data}),
        "tile_refused": len(found.refused),
    }
    tiles = "".join(f"<div><b>{count}</b><span>{say(key)}</span></div>" for key, count in figures.items())
    return f'<div class="tiles">{tiles}</div>'


def _trust(found: Usage, say: _Writer) -> list[str]:
    texts = [say("verified", entries=found.entries, root=found.root)]
    if found.is_witnessed:
        texts[0] += f" {say('witnessed')}"
    else:
        texts.append(f'<span class="warn">{say("not_witnessed")}</span>')
    if found.newer:
        texts.append(say("newer", count=found.newer))
    return texts


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, last_is_number: bool = False) -> str:
    """A table of cells that are HTML already."""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = [""] * (len(row) - 1) + [' class="n"' if last_is_number else ""]
        return "".join(f"<{tag}{kind}>{cell}</{tag}>" for cell, kind in zip(row, kinds, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _purposes(found: Usage, say: _Writer) -> str:
    counted = Counter((one.purpose, dataset) for one in found.releases for dataset in one.datasets)
    if not counted:
        return ""
    runs = {
        key: len({one.run for one in found.releases if one.purpose == key[0] and key[1] in one.datasets})
        for key in counted
    }
    last = {
        key: max(one.time for one in found.releases if one.purpose == key[0] and key[1] in one.datasets)
        for key in counted
    }
    rows = [
        (escape(purpose), say.name(dataset), say.time(last[purpose, dataset]), str(runs[purpose, dataset]))
        for purpose, dataset in sorted(counted)
    ]
    head = [say(word) for word in ("purpose", "dataset", "last", "runs")]
    return f"<h2>{say('purposes')}</h2>{_table(head, rows, last_is_number=True)}"


def _dataset(found: Usage, kept: Kept, say: _Writer) -> str:
    sealed = "".join(
        f"<p>{say('sealed_value', version=at, time=say.time(time), member='')}{say.name(member)}</p>"
        for at, (time, member) in enumerate(kept.versions, 1)
    )
    if kept.erased:
        state = say("state_erased", time=say.time(kept.erased))
    elif kept.decided:
        state = say("state_decided", time=say.time(kept.decided))
    else:
        state = say("state_kept")
    grants = [one for one in found.permissions if one.dataset == kept.dataset]
    head = [say(word) for word in ("permission", "purpose", "given", "expires", "limits")]
    permissions = (
        _table(head, [_permission(one, say) for one in grants]) if grants else f"<p>{say('permissions_none')}</p>"
    )
    releases = found.of(kept.dataset)
    return "\n".join(
        (
            f"<h2>{say('dataset')} {say.name(kept.dataset)}</h2>",
            f"<p><b>{say('state')}:</b> {state}</p>",
            f"<h3>{say('sealed')}</h3>{sealed}" if sealed else "",
            f"<h3>{say('permissions')}</h3>{permissions}",
            f"<h3>{say('uses')}</h3>",
            _releases(releases, say) if releases else f"<p>{say('uses_none')}</p>",
        )
    )


def _permission(one: Permission, say: _Writer) -> tuple[str, ...]:
    if one.terms is None:
        return (escape(one.grant), say("unknown_terms"), say.time(one.given), "", "")
    terms = one.terms
    place = ", ".join(filter(None, (terms.place.country, terms.place.site, terms.place.node_class)))
    limits = [
        say("limit_country", place=place) if place else "",
        f"{say('limit_members', members='')}{', '.join(map(say.name, terms.members))}" if terms.members else "",
        say("limit_code") if terms.code else "",
        say("limit_runs", count=terms.runs_per_day) if terms.runs_per_day else "",
        say("limit_attested") if terms.attested else "",
        say("limit_ask") if terms.ask else "",
    ]
    until = say.time(terms.expires)
    if one.revoked:
        until += f'<br><span class="warn">{say("revoked", time=say.time(one.revoked))}</span>'
    said = "<br>".join(filter(None, limits)) or say("limit_none")
    return (f'<span class="id">{escape(one.grant)}</span>', escape(terms.purpose), say.time(one.given), until, said)


def _releases(releases: Sequence[Release], say: _Writer) -> str:
    rows = [
        (
            say.time(one.time),
            escape(one.purpose),
            say.name(one.run),
            say.name(one.member),
            say("to_run", attempt=one.receiver) if one.is_run else f"{say.name(one.receiver)}",
            str(one.index),
        )
        for one in releases
    ]
    head = [say(word) for word in ("when", "purpose", "job", "by", "to", "entry")]
    return _table(head, rows, last_is_number=True)


def _results(found: Usage, say: _Writer) -> str:
    others = [one for one in found.releases if not one.datasets]
    if not others:
        return ""
    return f'<h2>{say("results")}</h2><p class="note">{say("results_says")}</p>{_releases(others, say)}'


def _refusals(found: Usage, say: _Writer) -> str:
    if not found.refused:
        return f"<h2>{say('refusals')}</h2><p>{say('refusals_none')}</p>"
    rows = [
        (
            say.time(one.time),
            escape(one.purpose),
            say.name(one.run),
            say.name(one.member),
            escape(REASONS.get(one.reason, {}).get(say.language, one.reason)),
            str(one.index),
        )
        for one in found.refused
    ]
    head = [say(word) for word in ("when", "purpose", "job", "asked_by", "reason", "entry")]
    body = _table(head, rows, last_is_number=True)
    return f'<h2>{say("refusals")}</h2><p class="note">{say("refusals_says")}</p>{body}'
