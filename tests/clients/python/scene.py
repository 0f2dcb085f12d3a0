"""The gateway that the test has started, and its visitor."""

import json
import os

SCENE = json.loads(os.environ["SCENE"])


def visit(url):
    """Sends the user to a URL of the gateway. Returns the URL that the user comes back to."""
    print("visit", url, flush=True)
    return input()


def done(step):
    """Tells the test how far we are."""
    print("done", step, flush=True)
