"""
The harness of nginx finds what it is there to find. These run nginx without
the module, so that what they say does not hang on it.
"""

import os
import re
import signal

import pytest

from harness.logcheck import Checker
from harness.metrics import Metrics
from harness.nginx import CONF

PLAIN = CONF.replace("load_module @module@;\n", "")
SERVER = """
    server {
        listen 127.0.0.1:@port@;
        location / { return 200 "@word@"; }
    }
"""


def start(make_nginx, http=SERVER, **options):
    return make_nginx(http, conf=PLAIN, **{"word": "hello", **options})


def test_starts_answers_and_quits(make_nginx):
    nginx = start(make_nginx, workers=2)
    assert nginx.get("/").body == b"hello"
    assert len(nginx.worker_pids()) == 2
    assert nginx.fds(nginx.worker_pids()[0])
    pids = nginx.worker_pids()
    nginx.stop()
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_reload(make_nginx):
    nginx = start(make_nginx, workers=2)
    old = nginx.worker_pids()
    nginx.write(SERVER.replace("@word@", "other"), PLAIN)
    nginx.reload(wait_old=True)
    assert nginx.get("/").body == b"other"
    assert not set(old) & set(nginx.worker_pids())


def test_killed_worker_is_replaced(make_nginx):
    nginx = start(make_nginx)
    old = nginx.kill_worker()
    assert nginx.worker_pids() != [old]
    assert nginx.get("/").status == 200


def test_worker_that_dies_unannounced_is_found(make_nginx):
    nginx = start(make_nginx)
    os.kill(nginx.worker_pids()[0], signal.SIGKILL)
    nginx.wait_log("exited on signal 9")
    with pytest.raises(AssertionError, match="exited on signal 9"):
        nginx.stop()


def test_configuration_check(make_nginx):
    nginx = start(make_nginx, start=False)
    assert nginx.check()[0] == 0
    nginx.write(SERVER + "    no_such_thing;\n", PLAIN)
    code, said = nginx.check()
    line = nginx.line_of("no_such_thing")
    assert code == 1
    assert f'unknown directive "no_such_thing" in {nginx.conf}:{line}' in said


def test_nginx_that_ends_by_itself_is_found(make_nginx):
    nginx = start(make_nginx)
    nginx.process.terminate()
    nginx.process.wait()
    with pytest.raises(AssertionError, match="ended before"):
        nginx.stop()


@pytest.mark.parametrize("line", [
    "2026/01/01 [alert] 1#1: *5 open socket #13 left in connection 4",
    "2026/01/01 [crit] 1#1: *5 SSL_do_handshake() failed",
    "2026/01/01 [emerg] 1#1: bind() failed",
    "2026/01/01 [notice] 1#1: worker process 7 exited with code 2",
    "==12==ERROR: AddressSanitizer: heap-use-after-free on address",
    "a.c:1:2: runtime error: signed integer overflow",
])
def test_bad_lines_are_found_unless_announced(tmp_path, line):
    (tmp_path / "error.log").write_text(f"all is well\n{line}\n")
    words = line.split(": ")[-1]

    checker = Checker()
    assert words in checker.trouble(tmp_path)[0]

    checker.allowed.append(re.compile(re.escape(words)))
    assert checker.trouble(tmp_path) == []

    checker = Checker()
    checker.expected += [re.compile(re.escape(words)), re.compile("another")]
    assert checker.trouble(tmp_path) \
        == ["never logged, though expected: another"]


def test_metrics_are_read():
    text = ('# HELP a_total Words.\n# TYPE a_total counter\n'
            'a_total{x="1",y="q\\"\\\\"} 2\na_total{x="2",y=""} 3\nb 1e3\n')
    metrics = Metrics(text)
    assert metrics.sum("a_total") == 5
    assert metrics.sum("a_total", x=1) == 2
    assert metrics.sum("a_total", y='q"\\') == 2
    assert metrics.sum("b") == 1000
    for bad in "a{x=1} 2", "a 1\na 2", "a{x=\"1\"}":
        with pytest.raises((AssertionError, ValueError)):
            Metrics(bad)
