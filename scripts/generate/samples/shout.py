import json, sys

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        say(id=message["id"], result={"protocol": 1, "commands": [{"name": "Shout"}]})
    elif message["method"] == "invoke":
        say(id=message["id"], result={"body": message["params"]["input"]["text"].upper()})
    elif "id" in message:  # ping and shutdown
        say(id=message["id"], result={})
