"""Differences that are meant, each with its reason; docs/differences.md has those that a client could see."""

import re

BODY = re.compile(r"^\.(status|body\.(error_code|message))$")
JERSEY = "an error that Jersey makes itself has a JSON body without a Content-Type: ours has one"
ALLOW = "405 without Allow, which HTTP demands: ours has it"
HTML = "a URL or header that Jetty refuses with a page of HTML: ours is a JSON error, or the connector of that name"
ECHO = "the whole configuration is echoed, secrets included: ours names its keys"
MALFORMED = "a malformed body is 500 with Jackson's text: ours is 400 with the place"
LARGE = "a body of 3 MB is read: ours is 413"
ACCEPT = "parameters of Accept come back in Content-Type"
INTERNAL = "a request between workers: not there"
LOGGERS = "every logger of log4j is listed: ours those that were set, and root"
VERSIONS = "versions of plugins and converters"
PLUGIN = "the plugin's own keys and rules are other than those of Kafka's class"
CLASS = "the message begins with the name of a Java exception: ours does not"
TASK_CLASS = "task.class is a class of its own: ours is the connector's"
OFFSETS = "the connector is asked about altered offsets: ours is not"
GROUPS = "the order of groups of converters"
OVERRIDES = "a client setting that nobody knows is let through: ours is an error"
ORDER = "order_in_group is the name since 4.3: ours has the older one, too"
LOCATION = "Location with / and ; unescaped: ours is escaped"
REGEX = "the text of Java's regex parser"
MATRIX = "a matrix parameter is cut off: ours is part of the name"
LEVEL = "an empty level is 500: ours is 404 as every unknown one"
ALIAS = "aliases are derived from names: ours are what the plugin says"
RANGE = "how a version range is printed"
RESET = "the reset of what is not there fails: ours succeeds"
CAUSE = "a failure of Kafka without its cause: ours has it"

OPTIONS = "OPTIONS lists the methods in another order, and its text has a charset"
OPENAPI = "a document of the API is served"
REGISTRY = "converters with a schema registry come with the worker"
SANDBOX = "keys of the sandbox are defined beside a connector's own"
STATUS = "a status has `hawser` in it"
PREDICATE = "an alias of a predicate that is not there is found here, there when the task starts"

HASH = "the keys of a converter come in the order of a hash table: ours in that of their definition"
NULL = "null where Java cannot have it is 500: ours is as if the key were absent"
TOPICS = "with any key of topic.creation the two of the group `default` are needed: ours says so at once, there the task fails"
JAVA = "a class of Java that is no converter: ours is no class at all"

PLUGIN_KEYS = re.compile(r"\.(file|topic|batch\.size|task\.index|task\.count)(\.|$)|transforms\.a\.static\.value|error_count$")
OWN_KEYS = re.compile(r"(\.|converter\.)validate$")


def meant(case, place, connect, hawser, answers):
    """Why `place` of the answers may differ, or None."""
    theirs, ours = answers
    said, says = message(theirs), message(ours)
    if place == ".headers.content-type" and connect == "none":
        return JERSEY
    if place == ".headers.allow" and theirs["status"] == 405:
        return ALLOW
    if theirs["headers"].get("content-type", "").startswith("text/html") or (theirs["status"] == 400 and theirs["body"] == ""):
        return HTML if ours["status"] < 500 else None
    if case.name in ("POST /connectors/x/tasks", "OPTIONS /connectors/x/tasks"):
        return INTERNAL
    if case.method == "OPTIONS" and theirs["status"] == ours["status"] == 200:
        same = sorted(re.split("[, ]+", theirs["body"])) == sorted(re.split("[, ]+", ours["body"]))
        return OPTIONS if place == ".headers.content-type" or (place == ".body" and same) else None
    if case.path == "/openapi.json":
        return OPENAPI
    if "(3 MB)" in case.name and ours["status"] == 413:
        return LARGE
    if ours["status"] == 400 and BODY.match(place) and theirs["status"] in (400, 500):
        if "contains no connector type" in said:
            return ECHO
        if theirs["status"] == 500:
            return MALFORMED
    if place == ".headers.content-type" and "Accept" in case.name:
        return ACCEPT
    if case.path.startswith("/admin/loggers") and case.method == "GET" and place.startswith(".body.org."):
        return LOGGERS
    if "level empty" in case.name:
        return LEVEL
    if "plugin.version" in place:
        return VERSIONS
    if place.endswith(".order") and connect == "(absent)":
        return ORDER
    if re.search(r"\.hawser$", place) and connect == "(absent)":
        return STATUS
    if place.startswith(".body.io.confluent.connect.") and connect == "(absent)":
        return REGISTRY
    if "/connector-plugins/" in case.path:
        if theirs["status"] == 500 and "NullPointerException" in said and ours["status"] == 200:
            return NULL
        if place.endswith(".converter.value.recommended_values") and connect == [name for name in hawser if not name.startswith("io.confluent.")]:
            return REGISTRY
        if (place.startswith(".body.configs.sandbox.") and connect == "(absent)") or (place == ".body.groups" and "Sandbox" in hawser):
            same = place != ".body.groups" or sorted(connect) == sorted(group for group in hawser if group != "Sandbox")
            return SANDBOX if same else None
        if place == ".body.configs (order)" and without_converters(connect) == without_converters(hawser):
            return HASH
        if "java.lang.String" in case.name and place.startswith(".body.configs.key.converter.value."):
            return JAVA
        if place.endswith(".predicate.value.errors") and connect == []:
            return PREDICATE
        if "?version=" in case.path and place == ".body.message":
            return RANGE
        if place in (".status", ".body") and "InsertField$Key" in case.path:
            return ALIAS
        if OWN_KEYS.search(place) and connect == "(absent)":
            return PLUGIN
        if ".producer.override.bad." in place or (place == ".body.error_count" and "(overrides)" in case.name):
            return OVERRIDES
        if place == ".body.error_count" and case.is_of_framework:
            return TOPICS if "(topic.creation.groups=" in case.name and hawser == connect + 2 else None
        if PLUGIN_KEYS.search(place):
            return PLUGIN
        if place == ".body.groups" and sorted(connect) == sorted(hawser):
            return GROUPS
        if place.endswith("topics.regex.value.errors"):
            return REGEX
    if said.startswith("org.apache.kafka.connect.errors.ConnectException: ") and said.split(": ")[1][:40] == says[:40]:
        return CLASS
    if "Missing required configuration \"file\"" in says and place.startswith(".body"):
        return PLUGIN
    if place.endswith(".config.task.class"):
        return TASK_CLASS
    if re.search(r"\.config\.task\.(index|count)$", place):
        return PLUGIN
    if case.name.startswith("GET /connectors/a;b=c"):
        return MATRIX
    if place == ".headers.location" and connect.split("/")[1] == "connectors":
        return LOCATION
    if case.path.endswith("/offsets"):
        if says.startswith("The Connect framework-managed offsets"):
            return RESET if said.startswith("Failed to alter") else OFFSETS
        if said and says.startswith(said):
            return CAUSE
        if case.method == "GET" and place == ".body.offsets":
            # What the connector refused there was stored here.
            return OFFSETS
    if case.name == "GET /connectors (at the end)":
        return HTML
    return None


def without_converters(keys):
    return [key for key in keys if not re.search(r"(key|value|header)\.converter\.", key)]


def message(answer):
    return (answer["body"].get("message") or "") if isinstance(answer["body"], dict) else ""
