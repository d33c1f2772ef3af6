# SPDX-License-Identifier: ISC
"""The lab: two leaves, dual-attached hosts, orphans, a peer link and a backup network, in network namespaces.

        h1                 h2                 hN: Open vSwitch, LACP bond of l1 and l2, address on its br0
     l1 |  \\ l2         l1 |  \\ l2             oN: orphan of leafN, address on eth0
        |   `-----.--------|--. |             leafN: br0 with po1, po2 (legs), orN, pl (peer link);
    po1 |  .-------`-po1   |po2|po2                    mgmt (backup network) is no bridge port
   +----+--+-+           +-+---+---+          net: the backup network, a bridge with an address of its own,
o1-+ leaf1   +----pl-----+  leaf2  +-o2            from where a third party can reach both leaves
   +----+----+           +----+----+          park: where a dead leaf's ends of the cables lie, unplugged
        `------- mgmt --------'

Every namespace is named after this run, so labs can run side by side. A run holds a lock on its directory for
as long as it lives; what a crashed run left behind is found by its lock being free, and removed at the next start.
A lab that is to be found by people has a name of its own instead.
"""
import fcntl
import itertools
import os
import re
import shutil
import signal

import ether
from ovs import OvsHost
from shell import Failure, eventually, ip, run, sysctl

ROOT = "/run/mclagd-lab"
KEPT = "mclagdemo"
PORT_GROUP = 7
LEAVES = (1, 2)


