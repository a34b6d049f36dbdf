"""The requests that both servers get, in this order, and the differences that are meant."""

import json

JSON = {"Content-Type": "application/json"}
LARGE = 3 * 1024 * 1024


class Case:
    """A request; `name` tells cases of one request apart."""

    def __init__(self, what, body=None, headers=None, name=""):
        self.method, self.path = what.split(" ", 1)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = headers if headers is not None else (JSON if body is not None else {})
        self.name = what + (f" ({name})" if name else "")
        # One key of the framework is odd; the connector's own are as they should be.
        self.is_of_framework = False


class Wait:
    """Waits until a connector's status is as given: `RUNNING RUNNING`, or `none`."""

    def __init__(self, connector, states):
        self.connector, self.states = connector, states


class Offsets:
    """Waits until a connector has stored that many offsets."""

    def __init__(self, connector, count):
        self.connector, self.count = connector, count


class Topics:
    """Waits until a connector has used a topic."""

    def __init__(self, connector, topic):
        self.connector, self.topic = connector, topic


def source(folder, **more):
    return {"connector.class": "FileStreamSource", "tasks.max": "1", "file": f"{folder}/in.txt", "topic": "compared",
            "sandbox.files": str(folder), **more}


def sink(folder, **more):
    return {"connector.class": "FileStreamSink", "tasks.max": "1", "file": f"{folder}/out.txt", "topics": "compared",
            "sandbox.files": str(folder), **more}


def sequence(folder):
    """Everything, in order."""
    return [*worker(), *paths(), *media(), *plugins(folder), *validated(folder), *refused(folder), *created(folder), *unknown(), *changed(folder),
            *lifecycle(folder), *source_offsets(), *sink_offsets(folder), *names(folder), *loggers(), *deleted()]


def worker():
    return [Case("GET /"), Case("GET /health"), Case("GET /health/"), Case("GET /connectors"), Case("GET /connectors/"),
            Case("GET /connectors?expand=info&expand=status", name="none yet"), Case("GET /connectors?expand=foo", name="none yet")]


def paths():
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]
    each = [
        "/", "/health", "/connectors", "/connectors/x", "/connectors/x/config", "/connectors/x/status", "/connectors/x/restart",
        "/connectors/x/pause", "/connectors/x/resume", "/connectors/x/stop", "/connectors/x/tasks", "/connectors/x/tasks/0/status",
        "/connectors/x/tasks/0/restart", "/connectors/x/topics", "/connectors/x/topics/reset", "/connectors/x/offsets",
        "/connector-plugins", "/connector-plugins/FileStreamSource/config", "/connector-plugins/FileStreamSource/config/validate",
        "/admin/loggers", "/admin/loggers/root"]
    # Requests with a body are compared below.
    bodies = {("POST", "/connectors"), ("PUT", "/connectors/x/config"), ("PATCH", "/connectors/x/config"),
              ("PATCH", "/connectors/x/offsets"), ("PUT", "/connector-plugins/FileStreamSource/config/validate"),
              ("PUT", "/admin/loggers/root"), ("GET", "/connector-plugins"), ("GET", "/connector-plugins/FileStreamSource/config"),
              ("GET", "/admin/loggers")}
    tried = [Case(f"{method} {path}") for path in each for method in methods if (method, path) not in bodies]
    return [*tried, *(Case(what) for what in (
        "GET /nothing", "GET /connectors/x/nothing", "GET /connectors/a/tasks/x/status", "GET /connectors/a/tasks/-1/status",
        "GET /connectors/a/tasks/99999999999/status", "POST /connectors/a/tasks/1.5/restart", "GET /connectors/a/tasks-config",
        "GET //connectors", "GET /connectors//status", "GET /connectors/%2F", "GET /connectors/%ff", "GET /connectors/%zz",
        "GET /connectors/%00", "GET /connectors/x/../y", "GET /connectors/a%20b", "GET /connectors/a+b", "GET /connectors/a;b=c",
        "GET /connectors/x/status/", "GET /connectors/x/tasks/0/status/", "GET /connectors/x/topics/", "GET /admin/loggers/",
        "GET /connector-plugins/?connectorsOnly=true&connectorsOnly=false", "GET /connectors?unknown=1", "GET /CONNECTORS",
        "GET /connectors?expand", "GET /connectors?expand=", "GET /connectors?%zz=1", "GET /admin", "GET /openapi.json",
        "GET /application.wadl"))]


