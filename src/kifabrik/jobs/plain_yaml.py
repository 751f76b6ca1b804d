"""YAML without what a job file does not need: aliases, tags, duplicate keys, and `on` as a truth value."""

import re
from typing import Any

import yaml

from kifabrik.errors import UsageError


def parse_plain(text: str, where: str) -> Any:
    """Parse one YAML document of plain values.

    Raises:
        UsageError: It is not YAML, or uses aliases, tags or a key twice; names the line.
    """
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506 - a SafeLoader that refuses more
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not valid YAML: {_fault(error)}") from None


class _PlainLoader(yaml.SafeLoader):
    """A SafeLoader that refuses aliases and duplicate keys, and reads YAML 1.2's truth values only."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen if isinstance(key.value, str) else False:
                problem = f"{key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


_BOOL = "tag:yaml.org,2002:bool"
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|false|False)$"), list("tTfF"))


def _fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} (line {mark.line + 1})" if mark else str(problem)
