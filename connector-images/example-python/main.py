from bulkhead import Reply, command, serve


def envelope(body):
    """The engine's own envelope, returned as it is by `spiff`."""
    return {"command_response_version": 2, "command_response": {"body": body, "mimetype": "application/json"}, "error": None, "spiff__logs": []}


@command
def CombineStrings(input, ctx):
    body = {"command_response": {"example_response": "whatever you want", "arg1": input["arg1"], "arg2": input["arg2"]}}
    return Reply(spiff=envelope(body))


@command
def Example(input, ctx):
    return Reply(spiff=envelope({"example_response": "whatever you want", "message": input["message"]}))


@command
def AsyncBodyStatus(input, ctx):
    """Says no to a long-running start: accepted when the caller waits for a callback, and the same answer at once otherwise."""
    refused = envelope({"started": False})
    refused["command_response"]["http_status"] = 500
    refused["error"] = {"error_code": "AsyncStartRejected", "message": "The async command rejected the start request."}
    return Reply(spiff=refused, accepted=ctx.callback_url is not None)


serve(version="1.0.0")
