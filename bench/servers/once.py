import json
import sys

arguments = json.load(sys.stdin)
json.dump({"arg1": arguments["arg1"], "arg2": arguments["arg2"]}, sys.stdout)
