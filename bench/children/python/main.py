from bulkhead import command, serve


@command
def CombineStrings(input, ctx):
    return {"arg1": input["arg1"], "arg2": input["arg2"]}


serve(version="1.0.0", concurrency=64)
