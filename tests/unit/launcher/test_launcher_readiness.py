"""What the template does ahead, so that no launcher has to do it."""

import subprocess
import sys
import textwrap

PROGRAM = """
    import sys
    from kifabrik.launcher.__main__ import get_ready, main
    get_ready()
    before = set(sys.modules)
    from kifabrik.client.attempts import Attempts
    from kifabrik.client.connection import Connection
    from kifabrik.errors import UnavailableError
    from kifabrik.runs.statements import LogSegment
    from kifabrik.signatures import statements
    from kifabrik.wire.attempts import Work
    known = set(statements._adapters)
    try:
        Attempts(Connection("http://localhost:9", "kfa_x", patience_s=0), "a-x").work()
    except UnavailableError:
        print(sorted(set(sys.modules) - before), LogSegment in known, Work.__pydantic_complete__, len(known))
"""


def test_a_ready_launcher_imports_nothing_more_for_its_first_call() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "[] True True 14\n"
