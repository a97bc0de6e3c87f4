"""
A configuration that is meant for a real machine, made to run in a test's own
folder: its absolute paths lie below that, its listener is a port of the
test's, and nothing else of it changes.
"""

import re

from .nginx import Nginx

FOLDERS = ("modules", "var/cache", "var/log/nginx", "etc/sprox", "run",
           "srv/buckets", "dev/shm", "var/lib")

TEMP = "".join(f"{name}_temp_path temp/{name}; " for name in (
    "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def substitute(text: str, replace: dict) -> str:
    """replace: what stands in it, each once, and what shall."""
    for old, new in replace.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def paths(text: str, folder) -> str:
    text = re.sub(r"(?<=[ =])/(var|etc|run|srv|dev/shm)/", rf"{folder}/\1/", text)
    return text.replace("/dev/stderr", f"{folder}/error.log") \
        .replace("/dev/stdout", f"{folder}/access.log")


def relocate(make_nginx, text: str, replace: dict = {},
             env: dict = {}) -> Nginx:
    """
    Not started; @port@ is what was 9000. Its folder has FOLDERS, and the
    error log where the harness looks for it.
    """
    text = substitute(text, replace)
    nginx = make_nginx("", start=False, env=env)
    here = nginx.dir
    for folder in FOLDERS:
        (here / folder).mkdir(parents=True)
    (here / "modules/ngx_http_sprox_module.so").symlink_to(
        nginx._variables["module"])
    (here / "var/log/nginx/error.log").symlink_to(here / "error.log")

    text = paths(text, here)
    text = re.sub(r"listen( +)(127\.0\.0\.1:)?9000;",
                  r"listen\g<1>127.0.0.1:@port@;", text)
    text = re.sub(r"^worker_processes +auto;", "worker_processes 1;", text,
                  flags=re.M)
    text = re.sub(r"^user .*;", "", text, flags=re.M)
    more = TEMP if "access_log" in text else TEMP + "access_log off; "
    text = text.replace("\nhttp {", f"\nhttp {{ {more}", 1)
    if not re.search(r"^pid ", text, re.M):
        text += f"pid {here}/nginx.pid;\n"
    text += "daemon off;\n" + nginx._variables["user"] + "\n"
    nginx.write("", text)
    return nginx
