"""SIP over TLS against the running server: calls with SDES, mutual TLS, profiles, reload, peers of others, and connections
that hang while calls go on."""

import base64
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import sip_client as sip
from certificates import temporary as authority
from recorder import check


def crypto_line():
    return "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(os.urandom(30)).decode()


def offer(r, crypto=None, port=30000):
    profile = "RTP/SAVP" if crypto else "RTP/AVP"
    lines = ["v=0", f"o=src 1 1 IN IP4 {r.host}", "s=-", f"c=IN IP4 {r.host}", "t=0 0", f"m=audio {port} {profile} 0",
             "a=rtpmap:0 PCMU/8000", "a=sendonly", "a=label:1", *([crypto] if crypto else [])]
    return ("\r\n".join(lines) + "\r\n").encode()


def call(r, client, call_id, sdp):
    """INVITE, ACK; returns the final answer."""
    data = sip.invite(client, call_id, sdp, sip.rs_metadata(("Alice",), ("1",)))
    answer = client.ask(data)
    if answer is not None:
        client.send(sip.ack_for(data, answer))
    return answer


def end(client, call_id, answer):
    bye = client.ask(sip.request(client, "BYE", call_id, 2, to_tag=answer.tag("To", "t"), contact=""))
    check(bye is not None and bye.status == 200, f"{call_id}: BYE {bye and bye.start}")


def options_answer(client, n):
    answer = client.ask(sip.request(client, "OPTIONS", f"options-{n}", 1))
    return answer.status if answer else None


def test_tls_call_with_sdes(context):
    """Keys in SDP are refused over UDP and taken over TLS, with the settings as they are (RFC 4568 §8)."""
    with authority() as ca, context.recorder(**ca.settings()) as r:
        with sip.Client(r.port) as client:
            answer = call(r, client, "sdes-udp", offer(r, crypto_line()))
            check(answer.status == 488 and "send SIP over TLS" in answer.header("Warning"), f"UDP: {answer.start}")
        with sip.Client(r.tls_port, "tls", tls=ca.context()) as client:
            own = crypto_line()
            answer = call(r, client, "sdes-tls", offer(r, own))
            check(answer is not None and answer.status == 200, f"TLS: {answer and answer.start} {r.log_tail()}")
            ours = re.search(rb"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:(\S+)", answer.body)
            check(ours is not None and ours.group(1).decode() not in own, f"{answer.body}")
            check("transport=tls" in answer.header("Contact"), answer.header("Contact"))
            streams = r.get("/api/v1/sessions")[1]["sessions"][0]["streams"]
            check([(s["protection"], s["suite"]) for s in streams] == [("sdes", "AES_CM_128_HMAC_SHA1_80")], f"{streams}")
            end(client, "sdes-tls", answer)
        r.wait_sealed(1)


def test_tls_call_records_srtp(context):
    """Media of a call whose keys came over TLS are decrypted: the frames are what was sent."""
    if shutil.which("ffmpeg") is None:
        context.skip("no ffmpeg")
    with authority() as ca, context.recorder(**ca.settings()) as r, sip.Client(r.tls_port, "tls", tls=ca.context()) as client:
        crypto = crypto_line()
        answer = call(r, client, "srtp-tls", offer(r, crypto, 30000))
        check(answer.status == 200, f"{answer.start} {answer.header('Warning')}")
        address, port = sip.media_of(answer.body)[0][:2]
        subprocess.run(["ffmpeg", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "sine=frequency=440:duration=1", "-ar", "8000",
                        "-ac", "1", "-c:a", "pcm_mulaw", "-f", "rtp", "-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params",
                        crypto.split("inline:")[1],
                        f"srtp://{address}:{port}?localport=30000&localaddr={r.host}&pkt_size=172"], check=True, timeout=30, stdout=subprocess.DEVNULL)
        r.settle()
        m = r.metrics()
        check(m["rx_recorded"] >= 40 and m["rx_drop_auth"] == 0, f"{m['rx_recorded']:.0f} recorded, {m['rx_drop_auth']:.0f} bad tags")
        end(client, "srtp-tls", answer)
        r.wait_sealed(1)


