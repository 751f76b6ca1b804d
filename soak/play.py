"""Mixed runs while processes of every kind are killed at random; afterwards everything must agree.

    make soak                     a hundred runs over twenty minutes
    make soak MINUTES=2 SEED=7    the short form, played again with the same plan
    make soak DATABASE=postgres OBJECTS=s3 PROCESSES=3    on real servers, which fail as well

A factory and two or three customers with real processes and the installed command. Ends with status 1 if
anything is wrong. Needs root, since only then each run has a user of its own.
"""

import argparse
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kifabrik.errors import KifabrikError
from kifabrik.values import parse_time
from soak import afterwards
from soak.cast import Cast
from soak.casting import PURPOSE, make_factory, make_tenant
from soak.journal import Journal
from soak.killer import Killer
from soak.leftovers import left_for_good, leftovers
from soak.outage_scenes import scenes_on
from soak.outages import EVERY_S, Outages
from soak.pace import in_time
from soak.parties import Commands, UnexpectedError
from soak.plan import deal, deal_more, dice
from soak.processes import Processes
from soak.report import Progress, clock, page, paint, say
from soak.stores import DATABASES, OBJECTS, Stores
from soak.watch import Watch

RUNS_A_MINUTE = 5
CPUS = 6
"""Cores the node offers: more than there are, since most of these runs wait."""
HARM_EVERY_S = 3.0
SCENE_S = 900.0
MANY_MINUTES = 5


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long runs are ordered")
    parser.add_argument("--seed", default="", help="of the plan; printed at the start, random without it")
    parser.add_argument("--runs", type=int, default=0, help="how many at least; five a minute without it")
    parser.add_argument("--harm-every", type=float, default=HARM_EVERY_S, help="mean seconds between two harms")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="where rows lie")
    parser.add_argument("--objects", choices=OBJECTS, default="folder", help="where objects lie")
    parser.add_argument(
        "--processes", type=int, default=1, help="of the factory: 2, one only answers; 3, one more stands by"
    )
    parser.add_argument("--outage-every", type=float, default=EVERY_S, help="mean seconds between two outages")
    parser.add_argument("--folder", type=Path, help="scratch folder to make; kept. A temporary one without it")
    parser.add_argument("--report", type=Path, help="file for the report as JSON")
    return parser.parse_args()


