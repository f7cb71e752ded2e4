import os


def handler(event, context):
    if "fail" in event:
        raise ValueError(event["fail"])
    print("saw", event["name"])
    return {
        "hello": event["name"],
        "id": context.aws_request_id,
        "left": context.get_remaining_time_in_millis() > 0,
        "trace": os.environ["_X_AMZN_TRACE_ID"],
        "env": os.environ["AWS_EXECUTION_ENV"],
    }