def test_mutual_tls_and_profiles(context):
    yaml = """
src:
  - name: cube
    identities: [sbc.example.com]
    srtp_required: true
    retention_class: seven-years
  - name: barred
    identities: [old.example.com]
    admit: refuse
  - name: lab
    addresses: ["127.0.0.77"]
  - name: default
    admit: refuse
"""
    with authority() as ca, authority("stranger") as stranger, context.recorder(yaml=yaml, **ca.settings(verify="require")) as r:
        known = ca.issue("sbc", "URI:sip:sbc.example.com")
        with sip.Client(r.tls_port, "tls", tls=ca.context(known)) as client:
            answer = call(r, client, "plain", offer(r))
            check(answer.status == 488 and "required of this client" in answer.header("Warning"), f"{answer.start} {answer.header('Warning')}")
            answer = call(r, client, "known", offer(r, crypto_line()))
            check(answer.status == 200, f"known: {answer.start} {answer.header('Warning')}")
            session = r.get("/api/v1/sessions")[1]["sessions"][0]
            check((session["identity"], session["profile"]) == ("sbc.example.com", "cube"), f"{session}")
            end(client, "known", answer)
        for name, names, status in (("old", "DNS:old.example.com", 403), ("wild", "DNS:*.example.com", 403),
                                    ("cn", "DNS:elsewhere.example.org", 403)):
            with sip.Client(r.tls_port, "tls", tls=ca.context(ca.issue(name, names))) as client:
                answer = call(r, client, name, offer(r, crypto_line()))
                check(answer.status == status and "admit it in src" in answer.header("Warning"), f"{name}: {answer.start}")
        for name, shown in (("none", None), ("alien", stranger.issue("alien", "URI:sip:sbc.example.com"))):
            try:	# with TLS 1.3 the refusal comes after the client's side of the handshake
                with sip.Client(r.tls_port, "tls", tls=ca.context(shown)) as client:
                    check(options_answer(client, name) is None, f"{name}: was answered")
            except (ssl.SSLError, ConnectionError):
                pass
        with sip.Client(r.port, address="127.0.0.77") as client:
            answer = call(r, client, "lab", offer(r))
            check(answer.status == 200, f"lab: {answer.start} {answer.header('Warning')}")
            end(client, "lab", answer)
        with sip.Client(r.port) as client:
            answer = call(r, client, "nobody", offer(r))
            check(answer.status == 403 and "profile default refuses this address" in answer.header("Warning"), f"nobody: {answer.start}")
        m, log = r.metrics(), r.log_text()
        check(m["sip_unwelcome"] == 4 and m["sip_tls_failed"] == 2, f"{m['sip_unwelcome']:.0f} unwelcome, {m['sip_tls_failed']:.0f} failed")
        check('what="the client shows no certificate" remedy="give it one that tls.client_ca signed' in log, r.log_tail())
        shown = [r.tool("recordings", "show", row["id"], "--json") for row in r.wait_sealed(2)]
        check(sorted((x["identity"], x["profile"], x["retention_class"]) for x in shown) ==
              [("", "lab", ""), ("sbc.example.com", "cube", "seven-years")], f"{shown}")


def test_hangup_reads_certificates_again(context):
    def shown():
        return ssl.get_server_certificate(("127.0.0.1", r.tls_port))

    with authority() as ca, context.recorder(**ca.settings()) as r, sip.Client(r.tls_port, "tls", tls=ca.context()) as client:
        answer = call(r, client, "reload", offer(r))
        first = shown()
        new = ca.issue("renewed", "DNS:srs.example.com,IP:127.0.0.1", days=10)
        shutil.copy(new[0], r.settings["tls.certificate"])
        r.process.send_signal(signal.SIGHUP)	# half of the renewal: certificate without its key
        r.wait_log("certificates_kept")
        check(shown() == first, "a pair that does not fit was taken")
        shutil.copy(new[1], r.settings["tls.key"])
        r.process.send_signal(signal.SIGHUP)
        r.wait_log("certificates_reloaded")
        check(shown() != first, "the old certificate is still shown")
        check("certificate_ends" in r.log_text(), "ten days are left, and no warning")
        check(options_answer(client, "after") == 200, "the connection did not survive")
        end(client, "reload", answer)
        r.wait_sealed(1)
        check(r.metrics()["sip_connections"] == 4, "the call needed another connection")	# its own, and three looks


