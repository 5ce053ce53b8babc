"""A W&B server for tests: it keeps runs as W&B's does (history lines by offset, what a resumed run asks for), and fails
on demand. Answers are those that the client of wandb 0.31 asks for."""

import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_SEC = 0.5  # before each answer of a slow one


class WandbServer:
    """Runs by id: `history` (lines by number), `summary`, and what `UpsertBucket` said of them; `artifacts`.

    Of a sweep of W&B's own it keeps the `sweep` (its configuration), and hands `trials` (options by name) to agents.

    `fault` makes it fail from now on: "gone" (closes connections), "silent" (never answers), "slow", "full" (507 for
    all that is to be kept) or "refusing" (403 for that); None for none.
    """

    def __init__(self):
        self.runs, self.artifacts, self.fault = {}, [], None
        self.sweep, self.trials = None, []
        handler = type("Handler", (_Handler,), {"wandb": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self._stopped = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def set_for_client(self, monkeypatch, home):
        """Have W&B's client go to it, and know of nothing else that is set for W&B."""
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("WANDB_BASE_URL", self.url)
        monkeypatch.setenv("WANDB_API_KEY", "0" * 40)

    def rows(self, id, key="nimg"):
        """Rows of a run that have a key, in the order of the lines."""
        history = self.runs[id]["history"]
        lines = [json.loads(history[number]) for number in sorted(history)]
        return [line for line in lines if key in line]

    def wait(self):
        """Keep a client waiting."""
        self._stopped.wait(60)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wandb: WandbServer

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._fails():
            if self.path.endswith("/graphql"):
                self._graphql(json.loads(body))
            elif self.path.endswith("/file_stream"):
                self._stream(self.path.split("/")[-2], json.loads(body))
            else:
                self._answer({})

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._fails():
            self._answer({})

    def _fails(self):
        fault = self.wandb.fault
        if fault == "slow":
            time.sleep(SLOW_SEC)
            return False
        if fault == "silent":
            self.wandb.wait()
        if fault in ("silent", "gone"):
            self.close_connection = True
        elif fault is not None:
            self._answer({"error": fault}, {"full": 507, "refusing": 403}[fault])
        return fault is not None

    def _answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _graphql(self, request):
        name = re.search(r"(?:query|mutation)\s+(\w+)", request["query"]).group(1)
        given = request.get("variables") or {}
        answer = getattr(self, f"_{name}", lambda _: {})(given)
        self._answer({"data": answer})

    def _Viewer(self, _):
        return {"viewer": {"id": "1", "entity": "us", "username": "u", "flags": "{}", "teams": {"edges": []}}}

    def _ServerFeaturesQuery(self, _):
        return {"serverInfo": {"features": []}}

    def _UpsertBucket(self, given):
        new = {"history": {}, "summary": "{}", "config": "{}", "created": time.time()}
        run = self.wandb.runs.setdefault(given["name"], new)
        run |= {key: value for key, value in given.items() if value is not None}
        project = {"id": "1", "name": given["project"], "entity": {"id": "1", "name": "us"}}
        names = {"name": given["name"], "displayName": run.get("displayName"), "sweepName": None, "description": None}
        bucket = {"id": given["name"], **names, "config": run["config"], "project": project}
        return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": len(run["history"])}, "inserted": True}}

    def _RunResumeStatus(self, given):
        run = self.wandb.runs.get(given["name"])
        if run is None:
            return {"model": {"id": "1", "name": given["project"], "entity": {"id": "1", "name": "us"}, "bucket": None}}
        lines = [run["history"][number] for number in sorted(run["history"])]
        counts = {"logLineCount": 0, "historyLineCount": len(lines), "eventsLineCount": 0}
        tails = {"historyTail": json.dumps(lines[-1:]), "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
        known = {"config": run["config"], "summaryMetrics": run["summary"], "tags": [], "notes": None}
        bucket = {"id": given["name"], "name": given["name"], "displayName": "", **counts, **tails, **known}
        return {"model": {"id": "1", "name": given["project"], "entity": {"id": "1", "name": "us"}, "bucket": bucket}}

    def _ArtifactType(self, _):
        return {"project": None}

    def _CreateArtifact(self, given):
        given = given["input"]
        aliases = [alias["alias"] for alias in given.get("aliases") or []]
        self.wandb.artifacts.append((given["artifactCollectionName"], given["runName"], aliases))
        sequence = {"latestArtifact": {"id": "1"}}  # committed: the content is there already
        return {"createArtifact": {"artifact": {"id": "1", "state": "COMMITTED", "artifactSequence": sequence}}}

    def _CreateRunFiles(self, given):
        files = [{"name": name, "uploadUrl": f"{self.wandb.url}/uploads/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}

    def _UpsertSweep(self, given):
        self.wandb.sweep = given["config"]
        project = {"id": "1", "name": given["projectName"], "entity": {"id": "1", "name": "us"}}
        return {"upsertSweep": {"sweep": {"name": "sweep1", "project": project}, "configValidationWarnings": []}}

    def _SweepWithRuns(self, given):
        sweep = {"id": "1", "name": given["sweep"], "state": "RUNNING", "config": self.wandb.sweep}
        return {"project": {"sweep": {**sweep, "runs": {"edges": []}}}}

    def _CreateAgent(self, _):
        return {"createAgent": {"agent": {"id": "agent1"}}}

    def _Heartbeat(self, given):
        commands = []
        if "true" not in given["runState"]:  # nothing runs
            commands = [{"type": "exit"}]
            if self.wandb.trials:
                trial = {name: {"value": value} for name, value in self.wandb.trials.pop(0).items()}
                run = {"run_id": f"trial{len(self.wandb.trials)}", "program": "train.py", "args": trial}
                commands = [{"type": "run", **run}]
        return {"agentHeartbeat": {"agent": {"id": "agent1"}, "commands": json.dumps(commands)}}

    def _stream(self, id, request):
        run, files = self.wandb.runs[id], request.get("files") or {}
        if history := files.get("wandb-history.jsonl"):
            run["history"] |= dict(enumerate(history["content"], history["offset"]))
        if summary := files.get("wandb-summary.json"):
            run["summary"] = summary["content"][-1]
        self._answer({"exitcode": None, "limits": {}})
