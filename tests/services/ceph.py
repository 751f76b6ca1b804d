"""A real S3 store: Ceph's RADOS gateway over one monitor and one OSD in memory, all on loopback.

The processes are Debian's (`ceph-mon`, `ceph-osd`, `radosgw`); nothing of them outlives the block.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from kifabrik.stores.s3.place import S3Place
from ports import free_port

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
PACKAGES = "ceph-mon ceph-osd radosgw ceph-common"
_PATIENCE_S = 90.0


def missing_programs():
    """Which of Ceph's programs this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class Ceph:
    """One small cluster and its gateway.

    Args:
        folder: For its sockets, logs and the monitor's store; short, since sockets' paths are.
        memory_bytes: Room of the OSD.
    """

    def __init__(self, folder, memory_bytes=3 * 2**30):
        self.folder = folder
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.access_key = "K" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_hex(20)
        self._processes = {}
        self._cluster(memory_bytes)
        self._user()
        self.start_gateway()

    def credentials_file(self):
        """An AWS shared credentials file with the keys of the one user."""
        file = self.folder / "credentials"
        keys = f"aws_access_key_id = {self.access_key}\naws_secret_access_key = {self.secret_key}\n"
        file.write_text(f"[default]\n{keys}")
        file.chmod(0o600)
        return file

    def start_gateway(self):
        """Start the gateway; it answers when this returns."""
        self._start("radosgw", "-n", "client.admin")
        self._await(self._answers, "radosgw")

    def kill_gateway(self):
        """Kill the gateway as a power cut would."""
        self._processes["radosgw"].kill()
        self._processes.pop("radosgw").wait()

    def freeze_gateway(self):
        """Let the gateway hang: connections are taken, nothing is answered."""
        self._processes["radosgw"].send_signal(signal.SIGSTOP)

    def thaw_gateway(self):
        """Let it go on."""
        self._processes["radosgw"].send_signal(signal.SIGCONT)

    def close(self):
        """End every process and remove everything."""
        if "client" in self.__dict__:
            self.client.close()
        for process in reversed(self._processes.values()):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def place(self, bucket, prefix="factory", **more):
        """A bucket of this cluster, as a factory's settings would name it."""
        place = {"endpoint": self.endpoint, "credentials": self.credentials_file(), **more}
        return S3Place(bucket=bucket, prefix=prefix, **place)

    def bucket(self, **more):
        """Make a fresh bucket; return its name."""
        name = f"bucket-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name, **more)
        return name

    @cached_property
    def client(self):
        """botocore's own client, as somebody uses it who knows nothing of our code."""
        import botocore.session
        from botocore.config import Config

        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def admin(self, *words):
        """Run `radosgw-admin`; return what it prints as JSON."""
        said = self._call("radosgw-admin", "-c", self._conf, *words, "--format", "json")
        return json.loads(said or "null")

    # --- parts ---

    @property
    def _conf(self):
        return str(self.folder / "ceph.conf")

    def _cluster(self, memory_bytes):
        fsid, monitor = str(uuid.uuid4()), free_port()
        self._conf_file(fsid, monitor, memory_bytes)
        self._call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"v2:127.0.0.1:{monitor}", "monmap")
        self._keyring()
        self._call("ceph-mon", "-c", self._conf, "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self._start("ceph-mon", "-i", "a")
        osd = str(uuid.uuid4())
        self._await(lambda: self._says("ceph", "-c", self._conf, "--connect-timeout", "5", "status"), "ceph-mon")
        self._call("ceph", "-c", self._conf, "osd", "new", osd)
        self._call("ceph-osd", "-c", self._conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._start("ceph-osd", "-i", "0")

    def _conf_file(self, fsid, monitor, memory_bytes):
        settings = {
            "fsid": fsid,
            "mon host": f"[v2:127.0.0.1:{monitor}]",
            "mon initial members": "a",
            "public addr": "127.0.0.1",
            "cluster addr": "127.0.0.1",
            "run dir": self.folder,
            "admin socket": f"{self.folder}/$name.asok",
            "log file": f"{self.folder}/$name.log",
            "mon data": f"{self.folder}/mon",
            "osd data": f"{self.folder}/osd",
            "keyring": f"{self.folder}/keyring",
            "osd objectstore": "memstore",
            "memstore device bytes": memory_bytes,
            "osd pool default size": 1,
            "osd pool default min size": 1,
            "mon allow pool size one": "true",
            "mon warn on pool no redundancy": "false",
            "osd pool default pg num": 1,
            "osd pool default pg autoscale mode": "off",
            "osd crush chooseleaf type": 0,
            "osd memory target": 2**30,
            "mon max pg per osd": 1000,
            "ms bind ipv6": "false",
            "rgw frontends": f"beast endpoint=127.0.0.1:{self.port}",
            "rgw data": f"{self.folder}/rgw",
            "rgw thread pool size": 64,
            "rgw enable usage log": "false",
            "rgw gc obj min wait": 1,
            "rgw gc processor period": 2,
            "debug ms": "0/0",
        }
        lines = [f"{name} = {value}" for name, value in settings.items() if value != ""]
        (self.folder / "ceph.conf").write_text("[global]\n" + "\n".join(lines) + "\n")
        for name in ("osd", "rgw"):
            (self.folder / name).mkdir(exist_ok=True)

    def _keyring(self):
        everything = [word for part in ("mon", "osd", "mgr") for word in ("--cap", part, "allow *")]
        for name in ("mon.", "client.admin", "osd.0"):
            create = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            self._call("ceph-authtool", "keyring", *create, "--gen-key", "-n", name, *everything)

    def _user(self):
        keys = ("--access-key", self.access_key, "--secret-key", self.secret_key)
        self.admin("user", "create", "--uid", "factory", "--display-name", "factory", *keys)

    def _start(self, program, *words):
        with (self.folder / f"{program}.out").open("ab") as out:
            self._processes[program] = subprocess.Popen(
                [program, "-f", "-c", self._conf, *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": "33554432"},
                start_new_session=True,  # Ctrl-C is for whoever tests, not for what is tested
            )

    def _call(self, *words):
        ran = subprocess.run(
            words, cwd=self.folder, check=False, capture_output=True, text=True, timeout=_PATIENCE_S
        )
        assert ran.returncode == 0, f"{' '.join(words)}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def _says(self, *words):
        return subprocess.run(words, cwd=self.folder, check=False, capture_output=True).returncode == 0

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _await(self, ready, program):
        until = time.monotonic() + _PATIENCE_S
        while not ready():
            status = self._processes[program].poll()
            assert status is None, f"{program} ended: {(self.folder / f'{program}.out').read_text()[-2000:]}"
            assert time.monotonic() < until, f"{program} is not ready"
            time.sleep(0.2)


@contextmanager
def running(**more):
    """A cluster and its gateway while the block runs."""
    folder = Path(mkdtemp(prefix="kf-rgw-", dir="/tmp"))
    found = Ceph.__new__(Ceph)
    found._processes, found.folder = {}, folder
    try:
        found.__init__(folder, **more)
        yield found
    finally:
        found.close()
