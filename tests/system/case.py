# SPDX-License-Identifier: ISC
"""What a case is: a function that gets a Bench, raises Failure or Skip, and returns its measured figures as text."""
import os
import shutil
import traceback

from daemon import Daemon
from lab import LEAVES, Lab
from shell import Failure, Skip, eventually, expect, now
from traffic import Probe

CASES = {}

# What the lab is made of, with the Debian package it comes from.
TOOLS = {"ip": "iproute2", "bridge": "iproute2", "tc": "iproute2", "nft": "nftables", "sysctl": "procps", "setpriv": "util-linux",
         "ovs-vswitchd": "openvswitch-switch", "ovsdb-server": "openvswitch-switch",
         "ovsdb-tool": "openvswitch-switch", "ovs-vsctl": "openvswitch-switch", "ovs-appctl": "openvswitch-switch"}


def case(function):
    """Register a case under its function's name."""
    CASES[function.__name__] = function
    return function


class Bench:
    """What a case works with: the build, the labs (shared where a case asks for nothing special), the probe."""

    def __init__(self, build, seconds=60, verbose=False):
        self.build, self.seconds, self.verbose = build, seconds, verbose
        self.current = None  # (key, lab), the one lab that is up

    # --- what is needed ------------------------------------------------------------------------------------

    def check_tools(self):
        if os.geteuid() != 0:
            raise Skip("network namespaces need root")
        missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
        if missing:
            raise Skip("missing: apt-get install " + " ".join(missing))
        self.binary("tests/probe/probe")

    def binary(self, path):
        full = os.path.join(self.build, path)
        if not os.access(full, os.X_OK):
            raise Skip(f"not built: {full}")
        return full

    # --- labs ----------------------------------------------------------------------------------------------

    def lab(self, **options):
        """A lab without daemons, of its own."""
        return self.make(("lab", sorted(options.items())), fresh=True, options=options)

    def pair(self, fresh=False, leaf_lacp="active", settings=None, **options):
        """A healthy pair: both daemons up, the session up, every cable of every host in use.

        The lab that is up already is used when it was built the same way, and is healthy; `fresh` wants a new one."""
        self.binary("mclagd/mclagd")
        self.binary("mclagd/ctl/mclagctl")
        key = ("pair", leaf_lacp, sorted((settings or {}).items()), sorted(options.items()))
        lab = self.make(key, fresh, options)
        for leaf in LEAVES:
            if leaf not in lab.daemons:
                self.daemon(lab, leaf, leaf_lacp, settings).start()
        healthy(lab, 60)
        for host in lab.hosts.values():
            host.spread()
        return lab

    def daemon(self, lab, leaf, leaf_lacp="active", settings=None):
        """A leaf's daemon, configured and not started."""
        lab.daemons[leaf] = Daemon(lab, leaf, self.binary("mclagd/mclagd"), self.binary("mclagd/ctl/mclagctl"),
                                   leaf_lacp, settings)
        return lab.daemons[leaf]

    def sanitized(self):
        """Whether the build carries AddressSanitizer, which keeps freed memory for a while."""
        with open(os.path.join(self.build, "CMakeCache.txt")) as cache:
            return "MCLAGD_SANITIZE:BOOL=ON" in cache.read()

    def make(self, key, fresh, options):
        if self.current and (fresh or self.current[0] != key):
            self.drop()
        if not self.current:
            lab = Lab(**options)
            self.current = (key, lab)
            lab.build()
            lab.cables_ready()
        return self.current[1]

    def drop(self):
        if self.current:
            self.current[1].destroy()
        self.current = None

    def probe(self, pairs=(), **options):
        return Probe(self.binary("tests/probe/probe"), pairs, **options)

    # --- one case ------------------------------------------------------------------------------------------

    def run(self, name):
        """("PASS" | "FAIL" | "SKIP", figures or reason). A lab in which something failed is not used again."""
        try:
            self.check_tools()
            return "PASS", CASES[name](self) or ""
        except Skip as reason:
            return "SKIP", str(reason)
        except Exception as error:
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            if self.current:
                try:
                    text += "\n" + self.current[1].report()
                except Exception:
                    text += "\n(no report)\n" + traceback.format_exc()
            self.drop()
            return "FAIL", text
        except BaseException:
            self.drop()
            raise


def healthy(lab, deadline=30):
    """Wait until the pair is whole: both sessions up, every leg forwarding on both leaves, hosts use every cable."""
    for leaf, daemon in sorted(lab.daemons.items()):
        eventually(daemon.session_state, deadline, f"leaf{leaf}'s session is up", lambda state: state == "up")
        eventually(daemon.leg_phases, deadline, f"leaf{leaf}'s legs forward",
                   lambda legs: len(legs) == len(lab.legs) and set(legs.values()) == {"forwarding"})
    eventually(lambda: usable(lab), deadline, "the hosts use both cables", lambda cables: cables == all_cables(lab))
    roles = {daemon.role() for daemon in lab.daemons.values()}
    expect(roles == {"primary", "secondary"}, f"the roles are {roles}")


def bring_back(bench, lab, leaf):
    """Boot a dead leaf as its service would: the daemon first, then the ports. Seconds until the pair is whole."""
    begin = now()
    lab.recreate_leaf(leaf)
    daemon = bench.daemon(lab, leaf)
    daemon.start()
    lab.ports_up(leaf)

    def proof_comes_first():
        """While a leg of the leaf is in use, the session is up; asked in this order, so that no answer is too old."""
        used = [number for number, cables in usable(lab).items() if f"l{leaf}" in cables]
        state = daemon.session_state()
        expect(not used or state == "up", f"leaf{leaf} is used by h{used} while its session is {state}")
        return len(used) == len(lab.hosts)

    eventually(proof_comes_first, 60, f"the hosts use leaf{leaf} again")
    healthy(lab)
    return now() - begin


def spread(lab, probe):
    """Let the hosts use all their cables again; the interval in which they do is not looked at for loss."""
    for host in lab.hosts.values():
        host.spread()
    probe.aftermath().check_once()


class Shares:
    """Proof that traffic took both cables of a host: made before, checked after."""

    def __init__(self, lab):
        self.lab = lab
        self.before = {host: lab.shares(host) for host in lab.hosts}

    def check(self, least=0.2):
        share = {host: {cable: frames - self.before[host][cable] for cable, frames in self.lab.shares(host).items()}
                 for host in self.lab.hosts}
        for host, cables in share.items():
            expect(min(cables.values()) > least * sum(cables.values()), f"h{host} uses both cables: {cables}")
        return share


def usable(lab):
    """{host: cables that carry data both ways, as the host sees it}."""
    return {number: host.usable() for number, host in lab.hosts.items()}


def all_cables(lab, leaves=LEAVES):
    return {number: [f"l{leaf}" for leaf in leaves] for number in lab.hosts}


def every_pair(lab, nodes):
    """All pairs of nodes, as places for the probe."""
    return [(lab.place(a), lab.place(b)) for i, a in enumerate(nodes) for b in nodes[i + 1:]]
