"""Hosts connector packages of Spiff Arena, unmodified: `connector_*` packages whose commands are classes with execute(config, task_data).

    python3 main.py                     serve; the package is the one that is there, or `connector_<name the proxy calls it by>`
    python3 main.py --plugin edge       serve connector_edge, whatever the proxy calls it
    python3 main.py --manifest [NAME]   print the manifest (JSON) of the package, for connector.yaml or the image's label
    python3 main.py --auths             print its OAuth classes as the reference lists them

Packages are found on Python's path and in the folder `packages` beside this file. Standard library only; Python >= 3.9.
"""
import bulkhead  # first: it moves the protocol away from stdout, to which many of these packages print

import importlib
import inspect
import io
import json
import os
import pkgutil
import sys
import threading
import traceback
import types
import typing

PREFIX = "connector_"
CONCURRENCY = 8
HERE = os.path.dirname(os.path.abspath(__file__))


def find_plugins():
    """Names of top level packages `connector_*`, without the prefix, in the order of the path."""
    return [name[len(PREFIX):] for _, name, _ in pkgutil.iter_modules() if name.startswith(PREFIX)]


class Target:
    """One class of a plugin: how to load it afresh, and how it is described."""

    def __init__(self, name, load, description):
        self.name = name
        self.load = load
        self.parameters = description


def find_targets(plugin, package, broken=None):
    """{class name: Target} of every class defined in a module of connector_<plugin>.<package>, in the order of module and class.

    A module that cannot be imported hides only itself; its reason goes to stderr and, by module, into `broken`.
    """
    found = {}
    root = importlib.import_module(PREFIX + plugin)
    if not any(name == package and is_package for _, name, is_package in pkgutil.iter_modules(getattr(root, "__path__", []))):
        return found
    folder = importlib.import_module("%s%s.%s" % (PREFIX, plugin, package))
    for finder, name, _ in pkgutil.iter_modules(folder.__path__):
        try:
            load = _loader(finder, name)
            classes = _classes(load(), name)
            found.update((known, Target(known, _class_loader(load, known), _describe(kind))) for known, kind in classes)
        except BaseException as error:
            print("connector_%s.%s.%s cannot be imported; its commands are left out:" % (plugin, package, name), file=sys.stderr)
            traceback.print_exc()
            if broken is not None:
                broken[name] = error
    return found


def _loader(finder, name):
    """Runs the module afresh under its bare name at every call, as the reference does: no state is kept between invocations."""
    spec = finder.find_spec(name)
    code = spec.loader.get_code(name)

    def load():
        module = types.ModuleType(name)
        module.__file__, module.__spec__, module.__loader__ = spec.origin, spec, spec.loader
        if spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        if code is None:
            spec.loader.exec_module(module)
        else:
            exec(code, module.__dict__)
        return module

    return load


def _class_loader(load, name):
    return lambda: getattr(load(), name)


def _classes(module, module_name):
    """Helpers, exceptions and _Private classes count; imported ones do not."""
    return [(name, member) for name, member in inspect.getmembers(module, inspect.isclass) if member.__module__ == module_name]


def _describe(kind):
    parameters = inspect.signature(kind.__init__).parameters.values()
    return [_describe_parameter(parameter) for parameter in parameters if parameter.name not in ("self", "kwargs")]


def _describe_parameter(parameter):
    """The reference's rules with their quirks: the arguments of any generic are looked at, so list[str] is described as str."""
    nothing, shown = type(None), (str, int, bool, type(None))
    annotation = parameter.annotation
    named = [annotation] if any(annotation is one for one in shown) else list(typing.get_args(annotation))
    kinds = {one if any(one is known for known in shown) else object for one in named}
    required = parameter.default is parameter.empty and nothing not in kinds
    kinds.discard(nothing)
    only = next(iter(kinds)) if len(kinds) == 1 else object
    return {"id": parameter.name, "type": "any" if only is object else only.__name__, "required": required}


def manifest(plugin, name):
    """Schemas stay open: a missing or unknown parameter is Python's to refuse, as a TypeError."""
    commands = [
        {
            "name": target.name,
            "parameters": {
                "type": "object",
                "additionalProperties": True,
                "properties": {
                    one["id"]: {"x-spiff-type": one["type"], "x-spiff-required": one["required"]} for one in target.parameters
                },
            },
            "context": ["task_data", "callback_url"],
        }
        for target in find_targets(plugin, "commands").values()
    ]
    return {
        "name": name or plugin,
        "description": "The package connector_%s in its host" % plugin,
        "protocol": "spiff-python",
        "run": {"command": ["python3", "main.py", "--plugin", plugin]},
        "commands": commands,
    }


def manifest_commands():
    """Names in the manifest beside this file, where it is one that --manifest printed (JSON is YAML)."""
    try:
        with open(os.path.join(HERE, "connector.yaml"), encoding="utf-8") as file:
            return [command["name"] for command in json.load(file)["commands"]]
    except (OSError, ValueError):
        return None


class InvalidResult(bulkhead.ConnectorError):
    def __init__(self, reason):
        super().__init__("The command ran, but %s." % reason, "invalid_result", http_status=502)


