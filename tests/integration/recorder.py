"""A recorder under test: capstand on a tap port of its own, its tool, its simulator. Each instance has its own
folder, ports, interface and addresses, so that several can run side by side."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "..", "shared", "corpus")


class Failure(AssertionError):
    """What a test found, in one sentence."""


def check(holds, sentence):
    if not holds:
        raise Failure(sentence)


FREE_PORTS = (10000, 16000)	# media ports begin at 16384


def free_port():
    """A port that is free for UDP and TCP now, below those that the kernel gives out: a client that dials one of those
    before the recorder listens may be given it as its own port, and then it talks to itself."""
    while True:
        port = random.SystemRandom().randrange(*FREE_PORTS)	# tests that run side by side, or that seed, share no row
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue	# another's


class Recorder:
    numbers = itertools.count(1)

    def __init__(self, build, sanitized=False, folder=None, prefix=(), yaml="", **settings):
        number = next(Recorder.numbers)	# tests run side by side
        n = (os.getpid() * 7 + number) % 250
        self.build = build
        self.sanitized = sanitized
        self.prefix = list(prefix)	# a command that starts the recorder: taskset
        self.folder = folder or tempfile.mkdtemp(prefix="capstan-")
        self.port = free_port()
        self.http_port = free_port()
        self.tls_port = free_port()	# used when tls.enabled is true
        self.yaml = yaml		# what only a file can say
        self.device = f"cst{os.getpid() % 10000}x{number % 100}"
        self.net = f"198.18.{n + 1}"
        self.media = f"{self.net}.2"
        self.host = f"{self.net}.1"
        self.media6 = f"fd00:ca57:{n + 1:x}::2"
        self.host6 = f"fd00:ca57:{n + 1:x}::1"
        self.log_path = os.path.join(self.folder, "capstand.log")
        self.process = None
        self.settings = {
            "sip.listen": f"udp:127.0.0.1:{self.port},tcp:127.0.0.1:{self.port},"
                          f"udp:{self.host}:{self.port},tcp:{self.host}:{self.port}",
            "media.device": self.device,
            "media.addresses": f"{self.media},{self.media6}",
            "media.kernel_address4": f"{self.host}/24",
            "media.kernel_address6": f"{self.host6}/64",
            "media.no_huge": "true",
            "limits.sessions_max": "300",
            "storage.devices": os.path.join(self.folder, "vault"),
            "storage.segment_mib": "8",
            "storage.reserve_mib": "16",
            "keys.path": os.path.join(self.folder, "keys"),
            "http.port": str(self.http_port),
            "node.run_dir": os.path.join(self.folder, "run"),
            "node.name": "test-node",
            "node.drain_s": "0",	# SIGTERM ends calls at once
            "tls.port": str(self.tls_port),
        }
        self.settings["sip.listen"] = f"udp:0.0.0.0:{self.port},tcp:0.0.0.0:{self.port}," \
                                      f"udp:[::]:{self.port},tcp:[::]:{self.port}"
        self.settings.update({k.replace("__", "."): str(v) for k, v in settings.items()})

    # ---- life ----

    def start(self, wait_s=30):
        daemon = os.path.join(self.build, "controlplane", "capstand")
        args = [*self.prefix, daemon]
        if self.yaml:
            path = os.path.join(self.folder, "capstan.yaml")
            with open(path, "w") as f:
                f.write(self.yaml)
            args += ["--config", path]
        for name, value in self.settings.items():
            args += ["--set", f"{name}={value}"]
        env = dict(os.environ, LD_BIND_NOW="1", ASAN_OPTIONS="detect_leaks=0:abort_on_error=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(args, stdout=self.log, stderr=subprocess.STDOUT, env=env, cwd=self.folder)
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Failure(f"capstand ended at start with {self.process.returncode}: {self.log_tail()}")
            if self.ready():
                return self
            time.sleep(0.05)
        raise Failure(f"capstand was not ready within {wait_s} s: {self.log_tail()}")

    def ready(self):
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def stop(self, sig=signal.SIGTERM, wait_s=10):
        """Returns (exit status, seconds it took)."""
        begun = time.monotonic()
        self.process.send_signal(sig)
        try:
            status = self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure(f"capstand did not stop within {wait_s} s of signal {sig}: {self.log_tail()}")
        finally:
            self.log.close()
        return status, time.monotonic() - begun

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def close(self, keep=False):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, kind, error, trace):
        self.close()

    # ---- looking at it ----

    def log_text(self):
        with open(self.log_path, "r", errors="replace") as f:
            return f.read()

    def log_tail(self, n=12):
        return " | ".join(self.log_text().splitlines()[-n:])

    def wait_log(self, text, wait_s=5):
        """Until the log holds `text`."""
        end = time.monotonic() + wait_s
        while text not in self.log_text():
            check(time.monotonic() < end, f"no {text} in the log after {wait_s} s: {self.log_tail()}")
            time.sleep(0.02)

    def get(self, path):
        """(status, parsed JSON or text) of a REST path."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                status, body = answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            status, body = e.code, e.read().decode()
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body

    def memory_holds(self, needles):
        """Names of those byte strings (name: bytes) that stand anywhere in the process's memory."""
        overlap = max(len(n) for n in needles.values()) - 1
        found = set()
        with open(f"/proc/{self.process.pid}/maps") as maps, open(f"/proc/{self.process.pid}/mem", "rb", 0) as mem:
            for line in maps.read().splitlines():
                span, rights = line.split()[:2]
                if rights[0] != "r" or "[v" in line:
                    continue
                at, end = (int(x, 16) for x in span.split("-"))
                before = b""
                while at < end:
                    try:
                        mem.seek(at)
                        data = mem.read(min(1 << 22, end - at))
                    except OSError:
                        break	# a page of a device
                    if not data:
                        break
                    found.update(name for name, needle in needles.items() if needle in before + data)
                    before, at = data[-overlap:], at + len(data)
        return found

    def metrics(self):
        """Counters by name without the common prefix."""
        out = {}
        for line in self.get("/metrics")[1].splitlines():
            m = re.match(r"^capstan_([a-z0-9_]+?)(?:_total)?(?:\{[^}]*\})? ([0-9.e+]+)$", line)
            if m:
                out[m.group(1)] = out.get(m.group(1), 0) + float(m.group(2))
        return out

    def verdicts(self):
        """Names of the verdict counters, from the list that the data plane is built from."""
        with open(os.path.join(ROOT, "dataplane", "counters.h")) as f:
            text = f.read()
        listed = text[text.index("#define VERDICT_LIST"):text.index("enum rx_verdict")]
        return re.findall(r"X\(RX_\w+, (\w+),", listed)

    def settle(self, wait_s=5):
        """Until no packet came for a moment: counters may be a burst old."""
        end, last = time.monotonic() + wait_s, None
        while time.monotonic() < end:
            now = self.metrics()["nic_received"]
            if now == last:
                return
            last = now
            time.sleep(0.3)

    def catch_up(self, wait_s=10):
        """Until the core has read what lies in its queue, and has done what it was told: both may take a while on a busy
        machine. Two packets to a port of nobody, the second one behind all that the first one found."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((self.host, 0))
            for _ in range(2):
                before, end = self.metrics()["rx_drop_no_stream"], time.monotonic() + wait_s
                s.sendto(bytes([0x80]) + bytes(171), (self.media, 32766))
                while self.metrics()["rx_drop_no_stream"] == before:
                    check(time.monotonic() < end, f"a packet was not read within {wait_s} s")
                    time.sleep(0.005)

    def check_conservation(self):
        """nic_received = sum of all verdicts, read until two readings agree that nothing came in between."""
        for _ in range(10):
            m = self.metrics()
            total = sum(m[name] for name in self.verdicts())
            if total == m["nic_received"]:
                return m
            time.sleep(0.2)
        raise Failure(f"{m['nic_received']:.0f} packets received, {total:.0f} verdicts")

    def tool(self, *args, expect=0):
        """Run `capstan ... --json`; returns the document. expect=None: returns (status, stdout, stderr)."""
        binary = os.path.join(self.build, "controlplane", "tool", "capstan")
        done = subprocess.run([binary, "--set", f"storage.devices={self.settings['storage.devices']}",
                               "--set", f"keys.path={self.settings['keys.path']}",
                               "--set", f"node.run_dir={self.settings['node.run_dir']}", *args],
                              capture_output=True, text=True, timeout=120, cwd=self.folder)
        if expect is None:
            return done.returncode, done.stdout, done.stderr
        check(done.returncode == expect, f"capstan {' '.join(args)} ended with {done.returncode}: {done.stderr[-600:]}{done.stdout[-600:]}")
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout

    def recordings(self):
        document = self.tool("recordings", "ls", "--limit", "1000", "--json")
        return document["recordings"]

    def wait_sealed(self, n, wait_s=15):
        """Until n recordings are sealed; returns them."""
        end = time.monotonic() + wait_s
        rows = []
        while time.monotonic() < end:
            rows = [r for r in self.recordings() if r["state"] in ("sealed", "interrupted")]
            if len(rows) >= n:
                return rows
            time.sleep(0.2)
        raise Failure(f"{len(rows)} of {n} recordings sealed after {wait_s} s: {self.log_tail()}")

    def segments(self):
        """Every segment file of the vault, the oldest first."""
        folder = os.path.join(self.settings["storage.devices"], "segments")
        return sorted(os.path.join(folder, f) for f in os.listdir(folder))

    def reel_py(self, *args, first=None):
        """The independent reader over every segment: (status, output). `first` goes before the files."""
        before = [first] if first is not None else []
        done = subprocess.run(["python3", os.path.join(ROOT, "tests", "reel.py"), args[0], *before, *self.segments(), *args[1:]],
                              capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    # ---- placing calls ----

    def simulate(self, *args, expect=0, timeout=120, host="127.0.0.1", port=None):
        """capstan-src against this recorder; returns its JSON report."""
        binary = os.path.join(self.build, "bench", "src", "capstan-src")
        target = f"[{host}]:{port or self.port}" if ":" in host else f"{host}:{port or self.port}"
        local = self.host6 if ":" in host else self.host
        done = subprocess.run([binary, "--json", "--seed", "7", "--local", local, *args, target],
                              capture_output=True, text=True, timeout=timeout)
        check(done.returncode == expect,
              f"capstan-src {' '.join(args)} ended with {done.returncode}: {done.stdout}{done.stderr[-400:]} log: {self.log_tail()}")
        return json.loads(done.stdout) if done.stdout else None