def media():
    good = '{"name":"m","config":{}}'
    content = [("text/plain", good), ("application/x-www-form-urlencoded", good), ("application/json; charset=utf-8", good),
               ("application/vnd.api+json", good), ("nonsense", good), ("", good), ("text/json", good), ("*/*", good), ("application/*", good),
               ("APPLICATION/JSON", good), ("application/json;charset=iso-8859-1", good)]
    cases = [Case("POST /connectors", body, {"Content-Type": kind}, name=f"Content-Type {kind!r}") for kind, body in content]
    cases.append(Case("POST /connectors", good, {}, name="no Content-Type"))
    for method, path in (("PUT", "/connectors/x/pause"), ("POST", "/connectors/x/restart"), ("DELETE", "/connectors/x"),
                         ("GET", "/connectors"), ("PUT", "/connectors/x/topics/reset")):
        cases.append(Case(f"{method} {path}", None, {"Content-Type": "application/x-www-form-urlencoded"}, name="form, no body"))
        cases.append(Case(f"{method} {path}", None, {"Content-Type": "application/json"}, name="JSON, no body"))
    cases.append(Case("PUT /connectors/x/pause", "a=b", {"Content-Type": "application/x-www-form-urlencoded"}, name="form"))
    cases.append(Case("PUT /connectors/x/pause", "{}", name="a body"))
    cases.append(Case("PUT /connectors/x/pause", "{", name="no JSON"))
    for accept in ("text/html", "text/html, */*;q=0.1", "application/*", "application/json;q=0", "application/json;q=0.5, text/html",
                   "", "nonsense", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9", "application/json; charset=utf-8",
                   "application/vnd.api+json", "*/json", "application/json;version=1"):
        cases.append(Case("GET /connectors", None, {"Accept": accept}, name=f"Accept {accept!r}"))
    cases.append(Case("GET /connectors/x", None, {"Accept": "text/html"}, name="Accept 'text/html'"))
    cases.append(Case("GET /nothing", None, {"Accept": "text/html"}, name="Accept 'text/html'"))
    cases.append(Case("PUT /connectors/x/pause", None, {"Accept": "text/html"}, name="Accept 'text/html'"))
    cases.append(Case("POST /connectors", "{}", {"Accept": "text/html", "Content-Type": "text/plain"}, name="neither"))
    return cases


