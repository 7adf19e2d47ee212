"""
What users of the engine run today, built as the Spiff reference is: every command module of every connector is executed afresh on every
request, a class whose constructor takes the parameters is the command, and Flask answers.
"""
import importlib
import inspect
import json
import pkgutil
import types

from flask import Flask, Response, request

PREFIX = "connector_"


def plugins():
    return {name: importlib.import_module(name) for _, name, _ in pkgutil.iter_modules() if name.startswith(PREFIX)}


def modules_of(package, wanted):
    for finder, name, is_package in pkgutil.iter_modules(package.__path__):
        spec = finder.find_spec(name)
        module = types.ModuleType(name)
        if is_package and name == wanted:
            module.__path__ = [spec.submodule_search_locations[0]]
            yield from modules_of(module, None)
        elif wanted is None:
            spec.loader.exec_module(module)
            yield name, module


def commands_of(plugin):
    for name, module in modules_of(plugin, "commands"):
        for class_name, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ == name:
                yield class_name, member


def all_commands():
    return {name[len(PREFIX):]: dict(commands_of(plugin)) for name, plugin in plugins().items()}


app = Flask(__name__)


@app.post("/v1/do/<plugin>/<command>")
def run(plugin, command):
    found = all_commands().get(plugin, {}).get(command)
    if found is None:
        return Response("not found", 404)
    params = {name: value for name, value in request.get_json().items() if not name.startswith("spiff__")}
    result = found(**params).execute(app.config, "{}")
    return Response(json.dumps(result), mimetype="application/json")