def test_openssl_and_gnutls_as_peers(context):
    """What the programs of two TLS libraries say of us, and that SIP passes through them."""
    with authority() as ca, context.recorder(**ca.settings(verify="require")) as r:
        certificate, key = ca.issue("sbc", "URI:sip:sbc.example.com")
        ping = b"OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\n" \
               b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        for version in ("-tls1_2", "-tls1_3"):
            said = talk(["openssl", "s_client", "-connect", f"127.0.0.1:{r.tls_port}", "-CAfile", ca.certificate, "-verify_return_error",
                         "-verify_hostname", "srs.example.com", "-cert", certificate, "-key", key, "-quiet", "-no_ign_eof", version],
                        ping % (version.encode(), version.encode()))
            check("SIP/2.0 200" in said, f"openssl {version}: {said[-600:]} {r.log_tail(3)}")
        for priority in ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"):
            said = talk(["gnutls-cli", "--x509cafile", ca.certificate, "--x509certfile", certificate, "--x509keyfile", key,
                         "--priority", priority, "--verify-hostname", "srs.example.com", "--logfile", "/dev/null", "-p", str(r.tls_port), "127.0.0.1"],
                        ping % (b"gnutls" + priority[-1].encode(), b"gnutls" + priority[-1].encode()))
            check("SIP/2.0 200" in said, f"gnutls {priority}: {said[-600:]} {r.log_tail(3)}")
        for refused in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"]):
            said = talk(["openssl", "s_client", "-connect", f"127.0.0.1:{r.tls_port}", "-cert", certificate, "-key", key, *refused], b"")
            check("SIP/2.0 200" not in said and "alert" in said, f"openssl {refused}: {said[-600:]}")
        m = r.metrics()
        check(m["sip_tls_handshakes"] == 4 and m["sip_tls_failed"] == 2, f"{m['sip_tls_handshakes']:.0f} done, {m['sip_tls_failed']:.0f} failed")