def plugins(folder):
    validate = "PUT /connector-plugins/{}/config/validate"
    full = {"name": "v", **source(folder)}
    return [
        Case("GET /connector-plugins"), Case("GET /connector-plugins?connectorsOnly=false"), Case("GET /connector-plugins?connectorsOnly=maybe"),
        *(Case(f"GET /connector-plugins/{name}/config") for name in (
            "FileStreamSource", "FileStreamSinkConnector", "org.apache.kafka.connect.file.FileStreamSourceConnector", "filestreamsource",
            "Nothing", "ReplaceField", "InsertField$Key", "JsonConverter", "StringConverter", "SimpleHeaderConverter", "HasHeaderKey",
            "a%2Fb", "%20")),
        Case("GET /connector-plugins/FileStreamSource/config?version=99.0"), Case("GET /connector-plugins/FileStreamSource/config?version="),
        Case(validate.format("FileStreamSource"), full), Case(validate.format("FileStreamSourceConnector"), full),
        Case(validate.format("Source"), full, name="the end of the class's name"),
        Case(validate.format("org.apache.kafka.connect.file.FileStreamSourceConnector"), full),
        Case(validate.format("FileStreamSource"), {}, name="empty"),
        Case(validate.format("FileStreamSource"), {"file": "f"}, name="no class"),
        Case(validate.format("FileStreamSource"), {"connector.class": "FileStreamSink", "name": "v"}, name="another class"),
        Case(validate.format("FileStreamSource"), {"connector.class": "", "name": "v"}, name="an empty class"),
        Case(validate.format("FileStreamSource"), {"connector.class": None, "name": "v"}, name="class null"),
        Case(validate.format("Nothing"), {"connector.class": "Nothing", "name": "v"}),
        Case(validate.format("Nothing"), {"connector.class": "FileStreamSource", "name": "v"}, name="a class that is there"),
        Case(validate.format("JsonConverter"), {"connector.class": "JsonConverter", "name": "v"}),
        Case(validate.format("FileStreamSource"), {"connector.class": "FileStreamSource"}, name="little"),
        Case(validate.format("FileStreamSource"), {**full, "tasks.max": "0"}, name="tasks.max 0"),
        Case(validate.format("FileStreamSource"), {**full, "tasks.max": "x"}, name="tasks.max x"),
        Case(validate.format("FileStreamSource"), {**full, "tasks.max": 2, "batch.size": True}, name="no strings"),
        Case(validate.format("FileStreamSource"), {**full, "errors.tolerance": "some", "config.action.reload": "never"}, name="enums"),
        Case(validate.format("FileStreamSource"), {**full, "extra": None}, name="null"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a,a"}, name="an alias twice"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a", "transforms.a.type": "Nothing"}, name="transform unknown"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a"}, name="transform without a type"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a", "predicates": "p", "transforms.a.predicate": "p",
             "transforms.a.type": "org.apache.kafka.connect.transforms.InsertField$Value", "transforms.a.static.field": "f",
             "predicates.p.type": "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"}, name="a transform"),
        Case(validate.format("FileStreamSource"), {**full, "producer.override.acks": "1", "producer.override.bad": "x"}, name="overrides"),
        Case(validate.format("FileStreamSource"), {**full, "value.converter": "Nothing"}, name="converter unknown"),
        Case(validate.format("FileStreamSource"), {**full, "value.converter": "org.apache.kafka.connect.json.JsonConverter",
             "value.converter.schemas.enable": "maybe"}, name="converter's key"),
        Case(validate.format("FileStreamSink"), {"name": "v", **sink(folder)}),
        Case(validate.format("FileStreamSink"), {"name": "v", **sink(folder), "topics": ""}, name="no topics"),
        Case(validate.format("FileStreamSink"), {"name": "v", **sink(folder), "topics.regex": "a"}, name="both topics"),
        Case(validate.format("FileStreamSink"), {"name": "v", **sink(folder), "errors.deadletterqueue.topic.name": "compared"}, name="dead letters"),
        Case(validate.format("FileStreamSink"), {"name": "v", "connector.class": "FileStreamSink", "topics.regex": "a(", "sandbox.files": str(folder)}, name="regex"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a", "transforms.a.type": "JsonConverter"}, name="no transform"),
        Case(validate.format("FileStreamSource"), {**full, "predicates": "p", "predicates.p.type": "org.apache.kafka.connect.transforms.InsertField$Value"}, name="no predicate"),
        Case(validate.format("FileStreamSource"), {**full, "transforms": "a", "transforms.a.type": "org.apache.kafka.connect.transforms.HoistField$Value",
             "transforms.a.field": "f", "transforms.a.predicate": "none"}, name="predicate unknown"),
        *(Case(validate.format("FileStreamSource"), body, name=name) for body, name in malformed()),
    ]