class Soak:
    """One play.

    Args:
        asked: What was asked for.
        folder: Where everything lies.
        seed: Of the plan.
    """

    def __init__(self, asked, folder, seed):
        self.folder = folder
        self.seconds = asked.minutes * 60
        self.runs = asked.runs or max(8, round(RUNS_A_MINUTE * asked.minutes))
        self.seed = seed
        self.journal = Journal(folder / "journal.jsonl")
        self.commands = Commands(self.journal)
        self.before = leftovers(folder)
        self.tenants, self.watches, self.ordered = [], [], []
        self.stores = Stores(asked.database, asked.objects)
        try:
            self.house = make_factory(folder, self.commands, CPUS, self.stores, asked.processes)
        except BaseException:
            self.stores.close()
            raise
        self.factory, self.port = self.house.party, self.house.port
        self.outages = Outages(dice(seed, "outages"), self.journal, self.stores.servers, asked.outage_every)
        self.killer, self.takeovers = None, 0
        self.harm_every_s = asked.harm_every

    def set_up(self, tenants):
        """People, a dataset of each tenant, and eyes on all runs."""
        names = [f"tenant-{number}" for number in range(1, tenants + 1)]
        with ThreadPoolExecutor(tenants) as pool:
            self.tenants += pool.map(self._make_tenant, names)
        self.watches += [Watch(tenant.steward, self.journal) for tenant in self.tenants]
        for number, tenant in enumerate(self.tenants):
            cast = self.cast(number, 0)
            line = f"{tenant.name}-line"
            cast.seal(line, cast.folder("line"))
            cast.grant(line, PURPOSE)

    def _make_tenant(self, name):
        return make_tenant(self.folder, name, self.factory, self.port, self.commands)

    def cast(self, tenant, number):
        """A scene's view of a tenant."""
        rolls = dice(self.seed, "scene", number)
        return Cast(
            self.tenants[tenant],
            self.watches[tenant],
            self.journal,
            rolls,
            number,
            self.house,
            self.ordered,
        )

    def perform(self):
        """Play all scenes while processes are harmed."""
        acts = deal(self.seed, self.runs, self.seconds, len(self.tenants))
        acts += deal_more(self.seed, self.seconds, len(self.tenants), scenes_on(self.house), len(acts))
        acts.sort(key=lambda act: act.at_s)
        node = self.folder / "factory" / "factory" / "node"
        self.killer = Killer(
            dice(self.seed, "killer"),
            self.journal,
            self.house,
            self.tenants,
            Processes(node),
            self.commands,
            self.harm_every_s,
        )
        self.killer.start()
        self.outages.start()
        started, playing = time.monotonic(), []
        try:
            for act in acts:
                time.sleep(max(0.0, started + act.at_s - time.monotonic()))
                thread = threading.Thread(target=self._act, args=(act,), name=act.scene.__name__, daemon=True)
                thread.start()
                playing.append(thread)
            time.sleep(max(0.0, started + self.seconds - time.monotonic()))
        except KeyboardInterrupt:
            say("Cut short: no new orders; what is under way is seen to its end.")
        self.outages.stop()
        self.killer.stop()
        until = time.monotonic() + in_time(SCENE_S)
        for thread in playing:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                self.journal.mistake(f"the scene {thread.name} has not come to its end")

    def _act(self, act):
        self.journal.note(f"scene {act.number} {act.scene.__name__}", tenant=act.tenant)
        try:
            act.scene(self.cast(act.tenant, act.number))
        except (UnexpectedError, KifabrikError) as error:
            self.journal.mistake(f"scene {act.number} {act.scene.__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - a mistake of a scene must not look like success
            self.journal.mistake(f"scene {act.number} {act.scene.__name__} broke: {type(error).__name__}: {error}")

    def settle(self):
        """Look at everything once it has come to rest."""
        self.house.wait()
        afterwards.wait_for_rest(self.watches, self.journal)
        time.sleep(3)
        for watch in self.watches:
            watch.close()
        afterwards.check_runs(self.ordered, self.watches, self.journal)
        afterwards.check_keyholders(self.tenants, self.journal)
        afterwards.check_ledgers(self.tenants, self.journal)
        afterwards.check_factory(self.factory, self.journal, "beside the service")
        if len(self.house.drives) > 1:
            self.takeovers = afterwards.takeovers_of(self.folder / "factory" / "factory")
        self.stop()
        afterwards.check_factory(self.factory, self.journal, "without the service")
        copies = sorted((self.folder / "factory").glob("copy-*/factory"))
        afterwards.check_copies(copies, self.folder / "factory" / "factory", self.stores, self.journal)
        afterwards.check_money(self.folder / "factory" / "factory", self.journal)
        self.stores.close()
        for sentence in sorted(left_for_good(self.folder, self.before)):
            self.journal.mistake(f"left on this machine: {sentence}")

    def stop(self):
        """End all services; each goes by itself when asked."""
        for service in self.services():
            if not service.stop():
                self.journal.mistake(f"{service.name} did not end when it was asked to")

    def services(self):
        """All that run all the time."""
        return [tenant.keyholder for tenant in self.tenants] + self.house.services

    def clear(self):
        """After a play that was broken off: no process of it may stay."""
        self.commands.over.set()
        self.outages.stop()
        if self.killer is not None:
            self.killer.stop()
        for service in self.services():
            service.stop(5)
        for launcher in Processes(self.folder / "factory" / "factory" / "node").launchers().values():
            launcher.send(signal.SIGKILL)
        self.stores.close()

    def views(self):
        """Every run by id."""
        return {run: view for watch in self.watches for run, view in watch.views().items()}

    def waits(self):
        """Mean seconds from order to first attempt, by tenant."""
        found = {}
        for tenant, watch in zip(self.tenants, self.watches, strict=True):
            waited = [
                (parse_time(view.attempts[0].started) - parse_time(view.created)).total_seconds()
                for view in watch.views().values()
                if view.attempts and view.attempts[0].started
            ]
            found[tenant.name] = sum(waited) / len(waited) if waited else 0.0
        return found


def on(asked):
    """What the factory stands on, if that is not the usual."""
    words = [one for one, usual in ((asked.database, "sqlite"), (asked.objects, "folder")) if one != usual]
    words += [f"{asked.processes} processes"] if asked.processes > 1 else []
    return "".join(f"{word}, " for word in words)


def again(asked):
    """The same for `make`."""
    usual = (("DATABASE", asked.database, "sqlite"), ("OBJECTS", asked.objects, "folder"))
    more = (("PROCESSES", asked.processes, 1),)
    return "".join(f" {name}={said}" for name, said, without in usual + more if said != without)


def main():
    """Play, look, report."""
    asked = arguments()
    if os.geteuid() != 0:
        sys.exit("soak needs root: only then each run has a user, memory and control group of its own")
    seed = asked.seed or secrets.token_hex(3)
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="kifabrik-soak-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tenants = 3 if asked.minutes >= MANY_MINUTES else 2
    say(paint("1", f"soak  {asked.minutes:g} minutes, {tenants} tenants, {on(asked)}seed {seed}"))
    say(f"      everything lies in {folder}")
    for each in (signal.SIGINT, signal.SIGTERM):  # also where whoever started it has them ignored
        signal.signal(each, signal.default_int_handler)
    soak = Soak(asked, folder, seed)
    done = False
    try:
        soak.set_up(tenants)
        progress = Progress(soak.journal, soak.watches, soak.runs)
        soak.perform()
        soak.settle()
        progress.stop()
        done = True
    except UnexpectedError as error:
        sys.exit(f"the play could not be set up: {error}; everything is kept in {folder}")
    except KeyboardInterrupt:
        sys.exit(f"broken off; everything is kept in {folder}")
    finally:
        if not done:
            soak.clear()
    return finish(asked, soak)


def finish(asked, soak):
    """Tell what was found; the exit status."""
    journal = soak.journal
    for line in page(journal, soak.ordered, soak.views(), soak.services(), soak.waits(), soak.takeovers):
        print(line)
    ok = not journal.mistakes
    report = {
        "ok": ok,
        "seed": soak.seed,
        "minutes": asked.minutes,
        "stores": soak.stores.named,
        "processes": len(soak.house.processes),
        "took": clock(time.time() - journal.started),
        "runs": {run: str(view.state) for run, view in soak.views().items()},
        "ordered": len(soak.ordered),
        "harms": len(journal.harms),
        "counts": dict(journal.counts),
        "takeovers": soak.takeovers,
        "restarts": {one.name: one.starts - 1 for one in soak.services()},
        "waited_s": soak.waits(),
        "mistakes": journal.mistakes,
    }
    afterwards.write_json(soak.folder / "soak.json", report)
    if asked.report:
        afterwards.write_json(asked.report, report)
    journal.close()
    if ok and asked.folder is None:
        shutil.rmtree(soak.folder)
    else:
        print(f"      {soak.folder} is kept: journal.jsonl, soak.json, the folders of all parties")
    print(f"      play it again with: make soak MINUTES={asked.minutes:g} SEED={soak.seed}{again(asked)}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