class Host(bulkhead.Server):
    def __init__(self, plugin):
        super().__init__(CONCURRENCY)
        self._plugin = plugin
        self._targets = {}
        self._broken = {}
        self._flask_app = None
        self._flask_lock = threading.Lock()

    def initialize(self, params):
        ready = super().initialize(params)
        self._plugin = choose_plugin(self._plugin, params["connector"]["name"])
        self._targets = find_targets(self._plugin, "commands", self._broken)
        # The manifest was made when the packages were put here. What it promises stays declared, so that a module that breaks later
        # takes down its own commands only.
        names = manifest_commands() or list(self._targets)
        auths = [{"id": "%s/%s" % (self._plugin, one.name), "parameters": one.parameters} for one in find_targets(self._plugin, "auths").values()]
        return dict(ready, commands=[{"name": name} for name in names], auths=auths)

    def read_json(self, line):
        # The packages expect Python's own numbers, and its own way of writing them.
        return json.loads(line)

    def run_command(self, params, context):
        target = self._targets.get(params["command"])
        if target is None:
            raise self._missing(params["command"])
        try:
            result, accepted = self._execute(target, params, context)
        except BaseException as error:  # SystemExit too: as for any other exception, its name is the code
            traceback.print_exc()
            raise bulkhead.ConnectorError(str(error), _code_of(error), http_status=500)
        reply = {"spiff": bulkhead.JsonText(dump(result) if accepted else dump(checked(result)))}
        return dict(reply, accepted=True) if accepted else reply

    def _missing(self, name):
        if not self._broken:
            return bulkhead.ConnectorError("connector_%s has no command %s." % (self._plugin, name), "command_not_found", 404)
        reasons = "; ".join("%s (%s: %s)" % (module, type(error).__name__, error) for module, error in self._broken.items())
        code = _code_of(next(iter(self._broken.values())))
        return bulkhead.ConnectorError("connector_%s has no command %s; not imported: %s" % (self._plugin, name, reasons), code, 500)

    def _execute(self, target, params, context):
        # Whatever the deployer gave, settings and secrets, is what these packages know as the app's config.
        config = dict(self._setup["config"], **self._setup["secrets"])
        given = params["context"]
        command = target.load()(**params["input"])
        # Not an object: the reference's default is this text.
        task_data = given.get("taskData", "{}")
        callback_url = given.get("callbackUrl")
        with self._app_context(config):
            if callback_url is not None and hasattr(command, "execute_async"):
                return command.execute_async(config, task_data, callback_url), True
            return command.execute(config, task_data), False

    def _app_context(self, config):
        """Some packages look for Flask's current_app; those have imported Flask by now."""
        flask = sys.modules.get("flask")
        if flask is None:
            return io.StringIO()  # a context manager that does nothing
        with self._flask_lock:
            if self._flask_app is None:
                self._flask_app = flask.Flask("spiff_python")
                self._flask_app.config.update(config)
        return self._flask_app.app_context()


def _code_of(error):
    name = type(error).__name__
    return name if name.isascii() else None


def checked(result):
    """The result in one of the two forms that the proxy passes on; what the reference would have answered with HTML 500 is named."""
    if not isinstance(result, dict):
        raise InvalidResult("its result is a %s, not a dict" % type(result).__name__)
    version = result.get("command_response_version", 1)
    if not isinstance(version, (int, float)):
        raise InvalidResult("command_response_version is a %s, not a number" % type(version).__name__)
    if version > 1:
        return result
    if "response" not in result or "mimetype" not in result:
        raise InvalidResult("its result has neither command_response_version 2 nor both of response and mimetype")
    return {"response": _body(result["response"]), "mimetype": result["mimetype"], "status": _status(result.get("status", 200))}


def _body(response):
    """A dict is dumped, text is as it is, strings of a list are joined, None is an empty body."""
    if response is None or isinstance(response, (dict, str)):
        return response
    if isinstance(response, bytes):
        try:
            return response.decode()
        except UnicodeDecodeError:
            raise InvalidResult("its response is bytes that are not UTF-8, which JSON cannot carry")
    if isinstance(response, (list, tuple)) and all(isinstance(one, (str, bytes)) for one in response):
        return "".join(str(_body(one)) for one in response)
    raise InvalidResult("its response is a %s, not a dict or text" % type(response).__name__)


def _status(status):
    try:
        number = int(status)
    except (TypeError, ValueError):
        raise InvalidResult("its status is not a number")
    if not 100 <= number <= 999:
        raise InvalidResult("its status is not an HTTP status")
    return number


def dump(result):
    """As the reference writes it, byte for byte. What JSON has not (NaN, dates, decimals) is named."""
    try:
        return json.dumps(result, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidResult("its result is not JSON: %s" % error)


def choose_plugin(asked, connector):
    plugins = find_plugins()
    for plugin in (asked, connector, connector.replace("-", "_")) if asked is None else (asked,):
        if plugin in plugins:
            return plugin
    if asked is None and len(plugins) == 1:
        return plugins[0]
    known = ", ".join(PREFIX + plugin for plugin in plugins) or "none"
    raise bulkhead.ConnectorError("There is no package %s%s; found: %s. Name one by --plugin." % (PREFIX, asked or connector, known))


def option(arguments, name):
    at = arguments.index(name) + 1 if name in arguments else len(arguments)
    return arguments[at] if at < len(arguments) and not arguments[at].startswith("--") else None


def main(arguments):
    # Python puts the folder of this file first; the packages of the deployer come right after it.
    sys.path.insert(1, os.path.join(HERE, "packages"))
    plugin = option(arguments, "--plugin")
    if "--manifest" in arguments:
        name = option(arguments, "--manifest")
        bulkhead.print_result(json.dumps(manifest(choose_plugin(plugin, name or ""), name), indent=2))
    elif "--auths" in arguments:
        chosen = choose_plugin(plugin, "")
        found = find_targets(chosen, "auths").values()
        bulkhead.print_result(json.dumps([{"id": "%s/%s" % (chosen, one.name), "parameters": one.parameters} for one in found]))
    else:
        Host(plugin).run()


if __name__ == "__main__":
    main(sys.argv[1:])