def validated(folder):
    """Every key of the framework, with values that are and are not as it wants them."""
    numbers = ["0", "-1", "-2", "x", "1.5", "", " 7 ", "2147483648", "9223372036854775808", None]
    booleans = ["true", "FALSE", " true ", "1", "yes", "", None]
    lists = ["", "a", "a,b", "a,,b", "a,a", " a , b ", None]
    both = {
        "name": ["", " ", "a/b", None],
        "tasks.max": numbers, "tasks.max.enforce": booleans,
        "key.converter": ["", "no", "java.lang.String", None], "header.converter": ["no", "org.apache.kafka.connect.json.JsonConverter"],
        "transforms": lists, "predicates": lists,
        "config.action.reload": ["", "NONE", "none", "now", None],
        "errors.retry.timeout": numbers, "errors.retry.delay.max.ms": numbers,
        "errors.tolerance": ["", "ALL", "none", "some", None],
        "errors.log.enable": booleans, "errors.log.include.messages": booleans,
    }
    source = {
        "topic.creation.groups": ["", "a,a", "default", "a"],
        "exactly.once.support": ["requested", "REQUIRED", "required", "no", ""], "transaction.boundary": ["poll", "POLL", "interval", "connector", "never"],
        "transaction.boundary.interval.ms": ["0", "-1", "1", "x"], "offsets.storage.topic": ["", " ", "a b", "t"],
    }
    sink = {
        "topics": lists, "topics.regex": ["", "a.*", "("],
        "errors.deadletterqueue.topic.name": ["", "d", "compared", None], "errors.deadletterqueue.topic.replication.factor": ["0", "-1", "1", "40000", "x"],
        "errors.deadletterqueue.context.headers.enable": booleans,
    }
    cases = []
    for kind, base, own in (("FileStreamSource", globals()["source"](folder), source), ("FileStreamSink", globals()["sink"](folder), sink)):
        for key, values in {**(both if own is source else {}), **own}.items():
            cases += [Case(f"PUT /connector-plugins/{kind}/config/validate", {"name": "v", **base, key: value}, name=f"{key}={value!r}") for value in values]
    for case in cases:
        case.is_of_framework = True
    return cases


def malformed():
    return [("", "no body"), ("{", "cut"), ("[]", "a list"), ("1", "a number"), ("null", "null"), ('"text"', "a text"), ('{"a":{}}', "an object inside"),
            ('{"a":[1]}', "a list inside"), (b'{"a":"\xff"}', "no UTF-8"), ("[" * 2000, "deep"), ('{"a":1}{"b":2}', "two documents"),
            ('{"a":1,}', "a comma"), ("{'a':1}", "single quotes"), ('{"a":NaN}', "NaN"), ('{"a":"' + "x" * LARGE + '"}', "3 MB")]


def refused(folder):
    config = source(folder)
    create = "POST /connectors"
    return [
        *(Case(create, body, name=name) for body, name in malformed()),
        Case(create, {}, name="empty"), Case(create, {"name": "n"}, name="no config"), Case(create, {"config": config}, name="no name"),
        Case(create, {"name": "", "config": config}, name="empty name"), Case(create, {"name": None, "config": config}, name="name null"),
        Case(create, {"name": 1, "config": {}}, name="name a number"), Case(create, {"name": [], "config": config}, name="name a list"),
        Case(create, {"name": "n", "config": None}, name="config null"), Case(create, {"name": "n", "config": "x"}, name="config a text"),
        Case(create, {"name": "n", "config": {}, "x": 1}, name="an unknown member"), Case(create, {"name": "n", "config": {}}, name="empty config"),
        Case(create, {"name": "n", "config": {**config, "x": {"y": 1}}}, name="a nested value"),
        Case(create, {"name": "n", "config": {**config, "name": "other"}}, name="another name inside"),
        Case(create, {"name": "n", "config": config, "initial_state": "ASLEEP"}, name="initial_state"),
        Case(create, {"name": "n", "config": config, "initial_state": ""}, name="initial_state empty"),
        Case(create, {"name": "n", "config": config, "initial_state": 1}, name="initial_state a number"),
        Case(create, {"name": "a\nb", "config": config}, name="a control character"),
        Case(create, {"name": "n", "config": {**config, "connector.class": "Nothing"}}, name="unknown class"),
        Case(create, {"name": "n", "config": {**config, "connector.class": "JsonConverter"}}, name="no connector"),
        Case(create, {"name": "n", "config": {**config, "tasks.max": "-1", "errors.tolerance": "x"}}, name="two errors"),
        Case(create, {"name": "n", "config": {"connector.class": "FileStreamSink", "file": "f"}}, name="a sink without topics"),
        Case(create, {"name": "n", "config": {**sink(folder), "consumer.override.group.id": "connect-x", "producer.override.x": "y"}, "initial_state": "STOPPED"},
             name="overrides"),
        Wait("n", "STOPPED"), Case("DELETE /connectors/n"), Wait("n", "none"),
        *(Case("PUT /connectors/n/config", body, name=name) for body, name in malformed()),
        Case("PUT /connectors/n/config", {**config, "name": "other"}, name="another name"),
        Case("PUT /connectors/n/config", {}, name="empty"), Case("PUT /connectors/n/config", {"tasks.max": "1"}, name="no class"),
        Case("PUT /connectors/n/config", {**config, "tasks.max": "0"}, name="tasks.max 0"),
        Case("PUT /connectors/n/config", {**config, "more": None}, name="null"),
    ]


