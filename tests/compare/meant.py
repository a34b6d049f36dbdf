"""Differences that are meant, each with its reason; docs/differences.md has those that a client could see."""

import re

BODY = re.compile(r"^\.(status|body\.(error_code|message))$")


def meant(case, place, connect, hawser, answers):
    """Why `place` of the answers may differ, or None."""
    (theirs, ours) = answers
    if place == ".headers.content-type" and connect == "none":
        return "an error that Jersey makes itself has a JSON body without a Content-Type: ours has one"
    if place == ".headers.allow" and theirs["status"] == 405:
        return "405 without Allow, which HTTP demands: ours has it"
    if theirs["headers"].get("content-type", "").startswith("text/html") and 400 <= ours["status"] < 500:
        return "a URL or header that Jetty refuses with a page of HTML: ours is a JSON error, or the connector of that name"
    if ours["status"] in (400, 413) and BODY.match(place) and theirs["status"] in (400, 500):
        if isinstance(theirs["body"], dict) and "contains no connector type" in (theirs["body"].get("message") or ""):
            return "the whole configuration is echoed, secrets included: ours names its keys"
        if theirs["status"] == 500:
            return "a malformed body is 500 with Jackson's text: ours is 400 (413 if too large) with the place"
    return None
