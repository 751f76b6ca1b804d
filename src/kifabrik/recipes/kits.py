"""Kits: a recipe as a folder to order in a factory, with job files, requirements and the recipe's own code.

The code travels as part of the sealed `workdir`, so the factory sees neither which recipe runs nor how, and what
runs is the version that is installed here. The environment is locked to the packages the recipe is tested with.

Invariants:
    - An existing file is never replaced.
    - Nothing of kifabrik beyond `errors`, `durable`, `run_log` and the recipe itself is in a kit.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from kifabrik.errors import ConflictError, NotFoundError, UsageError

CODE: Final = "code"
"""Folder of a kit that becomes the job's working folder."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHARED: Final = ("__init__.py", "errors.py", "durable.py", "recipes/__init__.py", "recipes/run_log.py")
_LETTERS: Final = {"\n": "a line break", "\\": "a backslash", "'": "a quotation mark", '"': "a quotation mark"}
_LEFT_OUT: Final = ("__pycache__", "example", "example.py", "kit.py")

Check = Callable[[str, str], str]
"""Of a setting's name and a value: returns the value, or raises UsageError."""


@dataclass(frozen=True)
class Setting:
    """What can be chosen when a kit is written.

    Attributes:
        name: As on the command line.
        default: Its value where nothing is said.
        about: One line.
        check: Of its values.
    """

    name: str
    default: str
    about: str
    check: Check


@dataclass(frozen=True)
class Kit:
    """A recipe that can be ordered.

    Attributes:
        name: Of the kit.
        about: One line.
        package: Package within `kifabrik.recipes` whose code goes along.
        extra: Extra of the distribution whose packages it needs.
        settings: What can be chosen.
        files: Makes the files of the folder (path to text) of the settings' values.
        steps: Makes the commands that come next, of the folder and the same values.
        example: Writes example input into a folder; None: there is none.
        needs: Packages needed beyond the extra's.
        finish: Adds to a written folder what takes a while to make; of the folder, the values, and whom to tell.
    """

    name: str
    about: str
    package: str
    extra: str
    settings: tuple[Setting, ...]
    files: Callable[[Mapping[str, str]], dict[str, str]]
    steps: Callable[[Path, Mapping[str, str]], tuple[str, ...]]
    example: Callable[[Path], None] | None = None
    needs: tuple[str, ...] = ("pydantic",)
    finish: Callable[[Path, Mapping[str, str], Callable[[str], None]], None] | None = None


KITS: Final = {
    "maintenance": "kifabrik.recipes.maintenance.kit:MAINTENANCE",
    "supply-chain": "kifabrik.recipes.supply_chain.kit:SUPPLY_CHAIN",
    "pharma-screen": "kifabrik.recipes.pharma.kit:PHARMA_SCREEN",
    "pharma-train": "kifabrik.recipes.pharma.kit:PHARMA_TRAIN",
}
"""Name of a kit to where it is declared; imported when it is asked for."""


def find_kit(name: str) -> Kit:
    """Return a kit.

    Raises:
        NotFoundError: There is none of this name.
    """
    if name not in KITS:
        raise NotFoundError(f"there is no recipe {name!r}", hint=f"There are {', '.join(KITS)}.")
    module, _, attribute = KITS[name].partition(":")
    kit: Kit = getattr(import_module(module), attribute)
    return kit


