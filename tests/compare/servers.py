"""The two that are compared: a real Kafka Connect and a Hawser worker, each on a Kafka of its own, because sinks of one name are members
of one consumer group. Everything on loopback, in a folder of its own."""

import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 30

LOGGING = """\
status=error
rootLogger.level=info
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def properties(group, bootstrap, more):
    lines = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "offset.flush.interval.ms": "500",
        "offset.storage.partitions": "1",
        "status.storage.partitions": "1",
        **{f"{store}.storage.topic": f"{group}-{store}" for store in ("config", "offset", "status")},
        **{f"{store}.storage.replication.factor": "1" for store in ("config", "offset", "status")},
        **more,
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


class Server:
    """A worker's process."""

    def __init__(self, name, folder, port, command):
        self.name, self.port = name, port
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.request("GET", "/connectors")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        tail = "\n".join(self.log.read_text().splitlines()[-30:])
        self.stop()
        raise SystemExit(f"{name} does not start:\n{tail}")

    def request(self, method, path, body=None, headers=None):
        """One request on a connection of its own; returns status, headers, and the body as bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            headers = dict(headers or {})
            if body is not None:
                headers["Content-Length"] = str(len(body))
            elif method in ("POST", "PUT", "PATCH"):
                headers.setdefault("Content-Length", "0")
            for header, value in headers.items():
                connection.putheader(header, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Both:
    """A Kafka Connect and a Hawser worker, each with a Kafka, and with the file connectors in both."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hawser-compare-"))
        self.servers = []
        try:
            self.servers.append(self._connect(self._kafka("start", "connect")))
            self.servers.append(self._hawser(self._kafka("start", "hawser")))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        for of in ("connect", "hawser"):
            self._kafka("stop", of)
        if os.environ.get("KEEP_LOGS"):
            print(f"logs and files are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kafka(self, what, of):
        command = [ROOT / "scripts/kafka.sh", what, "--dir", self.folder / f"kafka-{of}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _connect(self, bootstrap):
        libs = subprocess.run([ROOT / "scripts/kafka.sh", "classpath"], check=True, capture_output=True, text=True).stdout.strip()
        plugins = self.folder / "plugins"
        plugins.mkdir()
        for jar in libs.split(":"):
            if "/connect-file-" in jar:
                shutil.copy(jar, plugins)
        # The class loader of a plugin must find it alone.
        libs = ":".join(jar for jar in libs.split(":") if "/connect-file-" not in jar)
        port = free_port()
        config = self.folder / "connect.properties"
        more = {"listeners": f"http://127.0.0.1:{port}", "plugin.path": plugins}
        config.write_text(properties("connect", bootstrap, more))
        (self.folder / "log4j2.properties").write_text(LOGGING)
        return Server("connect", self.folder, port, [
            "java", "-Xms128m", "-Xmx512m", f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}", "-cp", libs,
            "org.apache.kafka.connect.cli.ConnectDistributed", config])

    def _hawser(self, bootstrap):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        binary = os.environ.get("HAWSER_BIN", target / "debug/hawser")
        port = free_port()
        config = self.folder / "hawser.properties"
        more = {"listeners": f"http://127.0.0.1:{port}", "hawser.sandbox.files": self.folder}
        config.write_text(properties("hawser", bootstrap, more))
        server = Server("hawser", self.folder, port, [binary, "serve", "--config", config, "--data-dir", self.folder / "data"])
        for plugin in ("file", "transforms"):
            component = (target / f"plugins/{plugin}.wasm").read_bytes()
            status, _, answer = server.request("POST", "/plugins", component, {"Content-Type": "application/wasm"})
            if status != 201:
                server.stop()
                raise SystemExit(f"the plugin {plugin} is not taken: {answer.decode()}")
        return server
