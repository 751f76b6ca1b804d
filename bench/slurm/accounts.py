"""What `kifabrik admin slurm sync` takes for many tenants, beside one `sacctmgr` for each step.

    python bench/slurm/accounts.py [--tenants 200] [--json PATH]      root; a few minutes

A real slurmdbd with one node. The plan is made for tenants with an account, a QOS with limits and a Unix user each,
and carried out in both ways, on accounts that do not exist yet; in between it is removed again, both ways too. The
users exist for the plan alone: what `useradd` takes is not measured. Each time nothing may be left to do.
"""

import resource
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crowd import ClusterSpec, SlurmCommands, clusters, say
from report import Bar, Picture, hand_on, parser

from kifabrik.engines.slurm.account_plan import Plan, Step, TenantShare, plan_accounts, unix_user
from kifabrik.engines.slurm.account_sync import AccountSync
from kifabrik.engines.slurm.accounts import read_book

FOLDER = Path("/tmp/kifabrik-slurm-accounts")
WAYS = ("one sacctmgr a step", "steps put together")


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--tenants", type=int, default=200)
    wishes = made.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    tenants = [
        TenantShare(f"t-{_letters(number)}", 1.0 + number % 3, 64, 8, 1000) for number in range(wishes.tenants)
    ]
    walls: dict[tuple[str, str], float] = {}
    try:
        with clusters.running(ClusterSpec(FOLDER, nodes=1, gpus=0)) as cluster:
            commands = SlurmCommands(cluster.conf)
            for way in WAYS:
                for what, listed in (("make", tenants), ("remove", [])):
                    walls[what, way] = carry_out(commands, way, what, listed)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    for what in ("make", "remove"):
        say(f"{what}: together to one by one", f"{walls[what, WAYS[1]] / walls[what, WAYS[0]]:.2f} x")
    hand_on(wishes.json, picture(walls, wishes.tenants))


def carry_out(commands: SlurmCommands, way: str, what: str, tenants: Sequence[TenantShare]) -> float:
    """Carry a plan out in one of the two ways, see that nothing is left to do, and return its seconds."""
    plan = planned(commands, tenants)
    run = one_by_one if way == WAYS[0] else together
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run(commands, plan, tenants)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"{what}, {len(plan.steps)} steps, {way}", f"{took:.1f} s, {cpu:.1f} s CPU of sacctmgr")
    left = planned(commands, tenants).steps
    if left:
        raise SystemExit(f"{len(left)} steps are left, such as {left[0].what}")
    return took


def planned(commands: SlurmCommands, tenants: Sequence[TenantShare]) -> Plan:
    """What is left to do if all Unix users were there."""
    users = {unix_user(share.tenant) for share in tenants}
    return plan_accounts(tenants, read_book(commands), users, remove_gone=True)


def one_by_one(commands: SlurmCommands, plan: Plan, _tenants: Sequence[TenantShare]) -> None:
    """As a script would."""
    for step in plan.steps:
        commands.run(*step.command)


def together(commands: SlurmCommands, plan: Plan, tenants: Sequence[TenantShare]) -> None:
    """As `sync` does."""
    nothing: Callable[[Step], None] = lambda _step: None  # noqa: E731
    AccountSync(commands, lambda: tenants).do(plan, done=nothing)


def picture(walls: dict[tuple[str, str], float], tenants: int) -> Picture:
    """Both ways, both plans."""
    bars = tuple(
        Bar(f"{what}: {way}", wall, "peer" if way == WAYS[0] else "ours") for (what, way), wall in walls.items()
    )
    return Picture(f"Accounts, QOS and members of {tenants} tenants in Slurm", "seconds", bars)


def _letters(number: int) -> str:
    """32 letters of a tenant id, different from each other within the first 16."""
    found = ""
    for _ in range(16):
        number, digit = divmod(number, 26)
        found = chr(ord("a") + digit) + found
    return found + "a" * 16


if __name__ == "__main__":
    main()
