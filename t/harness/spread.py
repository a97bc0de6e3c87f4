"""
Connections to each worker of an nginx, so that a test says which worker is
asked. The server must have `listen ... reuseport` and PID in it:

    nginx = serve(..., workers=4, **SPREAD)
    spread = Spread(nginx)
    one, other, *_ = spread.pids
    spread.client(one).send("GET", "/bucket/key")
    spread.settle()             # all workers have seen what was sent
"""

from .wire import Client

PID = "location = /pid { return 200 $pid; }"
SPREAD = {"listen_more": " reuseport", "server_more": PID}

TRIES = 2000                    # connections, until one worker has one


class Spread:
    def __init__(self, nginx, **options):
        """options: of wire.Client."""
        self.nginx = nginx
        self.options = options
        self._idle = {}
        self._made = []

    @property
    def pids(self) -> list:
        return sorted(self.nginx.worker_pids())

    def client(self, pid: int) -> Client:
        """A connection of its own to that worker."""
        for _ in range(TRIES):
            if self._idle.get(pid):
                return self._idle[pid].pop()
            client = self.nginx.client(**self.options)
            self._made.append(client)
            self._idle.setdefault(ask(client), []).append(client)
        raise AssertionError(f"no connection reaches worker {pid}")

    def each(self, number: int = 1) -> list:
        """So many for each worker, one worker after the other."""
        return [self.client(pid) for _ in range(number) for pid in self.pids]

    def settle(self, pids: list = ()) -> None:
        """
        Until the workers have begun what was sent before: each handles its
        connections in the order in which they became readable.
        """
        for pid in pids or self.pids:
            client = self.client(pid)
            for _ in range(2):
                assert ask(client) == pid
            self._idle[pid].append(client)

    def close(self) -> None:
        for client in self._made:
            client.close()


def ask(client: Client) -> int:
    """The pid of its worker."""
    response = client.request("GET", "/pid")
    assert response.status == 200, response
    return int(response.text)