class Lab:
    """Build with build(), or as a context manager; destroy() removes everything, also after a failure."""

    serial = itertools.count(1)

    def __init__(self, hosts=2, lacp="active", lacp_time="fast", ageing=300, discover=False, name=None):
        self.options = {"hosts": hosts, "lacp": lacp, "lacp_time": lacp_time, "ageing": ageing, "discover": discover}
        self.name = name or f"mlab{os.getpid()}-{next(Lab.serial)}"
        self.directory = f"{ROOT}/{self.name}"
        self.daemons = {}
        self.helpers = []
        self.hosts = {}
        self.cables = self.plan(hosts)

    # --- the plan: names and addresses, nothing is touched -------------------------------------------

    @staticmethod
    def plan(hosts):
        """{cable: ((node, interface), (node, interface))}; a leaf's end is always first."""
        cables = {"pl": (("leaf1", "pl"), ("leaf2", "pl"))}
        for leaf in LEAVES:
            cables[f"o{leaf}"] = ((f"leaf{leaf}", f"or{leaf}"), (f"o{leaf}", "eth0"))
            cables[f"mgmt{leaf}"] = ((f"leaf{leaf}", "mgmt"), ("net", f"mgmt{leaf}"))
            for host in range(1, hosts + 1):
                cables[f"h{host}-leaf{leaf}"] = ((f"leaf{leaf}", f"po{host}"), (f"h{host}", f"l{leaf}"))
        return cables

    def ns(self, node):
        return f"{self.name}-{node}"

    @staticmethod
    def address(node):
        """In the hosts' network: h1 10.77.0.11, o1 10.77.0.21. leaf1's own on br0 are of another."""
        kind, number = node[:-1], int(node[-1])
        return {"h": "10.77.0.1", "o": "10.77.0.2", "leaf": "10.99.0."}[kind] + str(number)

    @staticmethod
    def backup_address(node):
        return "10.98.0." + {"leaf1": "1", "leaf2": "2", "net": "9"}[node]

    @staticmethod
    def mac(node):
        return {"h": "02:00:00:00:0a:0", "o": "02:00:00:00:0b:0", "leaf": "02:00:00:00:0c:0"}[node[:-1]] + node[-1]

    @staticmethod
    def uplink(node):
        """The interface the node's own stack uses."""
        return "br0" if node[0] == "h" else "eth0"

    def place(self, node):
        """For the probe: NETNS:ADDRESS."""
        return f"{self.ns(node)}:{self.address(node)}"

    def interface(self, node, iface=None):
        """For the probe's broadcasts: NETNS:IFACE."""
        return f"{self.ns(node)}:{iface or self.uplink(node)}"

    @property
    def nodes(self):
        return sorted({node for ends in self.cables.values() for node, _ in ends} | {"park"})

    @property
    def legs(self):
        """{mclag id: port name on both leaves}."""
        return {host: f"po{host}" for host in range(1, self.options["hosts"] + 1)}

    # --- build and destroy -----------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.destroy()

    def build(self):
        remove_leftovers()
        os.makedirs(self.directory)
        self.lock = open(self.directory + "/lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(os.getpid(), file=self.lock, flush=True)
        for node in self.nodes:
            self.make_namespace(node)
        for cable, ((a, a_iface), (b, b_iface)) in self.cables.items():
            run("ip", "link", "add", a_iface, "netns", self.ns(a), "type", "veth",
                "peer", "name", b_iface, "netns", self.ns(b))
        ip(self.ns("net"), "link add brm type bridge stp_state 0 mcast_snooping 0", "link set brm up",
           f"addr add {self.backup_address('net')}/24 dev brm",
           *(f"link set mgmt{leaf} master brm up" for leaf in LEAVES))
        for node in ("o1", "o2"):
            ip(self.ns(node), f"link set eth0 address {self.mac(node)}", f"addr add {self.address(node)}/24 dev eth0",
               "link set eth0 txqueuelen 10000", "link set eth0 up")
            ether.checksums_in_software(self.ns(node), "eth0")
        for leaf in LEAVES:
            self.prepare_leaf(leaf)
            self.ports_up(leaf)
        for number in self.legs:
            self.start_host(number)

    def make_namespace(self, node):
        run("ip", "netns", "add", self.ns(node))
        values = {"net_ipv6_conf_default_accept__dad": 0}
        if node != "net":
            # Nobody speaks but the ones under test: no router solicitations, no MLD reports.
            values.update(net_ipv6_conf_all_disable__ipv6=1, net_ipv6_conf_default_disable__ipv6=1)
        sysctl(self.ns(node), **values)
        ip(self.ns(node), "link set lo up")

    def start_host(self, number):
        node = f"h{number}"
        cables = [f"l{leaf}" for leaf in LEAVES]
        ip(self.ns(node), *(f"link set {cable} up" for cable in cables))
        host = OvsHost(self.ns(node), f"{self.directory}/{node}", cables, self.address(node), self.mac(node),
                       self.options["lacp"], self.options["lacp_time"])
        self.hosts[number] = host
        host.start()

    def stop_host(self, number):
        self.hosts.pop(number).stop()

    def leaf_ports(self, leaf):
        """{interface: cable} of a leaf."""
        return {iface: cable for cable, ends in self.cables.items() for node, iface in ends if node == f"leaf{leaf}"}

    def prepare_leaf(self, leaf):
        """br0 with its ports; all of them are still down."""
        node = f"leaf{leaf}"
        ports = [port for port in self.leaf_ports(leaf) if port != "mgmt"]
        ip(self.ns(node),
           f"link add br0 address {self.mac(node)} type bridge stp_state 0 mcast_snooping 0 forward_delay 0 "
           f"ageing_time {self.options['ageing'] * 100}",
           *(f"link set {port} group {PORT_GROUP}" for port in ports + ["mgmt"]),
           *(f"link set {port} master br0" for port in ports),
           f"addr add {self.backup_address(node)}/24 dev mgmt")
        if self.options["discover"]:  # the leaves find each other by their link-local addresses on br0
            sysctl(self.ns(node), net_ipv6_conf_br0_disable__ipv6=0)
        else:
            ip(self.ns(node), f"addr add {self.address(node)}/24 dev br0")
        for port in ["br0", "mgmt"]:
            ether.checksums_in_software(self.ns(node), port)

    def ports_up(self, leaf):
        ip(self.ns(f"leaf{leaf}"), "link set br0 up", f"link set group {PORT_GROUP} up")

    def destroy(self):
        """Every step is tried; nothing here depends on the lab being whole."""
        for process in list(self.daemons.values()) + self.helpers:
            process.kill()
        for host in self.hosts.values():
            host.stop()
        self.daemons, self.helpers, self.hosts = {}, [], {}
        remove_namespaces(self.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- faults ------------------------------------------------------------------------------------------

    def far_end(self, cable, leaf=None):
        """The end whose `down` the named leaf (default: the first end's node) sees as lost carrier."""
        a, b = self.cables[cable]
        return a if leaf and b[0] == f"leaf{leaf}" else b

    def cut(self, cable, leaf=None):
        """The far end goes down: the leaf loses carrier. On the peer link, `leaf` is the one that keeps its end up."""
        node, iface = self.far_end(cable, leaf)
        ip(self.ns(node), f"link set {iface} down")

    def mend(self, cable, leaf=None):
        node, iface = self.far_end(cable, leaf)
        ip(self.ns(node), f"link set {iface} up")

    def cut_leaf_side(self, cable):
        """An operator's `shutdown` of the leaf's port: the host loses carrier."""
        node, iface = self.cables[cable][0]
        ip(self.ns(node), f"link set {iface} down")

    def mend_leaf_side(self, cable):
        node, iface = self.cables[cable][0]
        ip(self.ns(node), f"link set {iface} up")

    def silence(self, cable, ends=(0, 1)):
        """Carrier stays, every frame is dropped where it would leave. `ends` picks directions."""
        for number in ends:
            node, iface = self.cables[cable][number]
            run("tc", "qdisc", "add", "dev", iface, "clsact", netns=self.ns(node))
            # One instruction of classic BPF: return TC_ACT_SHOT.
            run("tc", "filter", "add", "dev", iface, "egress", "bpf", "bytecode", "1,6 0 0 2,", "da",
                netns=self.ns(node))

    def unsilence(self, cable, ends=(0, 1)):
        for number in ends:
            node, iface = self.cables[cable][number]
            run("tc", "qdisc", "del", "dev", iface, "clsact", netns=self.ns(node))

    def delete_leaf(self, leaf):
        """Power off: the daemon dies, all ports lose carrier in one step, then the namespace goes.

        The cables stay plugged into the others, as they would: the leaf's ends are only unplugged, so that a
        host's NIC does not vanish with the leaf."""
        node = f"leaf{leaf}"
        if leaf in self.daemons:
            self.daemons.pop(leaf).kill()
        ip(self.ns(node), f"link set group {PORT_GROUP} down")
        ip(self.ns(node), *(f"link set {port} netns {self.ns('park')} name {node}-{port}"
                            for port in self.leaf_ports(leaf)))
        remove_namespaces(self.ns(node))

    def recreate_leaf(self, leaf):
        """The leaf boots: namespace, bridge and ports are there again, ports still down, no daemon."""
        node = f"leaf{leaf}"
        self.make_namespace(node)
        ip(self.ns("park"), *(f"link set {node}-{port} netns {self.ns(node)} name {port}"
                              for port in self.leaf_ports(leaf)))
        self.prepare_leaf(leaf)

    # --- looking ------------------------------------------------------------------------------------------

    def fdb(self, leaf):
        return ether.fdb(self.ns(f"leaf{leaf}"))

    def carrier(self, node, iface):
        return ether.carrier(self.ns(node), iface)

    def shares(self, host):
        """Frames a host has sent by each of its cables: {cable: frames}."""
        return {cable: ether.counters(self.ns(f"h{host}"), cable)["tx"]["packets"]
                for cable in self.hosts[host].cables}

    def cables_ready(self):
        """Carrier has settled on both ends of every cable."""
        eventually(lambda: [f"{node}:{iface}" for ends in self.cables.values() for node, iface in ends
                            if not self.carrier(node, iface)], 10, "carrier everywhere", lambda dark: not dark)

    def report(self):
        """Everything that helps to understand a failure."""
        parts = []
        for leaf, daemon in sorted(self.daemons.items()):
            parts.append(daemon.report())
        for number, host in sorted(self.hosts.items()):
            try:
                text = host.appctl("lacp/show", "bond0") + host.appctl("bond/show", "bond0")
            except (Failure, OSError) as error:
                text = str(error)
            parts.append(f"--- h{number}\n{text}--- h{number} log\n{host.tail()}")
        return "\n".join(parts)


def namespaces(prefix):
    try:
        return [name for name in os.listdir("/run/netns") if name == prefix or name.startswith(prefix + "-")]
    except FileNotFoundError:
        return []


def remove_namespaces(prefix):
    """End what runs in the namespaces of one lab, or in one namespace, and delete them."""
    for name in namespaces(prefix):
        for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        run("ip", "netns", "del", name, check=False)


def holder(name):
    """The pid of the process whose lab this is; None when there is none, or only what is left of it."""
    try:
        with open(f"{ROOT}/{name}/lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read())
    except FileNotFoundError:
        pass
    return None


def remove_leftovers():
    """Remove what a run left behind that did not come to its own end: nobody holds its lock any more."""
    os.makedirs(ROOT, exist_ok=True)
    for name in os.listdir(ROOT):
        if name != KEPT and not re.fullmatch(r"mlab\d+-\d+", name):
            continue
        try:
            with open(f"{ROOT}/{name}/lock", "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_namespaces(name)
                shutil.rmtree(f"{ROOT}/{name}", ignore_errors=True)
        except (BlockingIOError, FileNotFoundError):
            continue