def talk(command, data, wait_s=10):
    """What a program prints when it is given `data` and told to end once it was answered."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(wait_s, process.kill)
    timer.start()
    out = b""
    try:
        if data:
            process.stdin.write(data)
            process.stdin.flush()
        else:
            process.stdin.close()
        while chunk := os.read(process.stdout.fileno(), 65536):
            out += chunk
            if data and b"SIP/2.0 200" in out:
                break
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
        if data:
            process.stdin.close()
    return out.decode("latin-1")


def test_resumption(context):
    with authority() as ca, context.recorder(**ca.settings(verify="require")) as r:
        tls = ca.context(ca.issue("sbc", "URI:sip:sbc.example.com"))
        with sip.Client(r.tls_port, "tls", tls=tls) as client:
            check(options_answer(client, 1) == 200, "first")
            session = client.socket.session
        with sip.Client(r.tls_port, "tls", tls=tls, session=session) as client:
            check(client.socket.session_reused, "the ticket was not taken")
            check(options_answer(client, 2) == 200, "second")
        check(r.metrics()["sip_tls_resumptions"] == 1, "not counted")


def beside_hanging_handshakes(r, ca, n_half, n_slow, seconds):
    """Set-up times of calls over TLS and UDP beside `n_half` half-open handshakes and `n_slow` peers that send a byte a
    second, in order. Every call must succeed. They come from addresses of their own: one source gets half the handshakes."""
    hello = client_hello()
    hanging, stop = [], threading.Event()

    def stranger(i):
        return socket.create_connection(("127.0.0.1", r.tls_port), source_address=(f"127.250.0.{1 + i % 200}", 0))
    for i in range(n_half):
        s = stranger(i)
        s.sendall(hello[:len(hello) // 2])
        hanging.append(s)

    def dribble():
        slow = [[stranger(i), 0] for i in range(n_slow)]
        while not stop.wait(1):
            for pair in slow:
                try:
                    pair[0].sendall(hello[pair[1]:pair[1] + 1])
                    pair[1] += 1
                except OSError:		# cut: another takes its place
                    pair[0].close()
                    pair[:] = stranger(0), 0
        for pair in slow:
            pair[0].close()
    dribbler = threading.Thread(target=dribble)
    dribbler.start()
    times = []
    try:
        opened = time.monotonic()
        for i in itertools.count():
            if i >= 100 and time.monotonic() - opened > seconds:	# until the first of them were cut
                break
            transport, port = ("udp", r.port) if i % 2 else ("tls", r.tls_port)
            begun = time.monotonic()
            with sip.Client(port, transport, tls=ca.context()) as client:
                answer = call(r, client, f"hang-{i}", offer(r, port=31000 + 2 * (i % 500)))
                times.append(time.monotonic() - begun)
                check(answer is not None and answer.status == 200, f"{transport} call {i}: {answer and answer.start} {r.log_tail(3)}")
                end(client, f"hang-{i}", answer)
    finally:
        stop.set()
        dribbler.join()
        for s in hanging:
            s.close()
    check(r.metrics()["sip_connections_late"] > 0, "nobody was cut")
    return sorted(times)


def test_hanging_handshakes_do_not_delay_calls(context):
    """100 half-open connections and 20 that send a byte a second. How long 99 of 100 calls took is told, and a figure of
    bench/run halfopen: a busy machine decides no test."""
    with authority() as ca, context.recorder(**ca.settings()) as r:
        times = beside_hanging_handshakes(r, ca, 100, 20, 7)
        print(f"{len(times)} calls beside hanging handshakes: p50 {times[len(times) // 2] * 1000:.0f} ms, p99 {times[len(times) * 99 // 100] * 1000:.0f} ms",
              flush=True)


def test_slow_peers_are_cut_within_32_seconds(context):
    """After the handshake: one that says nothing, one that sends a byte a second, one that announces a longer body than
    comes (the same over TCP). A whole message buys time."""
    with authority() as ca, context.recorder(**ca.settings()) as r:
        silent, slow, honest, long = (sip.Client(r.tls_port, "tls", tls=ca.context()) for _ in range(4))
        long_tcp = sip.Client(r.port, "tcp")
        check(options_answer(honest, "first") == 200, "the honest one")
        data = sip.invite(slow, "slow", offer(r))
        for client in (long, long_tcp):	# as a stream is framed, its body may still be on the way (RFC 3261 §18.3)
            client.send(re.sub(rb"Content-Length: \d+", b"Content-Length: 9000", sip.invite(client, f"long-{client.transport}", offer(r))))
        watched = {"silent": silent, "slow": slow, "long": long, "long_tcp": long_tcp}
        begun = time.monotonic()
        gone = {}
        for i in range(40):
            for name, client in watched.items():
                if name in gone:
                    continue
                try:
                    if name == "slow":
                        client.send(data[i:i + 1])
                    client.socket.settimeout(0.2)
                    if client.socket.recv(1) == b"":
                        gone[name] = time.monotonic() - begun
                except socket.timeout:
                    pass
                except OSError:
                    gone[name] = time.monotonic() - begun
            if len(gone) == len(watched):
                break
            time.sleep(max(0, begun + i + 1 - time.monotonic()))
        check(all(30 < gone.get(name, 0) < 34 for name in watched), f"{gone}")
        check(options_answer(honest, "second") == 200, "the honest one was cut, too")
        check(r.metrics()["sip_connections_late"] == len(watched), f"{r.metrics()['sip_connections_late']:.0f} counted")
        for client in (honest, *watched.values()):
            client.close()


def client_hello():
    """A ClientHello of Python's TLS, as bytes."""
    read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = sip.any_server().wrap_bio(read, write)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return write.read()


def test_doctor_looks_at_certificates(context):
    with authority() as ca:
        r = context.idle_recorder(**ca.settings(days=10))
        try:
            def rows(**change):
                settings = {**r.settings, **{k.replace("__", "."): v for k, v in change.items()}}
                names = [x for k in settings if k.startswith("tls.") for x in ("--set", f"{k}={settings[k]}")]
                status, out, _ = r.tool(*names, "doctor", "--json", expect=None)
                return [x for x in json.loads(out)["checks"] if x["check"] == "tls"]
            check(rows()[0]["result"] == "warn" and re.search(r"ends in (9|10) days", rows()[0]["what"]), f"{rows()}")
            os.chmod(r.settings["tls.key"], 0o644)
            check(any("every user" in x["what"] for x in rows()), f"{rows()}")
            other = ca.issue("other", "DNS:other.example.com", days=90)
            check(any(x["result"] == "FAIL" and "does not belong" in x["what"] for x in rows(tls__key=other[1])), f"{rows(tls__key=other[1])}")
            check([x["result"] for x in rows(tls__certificate=other[0], tls__key=other[1])] == ["ok"], f"{rows(tls__certificate=other[0], tls__key=other[1])}")
            check(any("cannot be read" in x["what"] for x in rows(tls__client_ca="/nonexistent.pem")), "a missing CA")
        finally:
            r.close()
