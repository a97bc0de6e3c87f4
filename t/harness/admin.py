"""What sprox_admin tells, and the jobs that it starts."""

import json

LOCATION = "location /_sprox/ { sprox_admin; }"


class Admin:
    def __init__(self, nginx, base: str = "/_sprox/", headers: dict = {}):
        self.nginx, self.base, self.headers = nginx, base, headers

    def ask(self, method: str, path: str, headers: dict = {}) -> tuple:
        """(status, document); every answer is JSON."""
        response = self.nginx.request(method, self.base + path,
                                      {**self.headers, **headers})
        assert response["content-type"] == "application/json", response
        assert response["cache-control"] == "no-store", response
        return response.status, json.loads(response.text)

    def get(self, path: str):
        status, document = self.ask("GET", path)
        assert status == 200, (path, status, document)
        return document

    def alias(self, name: str, bucket: str = "") -> dict:
        return self.get(f"aliases/{name}" + f"?bucket={bucket}" * bool(bucket))

    def jobs(self, **match) -> list:
        return [job for job in self.get("jobs")["jobs"]
                if all(job[name] == value for name, value in match.items())]

    def crawl(self, name: str, bucket: str = "") -> dict:
        status, job = self.ask("POST", f"aliases/{name}/crawl"
                               + f"?bucket={bucket}" * bool(bucket))
        assert status == 202, (status, job)
        return job

    def job(self, id: int) -> dict:
        return self.get(f"jobs/{id}")

    def wait(self, id: int, state: str, timeout: float = 15) -> dict:
        self.nginx.wait(lambda: self.job(id)["state"] == state, timeout,
                        f"to bring job {id} to {state}")
        return self.job(id)

    def wait_complete(self, name: str, bucket: str = "",
                      timeout: float = 15) -> dict:
        self.nginx.wait(lambda: self.alias(name, bucket)["complete"], timeout,
                        f"to complete {name}")
        return self.alias(name, bucket)