def created(folder):
    full = source(folder)
    return [
        Case("POST /connectors/", {"name": " a ", "config": {"z": "1", **full, "tasks.max": 1, "b": True}}, name="create"),
        Wait("a", "RUNNING RUNNING"), Offsets("a", 1),
        Case("POST /connectors", {"name": "a", "config": full}, name="again"),
        Case("GET /connectors", name="one"), Case("GET /connectors?expand=info"), Case("GET /connectors?expand=status"),
        Case("GET /connectors?expand=info&expand=status"), Case("GET /connectors?expand=info,status"), Case("GET /connectors?expand=foo"),
        Case("GET /connectors?expand=foo&expand=info"), Case("GET /connectors?EXPAND=info"),
        *(Case(f"GET /connectors/a{rest}") for rest in (
            "", "/", "/config", "/config/", "/status", "/tasks", "/tasks/0/status", "/topics", "/offsets")),
        Case("HEAD /connectors/a"), Case("HEAD /connectors/a/status"), Case("GET /connectors/A"),
        Case("POST /connectors", {"name": "p", "config": full, "initial_state": "paused"}, name="initially paused"), Wait("p", "PAUSED"),
        Case("GET /connectors/p/status"), Case("GET /connectors/p/tasks"),
        Case("POST /connectors", {"name": "s", "config": full, "initial_state": "STOPPED"}, name="initially stopped"), Wait("s", "STOPPED"),
        Case("GET /connectors/s/status"), Case("GET /connectors/s/tasks"), Case("GET /connectors/s/tasks/0/status"),
        Case("POST /connectors", {"name": "r", "config": full, "initial_state": "Running"}, name="initially running"), Wait("r", "RUNNING RUNNING"),
        Case("DELETE /connectors/r"), Wait("r", "none"),
        Case("POST /connectors", {"name": "nul", "config": full, "initial_state": None}, name="initial_state null"), Wait("nul", "RUNNING RUNNING"),
        Case("DELETE /connectors/nul"), Wait("nul", "none"),
    ]


def unknown():
    return [
        *(Case(what) for what in (
            "GET /connectors/x", "DELETE /connectors/x", "GET /connectors/x/config", "GET /connectors/x/status", "POST /connectors/x/restart",
            "POST /connectors/x/restart?includeTasks=true", "POST /connectors/x/restart?onlyFailed=true", "PUT /connectors/x/pause",
            "PUT /connectors/x/resume", "PUT /connectors/x/stop", "GET /connectors/x/tasks", "GET /connectors/x/tasks/0/status",
            "GET /connectors/a/tasks/7/status", "POST /connectors/x/tasks/0/restart", "POST /connectors/a/tasks/7/restart",
            "GET /connectors/x/topics", "PUT /connectors/x/topics/reset", "GET /connectors/x/offsets", "DELETE /connectors/x/offsets")),
        Case("PATCH /connectors/x/config", {"a": "b"}), Case("PATCH /connectors/x/config", {}, name="empty"),
        Case("PATCH /connectors/x/offsets", {"offsets": [{"partition": {}, "offset": {}}]}),
        Case("PATCH /connectors/x/offsets", {"offsets": []}, name="none"),
        *(Case("PATCH /connectors/x/offsets", body, name=name) for body, name in malformed()),
    ]


