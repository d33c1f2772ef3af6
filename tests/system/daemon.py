# SPDX-License-Identifier: ISC
"""One leaf's mclagd, its configuration, and what mclagctl says about it.

The only file that knows the configuration's keys and the names in control.proto.
"""
import json
import os

from shell import Failure, end, eventually, rss_kib, run, spawn, tail

DOMAIN = 1
SYSTEM_MAC = "02:00:00:00:00:aa"
PORT = 5911  # the default of session-port and keepalive-port


def configuration(lab, leaf, directory, leaf_lacp, settings):
    """The YAML file of one leaf. `settings`: further top-level keys."""
    peer = 3 - leaf
    keys = f"{lab.directory}/pki/leaf{leaf}"
    mclags = "".join(f"  - {{id: {number}, port: {port}, lacp: engine, lacp-mode: {leaf_lacp}, lacp-rate: fast}}\n"
                     for number, port in lab.legs.items())
    addresses = "" if lab.options["discover"] else f"""
  address: {lab.address(f"leaf{leaf}")}
  peer: {lab.address(f"leaf{peer}")}"""
    extra = "".join(f"{key}: {value}\n" for key, value in (settings or {}).items())
    return f"""domain: {DOMAIN}
node: {leaf}
system-mac: {SYSTEM_MAC}
bridge: br0
peer-link:
  port: pl
  via: br0{addresses}
backup-paths:
  - name: mgmt
    interface: mgmt
    address: {lab.backup_address(f"leaf{leaf}")}
    peer: {lab.backup_address(f"leaf{peer}")}
keys:
  certificate: {keys}/cert.pem
  key: {keys}/key.pem
  peer-pins-file: {keys}/peer.pin
  keepalive-secret: {keys}/keepalive.secret
session-port: {PORT}
keepalive-port: {PORT}
control-socket: {directory}/control.sock
state-dir: {directory}/state
log: {{level: debug, target: stderr}}
mclags:
{mclags}{extra}"""


def make_keys(lab, mclagctl):
    """Both leaves' keys, once for a lab."""
    if not os.path.isdir(f"{lab.directory}/pki"):
        run(mclagctl, "pki", "init", f"{lab.directory}/pki")


class Daemon:
    def __init__(self, lab, leaf, mclagd, mclagctl, leaf_lacp="active", settings=None):
        self.lab, self.leaf, self.mclagd, self.mclagctl = lab, leaf, mclagd, mclagctl
        self.netns = lab.ns(f"leaf{leaf}")
        self.directory = f"{lab.directory}/leaf{leaf}"
        self.config = f"{self.directory}/mclagd.yaml"
        self.log_path = f"{self.directory}/mclagd.log"
        self.process = None
        os.makedirs(self.directory + "/state", exist_ok=True)
        make_keys(lab, mclagctl)
        with open(self.config, "w") as file:
            file.write(configuration(lab, leaf, self.directory, leaf_lacp, settings))
        run(mclagd, "--check", "--config", self.config, netns=self.netns)

    # --- the process ---------------------------------------------------------------------------------------

    def start(self):
        """Start, and wait until it answers."""
        with open(self.log_path, "a") as log:
            self.process = spawn(self.mclagd, "--config", self.config, netns=self.netns, log=log)
        eventually(self.answers, 20, f"leaf{self.leaf}'s mclagd answers (log: {self.log_path})")

    def answers(self):
        if self.process.poll() is not None:
            raise Failure(f"leaf{self.leaf}'s mclagd ended with {self.process.returncode}:\n{tail(self.log_path)}")
        try:
            return self.view("status")
        except (Failure, ValueError):
            return None

    def kill(self):
        """kill -9: no goodbye."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop(self):
        end(self.process, 15)
        self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    def rss_kib(self):
        return rss_kib(self.process.pid)

    # --- what it says --------------------------------------------------------------------------------------

    def ask(self, *command):
        """What a command prints as JSON. Exit status 1 and 2 are verdicts, not errors."""
        done = run(self.mclagctl, "--socket", f"{self.directory}/control.sock", "--json", *command, check=False,
                   timeout=20)
        if done.returncode > 2:
            raise Failure(f"mclagctl {' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def view(self, *command):
        return json.loads(self.ask(*command))

    def status(self):
        return self.view("status")

    def session(self):
        return self.status()["session"]

    def session_state(self):
        return self.session()["state"]

    def role(self):
        return self.status()["role"]["role"]

    def verdict(self):
        return self.status()["verdict"]["verdict"]

    def leg_phases(self):
        """{mclag id: phase of our leg}."""
        return {mclag["id"]: mclag["local"]["phase"] for mclag in self.status()["mclags"]}

    def paths(self):
        """{path name: whether it is up}."""
        return {path["name"]: path["up"] for path in self.status()["paths"]}

    def table(self):
        return self.status()["tables"]["mac"]

    def counters(self):
        return self.view("counters")

    def keepalives_dropped(self):
        """Datagrams thrown away on all paths, for any reason."""
        return sum(int(row["count"]) for path in self.counters()["keepalives"] for row in path["dropped"])

    def connections_arrived(self):
        return int(self.counters()["transport"]["arrived"])

    def events(self):
        """Every event, oldest first: {"number", "room", "mclag", "text", ...}; one JSON object per line."""
        return [json.loads(line) for line in self.ask("events").splitlines()]

    def entries(self):
        """Every MAC: {"mac", "place", "local", "peer", "fixed", ...}."""
        return self.view("mac")["entries"]

    def screen(self):
        """What `mclagctl status` shows to people."""
        text = run(self.mclagctl, "--socket", f"{self.directory}/control.sock", "status", check=False, timeout=5)
        return text.stdout + text.stderr

    def report(self):
        try:
            status = self.screen()
        except Exception as error:
            status = f"{error}\n"
        return f"--- leaf{self.leaf}: mclagctl status\n{status}--- leaf{self.leaf}: log\n{tail(self.log_path)}"


def tables_agree(first, second):
    """Each leaf holds what the other has told: equal counts and digests both ways, nothing left to tell."""
    a, b = first.table(), second.table()
    return (a["synced"] and b["synced"] and a["peer_synced"] and b["peer_synced"] and
            a["queued"] == 0 and b["queued"] == 0 and
            (a["sent_count"], a["sent_digest"]) == (b["received_count"], b["received_digest"]) and
            (b["sent_count"], b["sent_digest"]) == (a["received_count"], a["received_digest"]))
