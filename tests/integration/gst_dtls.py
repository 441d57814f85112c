"""GStreamer as a DTLS-SRTP sender, for tests: an implementation that is not ours. A process of its own, since it needs
the Python that GStreamer's bindings belong to.

It prints {"port", "fingerprint"} of its socket and certificate, reads {"address", "port", "fingerprint", "client"} of the
other side, sends the G.711 of a file in packets of 20 ms, waits for a last line, and prints {"connected",
"fingerprint_matches", "sent", "errors"}.
"""

import argparse
import hashlib
import json
import socket
import ssl
import sys
import time

import gi
gi.require_version("Gst", "1.0")
from gi.repository import Gio, GLib, Gst  # noqa: E402

FRAME = 160
FRAME_NS = 20 * 1000000
CAPS = "audio/x-mulaw,rate=8000,channels=1"


def fingerprint_of(pem, kind="sha-256"):
    digest = hashlib.new(kind.replace("-", ""), ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return kind + " " + ":".join(digest[i:i + 2] for i in range(0, len(digest), 2))


def certificate_of(pem):
    """The certificate alone: GStreamer's property holds the private key too."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return pem[pem.index(begin):pem.index(end) + len(end)] + "\n"


class Sender:
    def __init__(self, options):
        Gst.init(None)
        with open(options.g711, "rb") as f:
            self.coded = f.read()
        self.result = {"connected": False, "fingerprint_matches": False, "sent": 0, "reports": 0, "not_reports": 0, "errors": []}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((options.local, 0))
        self.pipeline = Gst.Pipeline.new("sender")
        self.decoder = self.add("dtlssrtpdec", connection_id="call")
        self.own = certificate_of(self.decoder.get_property("pem"))
        self.loop = GLib.MainLoop()

    def add(self, kind, **properties):
        element = Gst.ElementFactory.make(kind)
        if element is None:
            sys.exit(f"gst_dtls: no element {kind}: is gstreamer1.0-plugins-bad installed?")
        for name, value in properties.items():
            element.set_property(name.replace("_", "-"), value)
        self.pipeline.add(element)
        return element

    def introduce(self):
        print(json.dumps({"port": self.socket.getsockname()[1], "fingerprint": fingerprint_of(self.own)}), flush=True)

    def build(self, peer):
        """udpsrc -> dtlssrtpdec; appsrc -> rtppcmupay -> dtlssrtpenc -> udpsink, both on the one socket."""
        self.peer = peer
        shared = Gio.Socket.new_from_fd(self.socket.fileno())
        source = self.add("udpsrc", socket=shared, close_socket=False)
        source.link(self.decoder)
        for name in ("rtp_src", "rtcp_src"):	# the recorder's reports come back: a pad without a peer ends the pipeline
            self.decoder.get_static_pad(name).link(self.add("fakesink", sync=False, **{"async": False}).get_static_pad("sink"))
        self.decoder.get_static_pad("rtcp_src").add_probe(Gst.PadProbeType.BUFFER, self.hear)
        self.feed = self.add("appsrc", caps=Gst.Caps.from_string(CAPS), format=Gst.Format.TIME, is_live=True)
        pay = self.add("rtppcmupay", min_ptime=FRAME_NS, max_ptime=FRAME_NS)
        encoder = self.add("dtlssrtpenc", connection_id="call", is_client=peer["client"])
        sink = self.add("udpsink", host=peer["address"], port=peer["port"], socket=shared, close_socket=False, sync=False,
                        **{"async": False})
        self.feed.link(pay)
        pay.get_static_pad("src").link(encoder.request_pad_simple("rtp_sink_0"))
        encoder.link(sink)
        pay.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.count)
        encoder.connect("on-key-set", lambda _: GLib.idle_add(self.on_keys))
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.on_error)

    def count(self, pad, info):
        self.result["sent"] += 1
        return Gst.PadProbeReturn.OK

    def hear(self, pad, info):
        """What comes out here has authenticated and is decrypted: a receiver report is the first of a compound."""
        data = info.get_buffer().extract_dup(0, 2)
        self.result["reports" if data[1] == 201 else "not_reports"] += 1
        return Gst.PadProbeReturn.OK

    def on_error(self, bus, message):
        self.result["errors"].append(message.parse_error()[0].message)
        self.loop.quit()

    def on_keys(self):
        """The handshake is over: is it the certificate that was signalled? Then speak."""
        self.result["connected"] = True
        shown = self.decoder.get_property("peer-pem")
        kind = self.peer["fingerprint"].split()[0].lower()
        self.result["fingerprint_matches"] = shown is not None and \
            fingerprint_of(shown, kind).lower() == self.peer["fingerprint"].lower()
        self.began, self.next = time.monotonic(), 0
        GLib.timeout_add(5, self.push)
        return False

    def push(self):
        due = int((time.monotonic() - self.began) * 50) + 1
        while self.next < due:
            frame = self.coded[self.next * FRAME:(self.next + 1) * FRAME]
            if not frame:
                GLib.timeout_add(300, self.loop.quit)	# what the pipeline still holds goes out
                return False
            buffer = Gst.Buffer.new_wrapped(frame)
            buffer.pts = buffer.dts = self.next * FRAME_NS
            buffer.duration = FRAME_NS
            self.feed.emit("push-buffer", buffer)
            self.next += 1
        return True

    def run(self, seconds):
        GLib.timeout_add_seconds(seconds, self.loop.quit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        print(json.dumps(self.result), flush=True)
        sys.stdin.readline()	# the association lives until the call is over
        self.pipeline.set_state(Gst.State.NULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--local", required=True)
    parser.add_argument("--g711", required=True)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    sender = Sender(options)
    sender.introduce()
    line = sys.stdin.readline()
    if line:
        sender.build(json.loads(line))
        sender.run(options.seconds)


main()