def changed(folder):
    full = source(folder)
    return [
        Case("PUT /connectors/c/config", full, name="new"), Wait("c", "RUNNING RUNNING"),
        Case("PUT /connectors/c/config", {**full, "name": "c"}, name="replaced"), Wait("c", "RUNNING RUNNING"),
        Case("PUT /connectors/c/config", {**full, "name": "c"}, name="the same"), Wait("c", "RUNNING RUNNING"),
        Case("PUT /connectors/c/config", {**full, "name": "d"}, name="another name"),
        Case("PUT /connectors/c/config", {**full, "batch.size": 7, "x": "é\n\"", "empty": ""}, name="scalars"), Wait("c", "RUNNING RUNNING"),
        Case("GET /connectors/c/config"), Case("GET /connectors/c/tasks"),
        Case("PATCH /connectors/c/config", {"batch.size": None, "x": None, "new": "1"}), Wait("c", "RUNNING RUNNING"),
        Case("GET /connectors/c/config", name="patched"),
        Case("PATCH /connectors/c/config", {}, name="nothing"), Case("PATCH /connectors/c/config", {"not there": None}, name="what is not there"),
        Case("PATCH /connectors/c/config", {"name": None}, name="the name away"), Case("PATCH /connectors/c/config", {"name": "other"}, name="another name"),
        Case("PATCH /connectors/c/config", {"connector.class": None}, name="the class away"),
        Case("PATCH /connectors/c/config", {"tasks.max": "x"}, name="tasks.max x"),
        Case("PATCH /connectors/c/config", {"connector.class": "Nothing"}, name="unknown class"),
        *(Case("PATCH /connectors/c/config", body, name=name) for body, name in malformed()),
        Wait("c", "RUNNING RUNNING"), Case("GET /connectors/c/config", name="as it was"), Case("DELETE /connectors/c"), Wait("c", "none"),
        Case("GET /connectors/c/status"), Case("GET /connectors/c/config", name="deleted"),
    ]


def lifecycle(folder):
    steps = []
    for what, states in (("PUT /connectors/a/pause", "PAUSED PAUSED"), ("PUT /connectors/a/resume", "RUNNING RUNNING"),
                         ("PUT /connectors/a/stop", "STOPPED"), ("PUT /connectors/a/pause", "PAUSED"), ("PUT /connectors/a/stop", "STOPPED"),
                         ("PUT /connectors/a/resume", "RUNNING RUNNING")):
        steps += [Case(what), Wait("a", states), Case(what, name="again"), Case("GET /connectors/a/status", name=states), Case("GET /connectors/a/tasks", name=states)]
    for query in ("", "?includeTasks=false", "?includeTasks=true", "?onlyFailed=true", "?includeTasks=true&onlyFailed=true", "?includeTasks=maybe",
                  "?includeTasks=TRUE", "?includeTasks=", "?includeTasks=true&includeTasks=false"):
        steps += [Case(f"POST /connectors/a/restart{query}"), Wait("a", "RUNNING RUNNING")]
    steps += [
        Case("POST /connectors/a/tasks/0/restart"), Wait("a", "RUNNING RUNNING"), Case("POST /connectors/s/restart", name="stopped"),
        Case("POST /connectors/p/restart", name="paused"), Wait("p", "PAUSED"), Case("POST /connectors/p/tasks/0/restart", name="paused"),
        Case("POST /connectors/s/tasks/0/restart", name="stopped"), Case("POST /connectors/s/restart?includeTasks=true", name="stopped"), Wait("s", "STOPPED"),
        Case("GET /connectors/a/topics"), Case("PUT /connectors/a/topics/reset"), Case("PUT /connectors/a/topics/reset/", name="slash"),
        Case("POST /connectors", {"name": "f", "config": {**sink(folder), "file": f"{folder}/none/out.txt"}}, name="whose task fails"), Wait("f", "RUNNING FAILED"),
        Case("GET /connectors/f/status"), Case("GET /connectors/f/tasks/0/status"), Case("POST /connectors/f/restart?includeTasks=true&onlyFailed=true"),
        Wait("f", "RUNNING FAILED"), Case("POST /connectors/f/tasks/0/restart"), Wait("f", "RUNNING FAILED"), Case("PUT /connectors/f/pause"),
        Wait("f", "PAUSED FAILED"), Case("DELETE /connectors/f"), Wait("f", "none"),
    ]
    return steps


