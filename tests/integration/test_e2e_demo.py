"""What a newcomer runs: deploy/run --demo, with everything built."""

import os
import re
import subprocess
import time

from recorder import ROOT, check, free_port

SECONDS_MAX = 45	# promised: 30 s on an idle machine, when built


def test_the_test_call_on_the_screen_is_one(context):
    for listen in ("udp:0.0.0.0:{}", "tcp:[::]:{}"):
        with context.recorder(sip__listen=listen.format(free_port())) as r:
            screen = re.search(r"^ +Test call +(capstan-src .*)$", r.log_text(), re.M)
            check(screen is not None, f"no test call on the screen: {r.log_text()[-800:]}")
            name, *arguments = screen.group(1).split()
            done = subprocess.run([os.path.join(r.build, "bench", "src", name), *arguments], capture_output=True, text=True, timeout=60)
            check(done.returncode == 0, f"{screen.group(1)}: {done.stderr[-400:]}")
            check(len(r.wait_sealed(1)) == 1, "no recording of it")


def test_demo_ends_with_success(context):
    env = dict(os.environ, CAPSTAN_DEMO_SIP_PORT=str(free_port()), CAPSTAN_DEMO_HTTP_PORT=str(free_port()))
    begun = time.monotonic()
    done = subprocess.run([os.path.join(ROOT, "deploy", "demo")], env=env, capture_output=True, text=True, timeout=300)
    seconds = time.monotonic() - begun
    check(done.returncode == 0, f"ended with {done.returncode}: {done.stdout[-800:]} {done.stderr[-800:]}")
    check("call.wav" in done.stdout, f"it does not say where the WAV is: {done.stdout[-400:]}")
    check(seconds < SECONDS_MAX, f"took {seconds:.0f} s")
