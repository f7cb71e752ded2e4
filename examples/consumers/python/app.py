"""A consumer in Python: it reads the envelope that docs/envelope.md describes, and needs no library."""

import json


def handler(event, context):
    """Handles a batch of the consumer's queue. What fails is reported alone, so that only it comes back."""
    failures = []
    for message in event["Records"]:
        try:
            handle(decode(message["body"]))
        except Exception as error:  # whatever it is, the other messages of the batch go on
            print(json.dumps({"message": "failed", "messageId": message["messageId"], "error": repr(error)}))
            failures.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failures}


def handle(event):
    """The place for your effect. Delivery is at least once: keep event["source"] and event["id"] with the effect, in one
    transaction, and skip an event that is there already."""
    print(json.dumps({"message": "handled", **event}))


def decode(body):
    """Returns the event in the body of a queue message."""
    envelope = json.loads(body)
    detail = envelope["detail"]
    data = plain(detail["data"])
    return {
        "source": envelope["source"],
        "id": plain(detail["id"]),
        "type": plain(detail["type"]),
        "aggregateType": plain(detail["aggregateType"]),
        "aggregateId": plain(detail["aggregateId"]),
        "version": int(plain(detail["version"])),
        "occurredAt": int(plain(detail["occurredAt"])),  # epoch milliseconds
        "data": json.loads(data) if isinstance(data, str) else data,
        "traceparent": plain(detail.get("traceparent", "")),
        "correlationId": plain(detail.get("correlationId") or detail["id"]),
        "causationId": plain(detail.get("causationId", "")),
    }


def plain(value):
    """Takes a value out of DynamoDB's form, {"S": "…"} or {"N": "…"}; returns any other value as it is."""
    if isinstance(value, dict) and len(value) == 1:
        for kind in ("S", "N"):
            if isinstance(value.get(kind), str):
                return value[kind]
    return value
