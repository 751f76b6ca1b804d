"""YAML without what a job file does not need: aliases, tags, merge keys, duplicate keys.

Of YAML 1.1's readings of bare words only those of YAML 1.2 are left, in decimal: `on`, `010`, `1:30` and
`2026-11-23` are text. A word that is read as something else than it looks is how two readers come apart.
"""

import re
from typing import Any, Final

import yaml

from kifabrik.errors import UsageError

_HINT: Final = (
    "Correct that line, or the one before it, and try again. Plain YAML is read: keys, lists, texts, numbers."
)


def parse_plain(text: str, where: str) -> Any:
    """Parse one YAML document of plain values.

    Raises:
        UsageError: It is not YAML, or uses aliases, tags or a key twice; names the line.
    """
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506 - a SafeLoader that refuses more
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply", hint=_HINT) from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{where} is not valid YAML: {_fault(error)}", hint=_HINT) from None


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader that refuses aliases, tags and duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag is not None:
            raise yaml.constructor.ConstructorError(None, None, "tags are not allowed", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key.value, str) else False:
                problem = f"{key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


_READ = {
    "tag:yaml.org,2002:null": (re.compile(r"^(?:~|null|Null|NULL|)$"), [*"~nN", ""]),
    "tag:yaml.org,2002:bool": (re.compile(r"^(?:true|True|false|False)$"), list("tTfF")),
    "tag:yaml.org,2002:int": (re.compile(r"^[-+]?(?:0|[1-9][0-9]{0,17})$"), list("-+0123456789")),
    "tag:yaml.org,2002:float": (re.compile(r"^[-+]?[0-9]{1,18}[.][0-9]{1,18}$"), list("-+0123456789")),
}
_PlainLoader.yaml_implicit_resolvers = {}
for _tag, (_form, _starts) in _READ.items():
    _PlainLoader.add_implicit_resolver(_tag, _form, _starts)


def _fault(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1})" if mark else str(problem)
