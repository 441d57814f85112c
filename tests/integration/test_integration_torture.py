"""Twenty thousand malformed messages of our own over every transport that listens, while a hundred calls are recorded:
nothing crashes, no packet of a call is lost, and memory stays where it was."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from certificates import Authority
from recorder import check
from torture_sender import Sender

SEED = os.environ.get("CAPSTAN_SEED", "4475")
MESSAGES = int(os.environ.get("CAPSTAN_TORTURE", "20000"))
WARM_UP = 0.3		# of them: what grows in use has grown then
WARM_UP_MAX = 20000	# messages of a transport
GROWTH_MAX = 0.01
TRANSPORTS = ("udp", "tcp", "tls")


def heap_bytes(recorder):
    """What is allocated and not given back, but for the catalog's cache, which fills. The process's size says less: it
    grows with the holes between what lives."""
    m = recorder.metrics()
    return m["memory_in_use_bytes"] - m["catalog_memory_bytes"]


def resident_bytes(recorder):
    with open(f"/proc/{recorder.process.pid}/status") as f:
        return 1024 * sum(int(line.split()[1]) for line in f if line.startswith(("VmRSS:", "VmSwap:")))


def tap_dropped(recorder):
    """Packets that this machine's kernel did not give to the recorder."""
    with open(f"/sys/class/net/{recorder.device}/statistics/tx_dropped") as f:
        return int(f.read())


def drained(recorder, n_live, wait_s=20):
    """Until the sessions of the torture are over and the live calls alone are left."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        sessions = recorder.get("/api/v1/sessions?limit=1000")[1]["sessions"]
        if len(sessions) <= n_live:
            return
        time.sleep(0.2)
    left = [s for s in sessions if not re.fullmatch(r"\d+-\w+", s["call_id"])]
    check(False, f"{len(sessions) - n_live} sessions of the torture are left after {wait_s} s: {left}")


def started(recorder, n_live, wait_s=30):
    end = time.monotonic() + wait_s
    while len(recorder.get("/api/v1/sessions?limit=1000")[1]["sessions"]) < n_live:
        check(time.monotonic() < end, f"{n_live} calls did not start within {wait_s} s")
        time.sleep(0.1)


def torture_for(senders, first, n):
    with concurrent.futures.ThreadPoolExecutor(len(senders)) as pool:
        for done in [pool.submit(s.run, first, n) for s in senders]:
            done.result()


def measure(context, n_messages, n_calls, seed):
    """Send them all, then look; the figures. Fails when a call, a packet or the memory was hurt."""
    with tempfile.TemporaryDirectory() as folder, \
            context.recorder(sip__rate_per_s=0, sip__t1_ms=50, limits__sessions_max=600, storage__segment_mib=64, **Authority(folder).settings()) as r:
        live = subprocess.Popen([os.path.join(r.build, "bench", "src", "capstan-src"), "--json", "--seed", "7", "--calls", str(n_calls), "--rate", "100",
                                 "--duration", "3600", "--no-rtcp", "--local", r.host, f"127.0.0.1:{r.port}"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            started(r, n_calls)
            senders = [Sender(r, transport, seed) for transport in TRANSPORTS]
            each = n_messages // len(senders)
            warm = min(int(each * WARM_UP), WARM_UP_MAX)
            begun = time.monotonic()
            torture_for(senders, 0, warm)
            drained(r, n_calls + len(senders))
            before, resident = heap_bytes(r), resident_bytes(r)
            torture_for(senders, warm, each - warm)
            seconds = time.monotonic() - begun
            drained(r, n_calls + len(senders))
            after = heap_bytes(r)
            for s in senders:
                s.close()
            check(live.poll() is None, "the calls ended early")
            live.send_signal(signal.SIGINT)
            said, _ = live.communicate(timeout=60)
        finally:
            if live.poll() is None:
                live.kill()
                live.communicate()
        sent = json.loads(said)
        check(live.returncode == 0 and sent["answered"] == n_calls, f"the live calls were disturbed: {said}")
        check(r.process.poll() is None, f"the recorder died: {r.log_tail()}")
        r.settle()
        m = r.check_conservation()
        missing = sent["packets_sent"] - m["rx_recorded"]
        # what the kernel could not queue on a busy machine never was the recorder's
        check(0 <= missing <= tap_dropped(r), f"{missing:.0f} packets of live calls were lost, {m['rx_recorded']:.0f} recorded of {sent['packets_sent']}; "
              f"the kernel dropped {tap_dropped(r)}")
        growth = (after - before) / resident
        if not context.sanitized:	# what is freed there is kept on purpose for a while
            check(growth <= GROWTH_MAX, f"memory grew by {100 * growth:.2f} % of {resident / 1e6:.1f} MB in {(each - warm) * len(senders)} messages")
        statuses = sum((s.statuses for s in senders), start=type(senders[0].statuses)())
        check(r.stop()[0] == 0, f"it did not stop in order: {r.log_tail()}")
        status, text = r.tool("verify", expect=None)[:2]
        check(status == 0, f"verify: {text[-400:]}")
        return {"messages": sum(s.sent for s in senders), "seconds": round(seconds, 1), "messages_per_s": round(sum(s.sent for s in senders) / seconds),
                "answers": {str(k): n for k, n in sorted(statuses.items())}, "calls": n_calls, "packets": sent["packets_sent"],
                "packets_missing": int(missing), "heap_before": int(before), "heap_after": int(after), "growth_percent": round(100 * growth, 3)}


def test_torture_disturbs_no_call(context):
    figures = measure(context, MESSAGES, 40 if context.sanitized else 100, SEED)
    print(f"torture: {json.dumps(figures)}", flush=True)
    for status in ("200", "400", "405", "481", "488"):
        check(figures["answers"].get(status, 0) > 0, f"no answer was {status}: the messages are not what they should be")
