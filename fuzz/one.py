"""`python -m fuzz.one NAME [libFuzzer's options] [folders]`: fuzz one target, guided by its coverage.

`python -m fuzz.one NAME --replay FILE…` reads files once instead, with nothing but Python: a finding comes as
its traceback.
"""

import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Fuzz or replay."""
    name, *rest = sys.argv[1:]
    if rest[:1] == ["--replay"]:
        _replay(name, rest[1:])
    else:
        _fuzz(name, rest)


def _replay(name: str, files: list[str]) -> None:
    from fuzz.targets import load

    target = load(name)
    for file in files:
        target.judge(Path(file).read_bytes())
        print(f"{file}: nothing but what may come out")


def _fuzz(name: str, options: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["kifabrik"]):
        from fuzz.targets import load

        target = load(name)
    from fuzz.mutation import mutate_json

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        changed = mutate_json(data, seed) if seed % 3 else None
        return changed if changed is not None and len(changed) <= most else _mutated(atheris, data, most)

    extra: dict[str, Any] = {"custom_mutator": mutate} if target.json else {}
    atheris.Setup([sys.argv[0], f"-max_len={target.longest}", *options], target.judge, **extra)
    atheris.Fuzz()


def _mutated(atheris: Any, data: bytes, most: int) -> bytes:
    return bytes(atheris.Mutate(data, most))


if __name__ == "__main__":
    main()