def write_kit(kit: Kit, folder: Path, chosen: Mapping[str, str], *, example: bool = False) -> dict[str, str]:
    """Write a kit's folder and return the values of all settings.

    Args:
        kit: Which.
        folder: To make; it may exist if it is empty.
        chosen: Values of settings, by name.
        example: Whether to write example input, too, into the folder `input`.

    Raises:
        ConflictError: The folder holds something.
        UsageError: A setting is unknown or its value makes no sense.
    """
    values = _values(kit, chosen)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"{folder} exists and is not empty", hint="Name another folder.")
    if example and kit.example is None:
        raise UsageError(f"the recipe {kit.name} has no example input")
    texts = kit.files(values) | {"requirements.txt": requirements(kit)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_code(kit, folder / CODE / "kifabrik")
    if example and kit.example is not None:
        kit.example(folder / "input")
    return values


def requirements(kit: Kit) -> str:
    """Packages the recipe needs, at the versions installed here; as a requirements file."""
    declared = metadata.requires("kifabrik") or []
    marked = f'extra == "{kit.extra}"'
    named = [line for line in declared if marked in line.replace("'", '"')]
    names = {re.split(r"[\s<>=!~;\[]", line, maxsplit=1)[0] for line in named} | set(kit.needs)
    lines = []
    for name in sorted(names):
        try:
            lines.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            declared_line = next((line.partition(";")[0].strip() for line in named if line.startswith(name)), name)
            lines.append(declared_line)
    return "\n".join(lines) + "\n"


def sealed_steps(folder: Path, values: Mapping[str, str], jobs: Sequence[str], result: str) -> tuple[str, ...]:
    """The commands from input to result: seal, grant, order, pull.

    Args:
        folder: Of the kit.
        values: Of its settings, `name`, `dataset` and `purpose` among them.
        jobs: Names of its job files.
        result: Name of the folder to make of what comes back.
    """
    dataset, ordered = values["dataset"], " ".join(str(folder / job) for job in jobs)
    return (
        f"kifabrik dataset seal {dataset} {folder / 'input'}",
        f"kifabrik dataset grant {dataset} --purpose {values['purpose']}",
        f"kifabrik apply {ordered}",
        f"kifabrik model pull {values['name']} --to {folder / result}",
    )


def name_of(what: str) -> Check:
    """A check of names: what datasets, purposes and jobs may be called."""

    def check(_name: str, value: str) -> str:
        if not _NAME.fullmatch(value):
            hint = "Use 1 to 64 lower-case letters, digits, '.', '_' and '-'."
            raise UsageError(f"{value!r} is not a name for a {what}", hint=hint)
        return value

    return check


def within(least: int, most: int) -> Check:
    """A check of whole numbers."""

    def check(name: str, value: str) -> str:
        if not re.fullmatch(r"\d{1,12}", value) or not least <= int(value) <= most:
            raise UsageError(f"{name} must be a whole number from {least:,} to {most:,}, not {value!r}")
        return value

    return check


def size(name: str, value: str) -> str:
    """Check an amount of memory."""
    if not re.fullmatch(r"[1-9]\d{0,5}[KMGT]i?B", value):
        raise UsageError(f"{name} must be a size such as 4GB, not {value!r}")
    return value


def one_of(*choices: str) -> Check:
    """A check of words."""

    def check(name: str, value: str) -> str:
        if value not in choices:
            raise UsageError(f"{name} must be {', '.join(filter(None, choices))}, not {value!r}")
        return value

    return check


def without(letters: str) -> Check:
    """A check of free text that becomes part of a command line in a job file.

    Args:
        letters: That it must not hold: those that would end it there.
    """

    def check(name: str, value: str) -> str:
        found = next((letter for letter in value if letter in letters), None)
        if found is not None:
            named = _LETTERS.get(found, found)
            raise UsageError(f"{name} must not hold {named}, as in {value!r}")
        return value

    return check


def limits(cpu: int, memory: str, budget: int, whose: str = "of the run") -> tuple[Setting, ...]:
    """The settings of what a run may use.

    Args:
        cpu: Cores, if nothing is said.
        memory: Its size, likewise.
        budget: Euros, likewise.
        whose: Cores and memory these are.
    """
    return (
        Setting("cpu", str(cpu), f"cores {whose}", within(1, 4096)),
        Setting("memory", memory, whose, size),
        Setting("budget", str(budget), "euros at most", within(1, 1_000_000)),
    )


def _values(kit: Kit, chosen: Mapping[str, str]) -> dict[str, str]:
    known = {setting.name: setting for setting in kit.settings}
    strange = sorted(set(chosen) - set(known))
    if strange:
        hint = f"There are {', '.join(known)}."
        raise UsageError(f"the recipe {kit.name} has no setting {strange[0]!r}", hint=hint)
    return {name: setting.check(name, chosen.get(name, setting.default)) for name, setting in known.items()}


def _write_code(kit: Kit, target: Path) -> None:
    source = resources.files("kifabrik")
    for name in _SHARED:
        _copy(source.joinpath(name), target / name)
    _copy(source.joinpath("recipes", kit.package), target / "recipes" / kit.package)


def _copy(source: Traversable, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return
    for one in source.iterdir():
        if one.name not in _LEFT_OUT:
            _copy(one, target / one.name)
