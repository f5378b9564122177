"""A Ray cluster of this machine: nodes that are processes of `ray start`, and applications of Serve config files.

Each node may be in a network namespace of its own, with its own address and its own loopback device, as on several
machines. That needs root and the program `ip`.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.running_service import free_port

ROOT = Path(__file__).parents[1]
NODE_VARIABLES = ROOT / "deploy" / "ray" / "node.env"
INSTALLED = importlib.util.find_spec("ray") is not None
_RAY = Path(sys.executable).with_name("ray")
_STORE = 80_000_000  # bytes of shared memory of a node; Ray asks for at least 75 MiB
# Ports that Ray would choose itself, which takes time.
_AGENT_PORTS = (
    "dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port", "runtime-env-agent-port",
)  # fmt: skip
# Seconds for a busy machine. Ray starts most parts anew that need longer, which makes it busier.
_PATIENCE = {
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
}
_ATTEMPTS = 5  # a raylet ends where its agents need more than 15 seconds, which no variable changes
_NETWORK = "10.231"


class RayStartError(RuntimeError):
    """A node or an application did not start. The message says what is known."""


class Place(NamedTuple):
    """Where a node runs. address: of the node; command: that is put before its command."""

    address: str
    command: tuple[str, ...]


def node_variables() -> dict[str, str]:
    """The variables that deploy/ray/node.env sets."""
    lines = [line.partition(" #")[0].strip() for line in NODE_VARIABLES.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


class RayCluster:
    """Nodes of a cluster. `ray_cluster` starts and stops one.

    Args:
        folder: for files of Ray; its path is short, because sockets are in it.
        places: of the nodes, the head first.
        variables: of each node, beside those of this process; `{node}` in a value is the number of the node.
        cpus: that each node offers.
        gpus: that each node offers. Ray takes any number, whether the machine has them or not.
        niceness: of the processes that manage a node; below 0 they start in time beside other work. Only root may.

    Attributes:
        address: where the head's proxy answers.
    """

    def __init__(
        self, folder: Path, places: Sequence[Place], variables: Mapping[str, str], cpus: int, gpus: int = 0,
        niceness: int = 0,
    ) -> None:  # fmt: skip
        self._folder, self._places, self._cpus, self._gpus = folder, places, cpus, gpus
        self._niceness = niceness
        self._variables = {**node_variables(), **variables}
        self._ports = {name: free_port() for name in ("ray", "http", "first")}
        self._token = secrets.token_hex(32)  # of this cluster; Ray refuses who does not send it
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._driver: subprocess.Popen[str] | None = None
        self.address = f"http://{places[0].address}:{self._ports['http']}"

    def start(self) -> None:
        """Start all nodes, and wait until the head knows them.

        Raises:
            RayStartError: if a node ends, or is not there in four minutes.
        """
        head = f"{self._places[0].address}:{self._ports['ray']}"
        self._start(0, "--head", f"--port={self._ports['ray']}", "--include-dashboard=false",
                    f"--ray-client-server-port={free_port()}", f"--temp-dir={self._folder}")  # fmt: skip
        self._wait("the head", lambda: "Ray runtime started" in self._log(0), 300)
        for number in range(1, len(self._places)):
            self._start(number, f"--address={head}")
        with (self._folder / "driver.log").open("wb") as sink:
            self._driver = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.ray_driver", head], env=self._environment(0), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink,
            )  # fmt: skip
        self._read()
        self._wait("the nodes", lambda: len(self._alive()) == len(self._places), 300)

    def deploy(self, config: dict[str, Any], patience: float = 240) -> None:
        """Deploy a Serve config file as `serve run FILE` does, and wait until all of its applications run.

        Args:
            config: the file; the port of its proxies is replaced.
            patience: longest wait, seconds.

        Raises:
            RayStartError: if an application fails or does not run in time, with Ray's message.
        """
        http_options = {**config.get("http_options", {}), "port": self._ports["http"]}
        config = {**config, "http_options": http_options}
        start = {"proxy_location": config.get("proxy_location", "EveryNode"), "http_options": http_options}
        self._ask({"start": start, "deploy": config})
        self.wait_until_running(patience)

    def wait_until_running(self, patience: float = 240) -> None:
        """Wait until all applications run.

        Raises:
            RayStartError: if one fails, or does not run in time.
        """
        self._wait("the applications", self._runs, patience)

    def wait_until_gone(self, replicas: Collection[str], patience: float = 240) -> None:
        """Wait until replicas have ended.

        Args:
            replicas: their ids.
            patience: longest wait, seconds.

        Raises:
            RayStartError: if one of them is left.
        """
        self._wait("old replicas", lambda: not {one["replica_id"] for one in self.replicas()} & set(replicas), patience)

    def replicas(self) -> list[dict[str, Any]]:
        """What Ray knows of each replica: `replica_id`, `state`, `pid`, `node_ip`, `node_id` and more."""
        found = []
        for one in self._ask({"state": True})["applications"].values():
            for deployment in one["deployments"].values():
                found += deployment["replicas"]
        return found

    def replica_addresses(self) -> list[str]:
        """Where each running replica answers itself, without the proxy. This is so with HAProxy only."""
        found = self._ask({"targets": True})["targets"]
        return [f"http://{one['ip']}:{one['port']}" for one in found]

    def kill(self, replica: Mapping[str, Any]) -> None:
        """Kill the process of a replica at once. All nodes are on this machine."""
        os.kill(replica["pid"], signal.SIGKILL)

    def stop(self) -> None:
        """Stop all nodes, and every process of theirs that is left."""
        if self._driver is not None:
            self._driver.kill()
            self._driver.communicate()
            self._driver = None
        for pid in self.processes():  # `ray stop` waits half a minute for work that nobody needs
            _kill(pid)
        for node in self._nodes:
            node.kill()
            node.wait()
        self._nodes.clear()
        while left := self.processes():
            for pid in left:
                _kill(pid)
            time.sleep(0.1)

    def _start(self, number: int, *flags: str) -> None:
        place = self._places[number]
        ports = {name: free_port() for name in _AGENT_PORTS}
        command = [
            "nice", "-n", str(self._niceness), *place.command, str(_RAY), "start", "--block", "--disable-usage-stats",
            "--include-log-monitor=false", f"--num-cpus={self._cpus}",
            f"--num-gpus={self._gpus}", f"--object-store-memory={_STORE}", f"--node-ip-address={place.address}",
            *(f"--{name}={port}" for name, port in ports.items()), *flags,
        ]  # fmt: skip
        with (self._folder / f"node-{number}.log").open("wb") as sink:
            self._nodes.append(
                subprocess.Popen(command, env=self._environment(number), stdin=subprocess.DEVNULL,
                                 stdout=sink, stderr=subprocess.STDOUT, start_new_session=True)
            )  # fmt: skip

    def _environment(self, number: int) -> dict[str, str]:
        first = 30_000 + self._ports["first"] % 20_000
        own = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            **_PATIENCE,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first),
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first + 200),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{self._folder}/haproxy.cfg",
            "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{self._folder}/admin.sock",
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(self._folder),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{self._folder}/server-state",
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{self._folder}/metrics.sock",
        }
        given = {name: value.replace("{node}", str(number)) for name, value in self._variables.items()}
        return {**os.environ, **own, **given}

    def _runs(self) -> bool:
        found = self._ask({"state": True})["applications"]
        for name, one in found.items():
            if one["status"] == "DEPLOY_FAILED":  # Ray replaces the replicas of an application that is unhealthy
                messages = [deployment["message"] for deployment in one["deployments"].values()]
                raise RayStartError(f"{name} is {one['status']}: {one['message']} {' '.join(messages)}")
        return bool(found) and all(one["status"] == "RUNNING" for one in found.values())

    def _alive(self) -> list[str]:
        return [node["address"] for node in self._ask({"state": True})["nodes"] if node["alive"]]

    def _log(self, number: int) -> str:
        return (self._folder / f"node-{number}.log").read_text()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request to the driver, and read its answer.

        Raises:
            RayStartError: if it could not be done.
        """
        assert self._driver is not None
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps(request) + "\n")
        self._driver.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._driver is not None
        assert self._driver.stdout is not None
        line = self._driver.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the driver has ended"}
        if "error" in answer:
            raise RayStartError(f"{answer['error']}\n{(self._folder / 'driver.log').read_text()[-3000:]}")
        return answer

    def _wait(self, what: str, holds: Any, patience: float) -> None:
        end = time.monotonic() + patience
        while not holds():
            ended = self._ended()
            if ended or time.monotonic() > end:
                logs = [self._log(n)[-2000:] for n in range(len(self._nodes))]
                raise RayStartError(f"{what}: {ended or f'not ready after {patience:g} s'}\n{chr(10).join(logs)}")
            time.sleep(0.2)

    def _ended(self) -> str:
        """Which part of the cluster has ended; empty if none has."""
        for number, node in enumerate(self._nodes):
            if node.poll() is not None:
                return f"node {number} has ended"
        for errors in self._folder.glob("session_2*/logs/raylet*.err"):  # `ray start` notices it in minutes
            if "Check failed" in errors.read_text(errors="replace"):
                return "a raylet has ended"
        return ""

    def processes(self) -> list[int]:
        """Ids of all processes of the cluster: they name its folder in their command or in their environment."""
        found, folder = [], str(self._folder).encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                named = folder in (process / "cmdline").read_bytes() or folder in (process / "environ").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if named and int(process.name) != os.getpid():
                found.append(int(process.name))
        return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def ray_cluster(
    variables: Mapping[str, str], nodes: int = 2, cpus: int = 1, gpus: int = 0, niceness: int = 0, apart: bool = False
) -> Iterator[RayCluster]:
    """A running cluster until the block ends; nothing of it is left then.

    Args:
        variables: of each node, see `RayCluster`.
        nodes: number of nodes.
        cpus: that each node offers.
        gpus: that each node offers.
        niceness: see `RayCluster`.
        apart: whether each node is in a network namespace of its own.

    Raises:
        RayStartError: if it does not start.
    """
    with ExitStack() as stack:
        places = stack.enter_context(_namespaces(nodes)) if apart else [Place("127.0.0.1", ())] * nodes
        for attempt in range(_ATTEMPTS):
            folder = Path(tempfile.mkdtemp(prefix="ss-ray-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            cluster = RayCluster(folder, places, variables, cpus, gpus, niceness)
            stack.callback(cluster.stop)
            try:
                cluster.start()
                break
            except RayStartError:
                cluster.stop()
                if attempt == _ATTEMPTS - 1:
                    raise
        yield cluster


def can_separate() -> bool:
    """Whether network namespaces can be made here."""
    name = f"sgray{os.getpid()}t"
    for add, remove in (
        (["netns", "add", name], ["netns", "del", name]),
        (["link", "add", name, "type", "bridge"], ["link", "del", name]),  # containers may allow one and not the other
    ):
        try:
            made = subprocess.run(["ip", *add], capture_output=True)
        except FileNotFoundError:
            return False
        if made.returncode != 0:
            return False
        subprocess.run(["ip", *remove], capture_output=True)
    return True


@contextmanager
def _namespaces(count: int) -> Iterator[list[Place]]:
    """Places of nodes: the first in this namespace, each other in one of its own, joined by a bridge.

    Nodes in two other namespaces may not reach each other: the firewall of Docker, where there is one, refuses that.
    """
    own = f"sgray{os.getpid()}"  # devices of another process, and those that are being removed, have other names
    network = f"{_NETWORK}.{os.getpid() % 250}"
    with ExitStack() as stack:
        _ip("link", "add", own, "type", "bridge")
        stack.callback(_ip, "link", "del", own)
        _ip("address", "add", f"{network}.1/24", "dev", own)
        _ip("link", "set", own, "up")
        places = [Place(f"{network}.1", ())]
        for number in range(1, count):
            name, address, inner = f"{own}-{number}", f"{network}.{number + 1}", "eth0"
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("link", "add", name, "type", "veth", "peer", "name", inner, "netns", name)
            stack.callback(_ip, "link", "del", name)
            _ip("link", "set", name, "master", own, "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", inner)
            _ip("-n", name, "link", "set", inner, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            places.append(Place(address, ("ip", "netns", "exec", name)))
        yield places


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
