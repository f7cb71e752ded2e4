"""Runs a Python handler against the Lambda Runtime API, as Lambda's own runtime does.

The arguments are the folders of packages that stand in for the SDK that Lambda's runtime brings along. The
interpreter runs without those of this machine (-S), which the function would not have on AWS either.
"""

import http.client
import importlib
import json
import logging
import os
import site
import sys
import time
import traceback

ROOT = "/2018-06-01/runtime/"
JSON = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
# The packages that Lambda's runtime brings along: boto3 and what it needs.
# Source: Lambda developer guide, lambda-python, "Runtime-included SDK versions".
SUPPLIED = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"}

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
request_id = None


def call(method, resource, body=None):
    """Sends one request to the Runtime API; returns its headers and body."""
    api.request(method, ROOT + resource, body)
    response = api.getresponse()
    return response.headers, response.read()


class ImportModuleError(Exception):
    """A package is missing that only Lambda has."""


def explained(error):
    """Tells what to do about a package that only Lambda has."""
    name = (getattr(error, "name", None) or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or name not in SUPPLIED:
        return error
    runtime = os.environ.get("AWS_EXECUTION_ENV", "").replace("AWS_Lambda_", "")
    return ImportModuleError(
        f"{name} comes with Lambda's {runtime} runtime; here it must be in a virtual environment of the app: "
        "python3 -m venv .venv && .venv/bin/pip install boto3"
    )


def describe(error):
    kind = "Runtime.ImportModuleError" if isinstance(error, ImportModuleError) else type(error).__name__
    return {"errorType": kind, "errorMessage": str(error), "stackTrace": traceback.format_tb(error.__traceback__)}


def timestamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


class LogHandler(logging.Handler):
    """Writes the records of the module logging, one in a line.

    Source: Lambda developer guide, python-logging, and monitoring-cloudwatchlogs-logformat.
    """

    def emit(self, record):
        message = record.getMessage()
        if JSON:
            fields = {
                "timestamp": timestamp(record.created),
                "level": record.levelname,
                "message": message,
                "logger": record.name,
                "requestId": request_id,
            }
            if record.exc_info:
                fields.update(describe(record.exc_info[1]))
            line = json.dumps(fields)
        else:
            if record.exc_info:
                message += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
            line = f"[{record.levelname}]\t{timestamp(record.created)}\t{request_id}\t{message}"
        print(line.replace("\n", "\r"))


def log_failure(error):
    """Logs what the handler raised."""
    found = describe(error)
    if JSON:
        print(json.dumps({"timestamp": timestamp(time.time()), "log_level": "ERROR", **found, "requestId": request_id}))
    else:
        lines = [f"[ERROR] {found['errorType']}: {found['errorMessage']}", "Traceback (most recent call last):", *found["stackTrace"]]
        print("\r".join(line.rstrip().replace("\n", "\r") for line in lines))


def prepare():
    """Sets up what Lambda's runtime sets up before it loads the handler."""
    site.setquit()
    sys.path[0:0] = [os.environ["LAMBDA_TASK_ROOT"]]
    sys.path.extend(sys.argv[1:])
    root = logging.getLogger()
    root.addHandler(LogHandler())
    if JSON:
        root.setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO").replace("TRACE", "DEBUG").replace("FATAL", "CRITICAL"))


def load():
    """Finds the function that "folder/file.name" means."""
    module, _, name = os.environ["_HANDLER"].rpartition(".")
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
    global request_id
    try:
        prepare()
        handler = load()
    except Exception as error:
        error = explained(error)
        log_failure(error)
        call("POST", "init/error", json.dumps(describe(error)))
        sys.exit(1)
    while True:
        headers, body = call("GET", "invocation/next")
        os.environ["_X_AMZN_TRACE_ID"] = headers["Lambda-Runtime-Trace-Id"]
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            outcome = "/response", json.dumps(handler(json.loads(body), Context(headers)))
        except Exception as error:
            error = explained(error)
            log_failure(error)
            outcome = "/error", json.dumps(describe(error))
        call("POST", "invocation/" + request_id + outcome[0], outcome[1])


main()
