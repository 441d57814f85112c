"""Digest authentication: a client of our own by SHA-256, SIPp (Debian's sip-tester) by MD5, and who has no password."""

import hashlib
import os
import re
import subprocess

from recorder import ROOT, check
from sip_client import Client, Message, ack_for, invite, request, sdp

PASSWORD = "a long and random one"


def users_file(folder, *lines):
    path = os.path.join(folder, "digest-users")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write("\n".join(lines) + "\n")
    return path


def line(user, password, hash_name="sha256", realm="capstan"):
    return f"{user}:{realm}:{hashlib.new(hash_name, f'{user}:{realm}:{password}'.encode()).hexdigest()}"


def authorization(answer, user, password, uri="sip:srs@127.0.0.1"):
    """An Authorization line to the SHA-256 challenge of a 401."""
    challenge = next(c for c in answer.all("WWW-Authenticate") if "SHA-256" in c)
    values = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    digest = lambda text: hashlib.sha256(text.encode()).hexdigest()	# noqa: E731
    response = digest(":".join((digest(f"{user}:{values['realm']}:{password}"), values["nonce"], "00000001", "c0ffee", "auth",
                                digest(f"INVITE:{uri}"))))
    return f'Authorization: Digest username="{user}", realm="{values["realm"]}", nonce="{values["nonce"]}", uri="{uri}", ' \
           f'algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c0ffee", response="{response}"'


def test_a_password_begins_a_session_and_none_does_not(context):
    r = context.recorder()
    r.settings["sip.digest_users"] = users_file(r.folder, "# clients", line("sbc1", PASSWORD))
    with r, Client(r.port) as client:
        offer = sdp(r.host, [(20000, "1")])
        first = invite(client, "digest@src", offer)
        answer = client.ask(first)
        check(answer.status == 401, f"without a password: {answer.status}")
        client.send(ack_for(first, answer))
        check(len(answer.all("WWW-Authenticate")) == 1, "MD5 is offered, and was not configured")
        wrong = invite(client, "digest@src", offer, cseq=2, lines=("Require: siprec", authorization(answer, "sbc1", "guess")))
        refused = client.ask(wrong)
        check(refused.status == 401, f"with a wrong password: {refused.status}")
        client.send(ack_for(wrong, refused))
        right_lines = ("Require: siprec", authorization(refused, "sbc1", PASSWORD))
        right = invite(client, "digest@src", offer, cseq=3, lines=right_lines)
        accepted = client.ask(right)
        check(accepted.status == 200, f"with the password: {accepted.status}")
        client.send(ack_for(right, accepted))
        again = client.ask(invite(client, "replayed@src", offer, lines=right_lines))
        check(again.status == 401 and "stale=true" in again.header("WWW-Authenticate"), "a proof counted twice")
        check(client.ask(request(client, "OPTIONS", "ping@src", 1)).status == 200, "OPTIONS")
        bye = request(client, "BYE", "digest@src", 4, to_tag=accepted.tag("To", "t"), contact="")
        check(client.ask(bye).status == 200, "BYE is not challenged")
        r.wait_sealed(1)
        m = r.metrics()
        check(m["sip_challenges"] == 2 and m["sip_unauthenticated"] == 1, "counters of 401")
        log = r.log_text()
        for secret in (PASSWORD, "sbc1", line("sbc1", PASSWORD).split(":")[2], Message(right).header("Authorization")[-20:-1]):
            check(secret not in log, f"the log has {secret}")


def test_a_file_that_others_can_read_is_refused_at_start(context):
    r = context.recorder()
    path = users_file(r.folder, line("sbc1", PASSWORD))
    os.chmod(path, 0o644)
    r.settings["sip.digest_users"] = path
    try:
        r.start(wait_s=10)
    except AssertionError as e:
        check("chmod 600" in str(e), f"the remedy is not named: {e}")
    else:
        check(False, "it was taken")
    finally:
        r.close()


def errors(r):
    path = os.path.join(r.folder, "sipp-errors.log")
    return open(path, errors="replace").read()[-800:] if os.path.exists(path) else ""


def test_sipp_answers_the_challenge_by_md5(context):
    r = context.recorder(sip__digest_algorithms="MD5")
    r.settings["sip.digest_users"] = users_file(r.folder, line("sipp", "lion", "md5"))
    with r:
        for transport in ("u1", "t1"):
            done = subprocess.run(["sipp", f"127.0.0.1:{r.port}", "-sf", os.path.join(ROOT, "tests", "integration", "sipp", "siprec_digest.xml"),
                                   "-m", "3", "-i", "127.0.0.1", "-mi", r.host, "-t", transport, "-nostdin", "-timeout", "30",
                                   "-trace_err", "-error_file", os.path.join(r.folder, "sipp-errors.log")],
                                  cwd=r.folder, capture_output=True, text=True, timeout=60)
            check(done.returncode == 0, f"SIPp over {transport} ended with {done.returncode}: {errors(r)} {done.stderr[-300:]}")
        r.wait_sealed(6)
        m = r.metrics()
        check(m["sip_challenges"] == 6 and m["sip_unauthenticated"] == 0, f"{m['sip_challenges']} challenges, {m['sip_unauthenticated']} refusals")