def source_offsets():
    alter = "PATCH /connectors/a/offsets"
    entry = {"partition": {"filename": "/other"}, "offset": {"position": 42}}
    return [
        Case(alter, {"offsets": [entry]}, name="running"), Case("DELETE /connectors/a/offsets", name="running"),
        Case("PUT /connectors/a/stop"), Wait("a", "STOPPED"),
        Case(alter, {}, name="empty"), Case(alter, {"offsets": None}, name="null"), Case(alter, {"offsets": []}, name="none"),
        Case(alter, {"offsets": {}}, name="an object"), Case(alter, {"offsets": [123]}, name="a number"), Case(alter, {"key": []}, name="another member"),
        Case(alter, {"offsets": [{"partition": {}, "offset": {}, "x": 1}]}, name="a member too many"), Case(alter, {"offsets": [None]}, name="an entry null"),
        Case(alter, {"offsets": [{}]}, name="an empty entry"), Case(alter, {"offsets": [{"partition": None, "offset": {"position": 1}}]}, name="partition null"),
        Case(alter, {"offsets": [{"partition": {"filename": None}, "offset": {"position": 1}}]}, name="filename null"),
        Case(alter, {"offsets": [{"partition": "f", "offset": {}}]}, name="partition a text"), Case(alter, {"offsets": [{"partition": {"filename": "f"}, "offset": 1}]}, name="offset a number"),
        Case(alter, {"offsets": [{"partition": {"filename": "f"}, "offset": {"position": [1]}}]}, name="nested"),
        Case(alter, {"offsets": [{"partition": {"filename": {"a": 1}}, "offset": None}]}, name="nested partition"),
        Case(alter, {"offsets": [{"partition": {"filename": "f"}, "offset": {"position": -1}}]}, name="position negative"),
        Case(alter, {"offsets": [{"partition": {"filename": "f"}, "offset": {"position": "1"}}]}, name="position a text"),
        Case(alter, {"offsets": [{"partition": {"other": "f"}, "offset": {"position": 1}}]}, name="another partition"),
        *(Case(alter, body, name=name) for body, name in malformed()),
        Case(alter, {"offsets": [entry]}), Case("GET /connectors/a/offsets", name="altered"),
        Case(alter, {"offsets": [{**entry, "offset": None}]}, name="one reset"), Case("GET /connectors/a/offsets", name="one reset"),
        Case("DELETE /connectors/a/offsets", name="stopped"), Case("GET /connectors/a/offsets", name="reset"), Case("DELETE /connectors/a/offsets", name="nothing there"),
        Case("DELETE /connectors/p/offsets", name="paused"),
    ]


