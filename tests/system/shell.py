# SPDX-License-Identifier: ISC
"""Processes, namespaces and waiting: what every other file here stands on.

Nothing sleeps as proof: eventually() looks until a condition holds or a deadline passes, and a failure says
what was seen last. Every process started by spawn() dies with this one, also when it is killed.
"""
import ctypes
import os
import re
import signal
import subprocess
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """A case failed: what was expected, and what was seen instead."""


class Skip(Exception):
    """A case cannot run here: what is missing."""


def now():
    """Seconds on the monotonic clock, the same for all namespaces."""
    return time.monotonic()


def expect(condition, text):
    if not condition:
        raise Failure(text)


def eventually(look, deadline, what, good=bool, every=0.02):
    """Call look() until good(its value), at most `deadline` seconds; return (value, seconds it took)."""
    begin = now()
    while True:
        value = look()
        if good(value):
            return value, now() - begin
        if now() - begin > deadline:
            raise Failure(f"not within {deadline:g} s: {what}; last seen: {shorten(value)}")
        time.sleep(every)


def hold_for(look, seconds, what, good=bool, every=0.05):
    """The opposite of eventually(): good(look()) has to hold all the time."""
    end = now() + seconds
    while now() < end:
        value = look()
        if not good(value):
            raise Failure(f"did not last {seconds:g} s: {what}; seen: {shorten(value)}")
        time.sleep(every)


def shorten(value, limit=2000):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[:limit] + " ..."


def die_with_parent(parent, number=signal.SIGKILL):
    """In a child: get that signal when the parent ends, however it ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def in_netns(netns, argv):
    return (["ip", "netns", "exec", netns] if netns else []) + [str(word) for word in argv]


def run(*argv, netns=None, check=True, stdin=None, timeout=60, env=None):
    """Run to the end; the CompletedProcess with text output. A failure is a Failure with its stderr."""
    command = in_netns(netns, argv)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout,
                          env=dict(os.environ, **(env or {})))
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def spawn(*argv, netns=None, log=None, **popen):
    """Start a process that dies with us. `log` takes its stdout and stderr where they are not redirected."""
    if log:
        popen.setdefault("stdout", log)
        popen.setdefault("stderr", log)
    parent = os.getpid()
    return subprocess.Popen(in_netns(netns, argv), stdin=subprocess.DEVNULL,
                            preexec_fn=lambda: die_with_parent(parent), **popen)


def end(process, deadline=5):
    """Ask a process to end, then insist."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(deadline)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ip(netns, *lines):
    """One `ip -batch` in a namespace: one process, and no pause between the lines."""
    done = subprocess.run(["ip", "-n", netns, "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Failure(f"ip -n {netns} -batch: {done.stderr.strip()}\n" + "\n".join(lines))


def sysctl(netns, **values):
    """sysctl(netns, net_ipv4_ip__forward=1): '_' is '/', '__' is '_'."""
    words = [name.replace("__", "\0").replace("_", "/").replace("\0", "_") + f"={value}"
             for name, value in values.items()]
    run("sysctl", "-qw", *words, netns=netns)


def tail(path, lines=40):
    try:
        with open(path, errors="replace") as file:
            return "".join(file.readlines()[-lines:])
    except OSError as error:
        return f"({error})\n"


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
