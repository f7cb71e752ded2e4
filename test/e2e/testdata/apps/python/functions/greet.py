"""Greets by the API, whose path has the name, and by the URL, whose query has it."""

import json

WORDS = {"en": "Hello", "de": "Hallo"}


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    name = (event.get("pathParameters") or query).get("name", "world")
    greeting = f"{WORDS.get(query.get('language'), 'Hello')}, {name}!"
    if event.get("version") == "2.0":
        return {"greeting": greeting}
    return {"statusCode": 200, "body": json.dumps({"greeting": greeting})}
