"""What a newcomer runs: deploy/run --demo, with everything built."""

import os
import subprocess
import time

from recorder import ROOT, check, free_port

SECONDS_MAX = 45	# promised: 30 s on an idle machine, when built


def test_demo_ends_with_success(context):
    env = dict(os.environ, CAPSTAN_DEMO_SIP_PORT=str(free_port()), CAPSTAN_DEMO_HTTP_PORT=str(free_port()))
    begun = time.monotonic()
    done = subprocess.run([os.path.join(ROOT, "deploy", "demo")], env=env, capture_output=True, text=True, timeout=300)
    seconds = time.monotonic() - begun
    check(done.returncode == 0, f"ended with {done.returncode}: {done.stdout[-800:]} {done.stderr[-800:]}")
    check("call.wav" in done.stdout, f"it does not say where the WAV is: {done.stdout[-400:]}")
    check(seconds < SECONDS_MAX, f"took {seconds:.0f} s")
