# SPDX-License-Identifier: ISC
"""A dual-attached host: Open vSwitch with its userspace datapath, an LACP partner that is not our code.

The host's own IP stack sits on br0. Its cables are visible to that stack too, so it must be told to keep its
hands off them: br0 has an address of its own that no cable has, ARP is answered by the interface asked, and what
comes in by the wrong interface is dropped.
"""
import os
import re
import signal

from ether import enlarge_packet_sockets
from shell import eventually, end, ip, run, spawn, sysctl

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OvsHost:
    def __init__(self, netns, directory, cables, address, mac, lacp="active", lacp_time="fast"):
        self.netns, self.directory, self.cables = netns, directory, cables
        self.address, self.mac, self.lacp_mode, self.lacp_time = address, mac, lacp, lacp_time
        self.env = {name: directory for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}
        self.database = self.switch = None
        self.basis = 0

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        path = self.directory + "/conf.db"
        if os.path.exists(path):
            os.unlink(path)
        sysctl(self.netns, net_ipv4_conf_all_arp__ignore=1, net_ipv4_conf_all_rp__filter=1)
        run("ovsdb-tool", "create", path, SCHEMA, env=self.env)
        self.log = open(self.directory + "/out.log", "a")
        self.database = spawn("ovsdb-server", path, f"--remote=punix:{self.directory}/db.sock",
                              f"--unixctl={self.directory}/db.ctl", f"--log-file={self.directory}/db.log",
                              netns=self.netns, log=self.log, env=dict(os.environ, **self.env))
        eventually(lambda: os.path.exists(self.directory + "/db.sock"), 10, "ovsdb-server listens")
        self.vsctl("--no-wait", "init")
        self.switch = spawn("ovs-vswitchd", f"unix:{self.directory}/db.sock",
                            f"--unixctl={self.directory}/vs.ctl", f"--log-file={self.directory}/vs.log",
                            netns=self.netns, log=self.log, env=dict(os.environ, **self.env))
        self.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev",
                   f"other_config:hwaddr={self.mac}")
        self.vsctl("add-bond", "br0", "bond0", *self.cables, "bond_mode=balance-tcp", f"lacp={self.lacp_mode}",
                   f"other_config:lacp-time={self.lacp_time}", "other_config:bond-rebalance-interval=0")
        # A burst must find room in the host, so that what the probe misses was missed by the network.
        ip(self.netns, "link set br0 txqueuelen 10000", f"addr add {self.address}/24 dev br0", "link set br0 up")
        eventually(lambda: enlarge_packet_sockets(self.switch.pid), 5, "ovs-vswitchd opened its cables",
                   lambda count: count >= len(self.cables))

    def stop(self):
        for process in (self.switch, self.database):
            end(process)
        if self.database:
            self.log.close()
        self.switch = self.database = None

    def freeze(self):
        self.switch.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.switch.send_signal(signal.SIGCONT)

    def spread(self):
        """Hash anew over the cables in use. Automatic rebalancing is off, so that traffic moves only when a case says
        so: a host that lost a cable keeps everything on the other one until then. Open vSwitch itself can lose a
        few frames over it, so no measured interval may contain it."""
        self.basis += 1
        self.vsctl("set", "port", "bond0", f"other_config:bond-hash-basis={self.basis}")

    def vsctl(self, *words):
        return run("ovs-vsctl", "--timeout=10", f"--db=unix:{self.directory}/db.sock", *words, env=self.env).stdout

    def appctl(self, *words):
        return run("ovs-appctl", "-t", self.directory + "/vs.ctl", *words, env=self.env).stdout

    # --- what the host says about its bond ---------------------------------------------------------

    def lacp(self):
        """lacp/show as {..., "members": {cable: {"current": bool, "actor": {...}, "partner": {...}}}}."""
        return parse_lacp(self.appctl("lacp/show", "bond0"))

    def bond(self):
        """bond/show as {"lacp_status": ..., "members": {cable: {"enabled": bool, "may_enable": bool}}}."""
        return parse_bond(self.appctl("bond/show", "bond0"))

    def usable(self):
        """The cables that carry data both ways now: current, collecting, distributing on both ends, enabled."""
        enabled = self.bond()["members"]
        full = {"synchronized", "collecting", "distributing"}
        return sorted(cable for cable, member in self.lacp()["members"].items()
                      if member["current"] and full <= member["actor"]["state"] and full <= member["partner"]["state"]
                      and "defaulted" not in member["actor"]["state"] and enabled.get(cable, {}).get("enabled"))

    def partners(self):
        """Of the usable cables: the set of (partner system id, priority, key), and the list of partner port ids."""
        members = self.lacp()["members"]
        usable = self.usable()
        return ({(members[cable]["partner"]["sys_id"], members[cable]["partner"]["sys_priority"],
                  members[cable]["partner"]["key"]) for cable in usable},
                [members[cable]["partner"]["port_id"] for cable in usable])

    def statistics(self):
        """lacp/show-stats as {cable: {name: number}}."""
        result, member = {}, None
        for line in self.appctl("lacp/show-stats", "bond0").splitlines():
            if match := re.match(r"member: (\S+):", line):
                member = result.setdefault(match.group(1), {})
            elif member is not None and (match := re.match(r"\s+(.+): (\d+)", line)):
                member[match.group(1)] = int(match.group(2))
        return result

    def transitions(self):
        """Every change of a member that the host ever saw, in order, as it logged them."""
        with open(self.directory + "/vs.log", errors="replace") as log:
            return [match.group(1) for line in log
                    if (match := re.search(r"\|bond\|INFO\|(member \S+: (?:enabled|disabled|link state \w+))", line))]

    def tail(self, lines=20):
        """The end of its log, without what every start says."""
        with open(self.directory + "/vs.log", errors="replace") as log:
            return "".join([line for line in log if re.search(r"\|(bond|lacp|netdev_linux|timeval)\|", line)][-lines:])


def pairs(lines):
    return {key.strip(): value.strip() for key, _, value in (line.partition(": ") for line in lines)}


def side(fields, name):
    """The fields of one end; the state as a set of words."""
    def number(key):
        return int(fields.get(f"{name} {key}", "0"))
    return {"sys_id": fields.get(f"{name} sys_id"), "sys_priority": number("sys_priority"), "key": number("key"),
            "port_id": number("port_id"), "port_priority": number("port_priority"),
            "state": set(fields.get(f"{name} state", "").split())}


def parse_lacp(text):
    head, *members = re.split(r"^member: ", text, flags=re.M)
    fields = pairs(head.splitlines()[1:])
    result = {"status": fields.get("status"), "sys_id": fields.get("sys_id"), "members": {}}
    for member in members:
        first, *lines = member.splitlines()
        cable, _, status = first.partition(": ")
        fields = pairs(lines)
        result["members"][cable] = {"current": status.startswith("current"), "status": status,
                                    "may_enable": fields.get("may_enable") == "true",
                                    "actor": side(fields, "actor"), "partner": side(fields, "partner")}
    return result


def parse_bond(text):
    head, *members = re.split(r"^member ", text, flags=re.M)
    result = {"lacp_status": pairs(head.splitlines()).get("lacp_status"), "members": {}}
    for member in members:
        first, *lines = member.splitlines()
        cable, _, status = first.partition(": ")
        result["members"][cable] = {"enabled": status == "enabled",
                                    "may_enable": pairs(lines).get("may_enable") == "true"}
    return result
