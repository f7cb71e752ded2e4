"""Runs a Python handler against the Lambda Runtime API, as Lambda's own runtime does."""

import http.client
import importlib
import json
import os
import sys
import time
import traceback

ROOT = "/2018-06-01/runtime/"
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])


def call(method, resource, body=None):
    """Sends one request to the Runtime API; returns its headers and body."""
    api.request(method, ROOT + resource, body)
    response = api.getresponse()
    return response.headers, response.read()


def describe(error):
    return json.dumps(
        {
            "errorType": type(error).__name__,
            "errorMessage": str(error),
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
    )


def load():
    """Finds the function that "folder/file.name" means."""
    module, _, name = os.environ["_HANDLER"].rpartition(".")
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    return getattr(importlib.import_module(module.replace("/", ".")), name)


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))


def main():
    try:
        handler = load()
    except Exception as error:
        traceback.print_exc()
        call("POST", "init/error", describe(error))
        sys.exit(1)
    while True:
        headers, body = call("GET", "invocation/next")
        os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        invocation = "invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            outcome = "/response", json.dumps(handler(json.loads(body), Context(headers)))
        except Exception as error:
            traceback.print_exc()
            outcome = "/error", describe(error)
        call("POST", invocation + outcome[0], outcome[1])


main()