def sink_offsets(folder):
    alter = "PATCH /connectors/k/offsets"

    def entry(partition, offset):
        return {"offsets": [{"partition": partition, "offset": offset}]}

    good = {"kafka_topic": "compared", "kafka_partition": 0}
    return [
        Case("POST /connectors", {"name": "k", "config": sink(folder)}, name="a sink"), Wait("k", "RUNNING RUNNING"), Offsets("k", 1),
        Case("GET /connectors/k"), Topics("k", "compared"), Case("GET /connectors/k/topics"), Case("GET /connectors/k/tasks"), Case("GET /connectors/k/offsets"),
        Case(alter, entry(good, {"kafka_offset": 0}), name="running"), Case("PUT /connectors/k/stop"), Wait("k", "STOPPED"),
        Case(alter, entry(None, {"kafka_offset": 0}), name="partition null"), Case(alter, entry({}, {"kafka_offset": 0}), name="partition empty"),
        Case(alter, entry({"kafka_topic": "compared"}, None), name="no partition"), Case(alter, entry({"kafka_partition": 0}, None), name="no topic"),
        Case(alter, entry({"kafka_topic": None, "kafka_partition": 0}, None), name="topic null"),
        Case(alter, entry({"kafka_topic": 1, "kafka_partition": 0}, None), name="topic a number"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": None}, None), name="number null"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": "x"}, None), name="number a text"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": 1.5}, None), name="number a fraction"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": -1}, None), name="number negative"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": 99999999999}, None), name="number large"),
        Case(alter, entry(good, {}), name="offset empty"), Case(alter, entry(good, {"other": 1}), name="another offset"),
        Case(alter, entry(good, {"kafka_offset": None}), name="offset null inside"), Case(alter, entry(good, {"kafka_offset": "x"}), name="offset a text"),
        Case(alter, entry(good, {"kafka_offset": 1.5}), name="offset a fraction"), Case(alter, entry(good, {"kafka_offset": -1}), name="offset negative"),
        Case(alter, entry({**good, "more": 1}, {"kafka_offset": 1}), name="more members"),
        Case(alter, entry({"kafka_topic": "compared", "kafka_partition": "0"}, {"kafka_offset": "1"}), name="numbers as text"),
        Case("GET /connectors/k/offsets", name="numbers as text"),
        Case(alter, entry({"kafka_topic": "not-there", "kafka_partition": 7}, {"kafka_offset": 3}), name="unknown topic"),
        Case(alter, entry(good, {"kafka_offset": 0})), Case("GET /connectors/k/offsets", name="altered"),
        Case(alter, entry(good, None), name="reset one"), Case("GET /connectors/k/offsets", name="reset one"),
        Case("DELETE /connectors/k/offsets", name="stopped"), Case("GET /connectors/k/offsets", name="reset"), Case("DELETE /connectors/k/offsets", name="nothing there"),
        Case("DELETE /connectors/k"), Wait("k", "none"), Case("GET /connectors/k/offsets", name="deleted"),
    ]


def names(folder):
    cases = []
    for name, path in (("a/b\\c &'\"%#ü", "a%2Fb%5Cc%20%26%27%22%25%23%C3%BC"), ("sp ace", "sp%20ace"), ("pl+us", "pl+us"), ("se;mi", "se%3Bmi"), ("..", "%2E%2E"),
                       ("ü", "%C3%BC"), ("q?", "q%3F")):
        body = {"name": name, "config": source(folder), "initial_state": "STOPPED"}
        cases += [Case("POST /connectors", body, name=name), Case(f"GET /connectors/{path}"), Case(f"GET /connectors/{path}/topics"),
                  Case(f"DELETE /connectors/{path}")]
    return cases


def loggers():
    put = "PUT /admin/loggers/{}"
    return [
        Case("GET /admin/loggers"), Case("GET /admin/loggers/ROOT"), Case("GET /admin/loggers/root"), Case("GET /admin/loggers/nothing"), Case("GET /admin/loggers/nothing/"),
        Case(put.format("compared.one"), {"level": "debug"}), Case("GET /admin/loggers/compared.one"), Case("GET /admin/loggers", name="one set"),
        Case(put.format("compared"), {"level": "WARN"}), Case("GET /admin/loggers/compared.one", name="inherited"),
        Case(put.format("compared.two") + "?scope=worker", {"level": "ERROR"}), Case(put.format("compared.two") + "?scope=nonsense", {"level": "ERROR"}),
        Case(put.format("compared.three") + "?scope=cluster", {"level": "TRACE"}), Case(put.format("compared.three") + "?scope=CLUSTER", {"level": "OFF"}),
        Case(put.format("compared") + "?scope=cluster", {"level": "loud"}, name="loud"), Case(put.format("compared"), {"level": "loud"}, name="loud"),
        Case(put.format("compared"), {}, name="no level"), Case(put.format("compared"), {"level": None}, name="level null"),
        Case(put.format("compared"), {"level": ""}, name="level empty"), Case(put.format("compared"), {"level": 5}, name="level a number"),
        Case(put.format("compared"), {"level": "INFO", "more": "x"}, name="more members"),
        *(Case(put.format("compared.four"), {"level": level}, name=level) for level in ("OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL")),
        *(Case(put.format("compared.five"), body, name=name) for body, name in malformed()),
    ]


def deleted():
    return [Case(f"DELETE /connectors/{name}", name="at the end") for name in ("a", "p", "s")] + [
        Wait("a", "none"), Wait("p", "none"), Wait("s", "none"), Case("GET /connectors", name="at the end"), Case("DELETE /connectors/a", name="again")]
