"""Hosts connector packages of Spiff Arena, unmodified: `connector_*` packages whose commands are classes with execute(config, task_data).

    python3 main.py                     serve; the package is the one that is there, or `connector_<name the proxy calls it by>`
    python3 main.py --plugin edge       serve connector_edge, whatever the proxy calls it
    python3 main.py --manifest [NAME]   print the manifest (JSON) of the package, for connector.yaml or the image's label
    python3 main.py --auths             print its OAuth classes as the reference lists them

      --package=FOLDER    a package (connector_*) to serve, or another folder for Python's path; may be given again
      --commands=A,B      what the manifest promises: declared even when a module of it cannot be imported any more

Without --package, packages are found on Python's path and in the folder `packages` beside this file. Standard library only;
Python >= 3.9.
"""
import bulkhead  # first: it moves the protocol away from stdout, to which many of these packages print

import importlib
import importlib.util
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
DESCRIPTION_CHARS_MAX = 4096
HERE = os.path.dirname(os.path.abspath(__file__))


def find_plugins():
    """Names of top level packages `connector_*`, without the prefix, in the order of the path."""
    return [name[len(PREFIX):] for _, name, _ in pkgutil.iter_modules() if name.startswith(PREFIX)]


class Target:
    """One class of a plugin: how to load it afresh, and how it is described."""

    def __init__(self, name, load, kind):
        self.name = name
        self.load = load
        self.parameters = _describe(kind)
        self.description = (kind.__doc__ or "").strip().partition("\n")[0]


def find_targets(plugins, package, broken=None):
    """{class name: Target} of every class defined in a module of connector_<plugin>.<package>, in the order of plugin, module and class.

    A module that cannot be imported hides only itself; its reason goes to stderr and, by module, into `broken`.
    """
    found = {}
    for plugin in plugins:
        folder = _import(plugin, package, broken)
        for finder, name, _ in pkgutil.iter_modules(folder.__path__ if folder else ()):
            try:
                load = _loader(finder, name)
                for known, kind in _classes(load(), name):
                    # The same name in an earlier package wins, as the same module name on Python's path does.
                    found.setdefault(known, Target(known, _class_loader(load, known), kind))
            except BaseException as error:
                _report("connector_%s.%s.%s" % (plugin, package, name), error, broken)
    return found


def _import(plugin, package, broken):
    """The package `commands` or `auths` of a plugin; None when it has none, or cannot be imported."""
    try:
        root = importlib.import_module(PREFIX + plugin)
        if any(name == package and is_package for _, name, is_package in pkgutil.iter_modules(getattr(root, "__path__", []))):
            return importlib.import_module("%s%s.%s" % (PREFIX, plugin, package))
    except BaseException as error:
        _report(PREFIX + plugin, error, broken)
    return None


def _report(module, error, broken):
    print("%s cannot be imported; its commands are left out:" % module, file=sys.stderr)
    traceback.print_exc()
    if broken is not None:
        broken[module.rpartition(".")[2]] = error


def _loader(finder, name):
    """Runs the module afresh under its bare name at every call, as the reference does: no state is kept between invocations."""
    spec = finder.find_spec(name)
    code = spec.loader.get_code(name)
    if code is not None and _names(code, "flask") and importlib.util.find_spec("flask"):
        importlib.import_module("flask")

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


def _names(code, name):
    """Whether the code, or a function in it, imports the module: it may do so only when it runs, too late for an app context."""
    return name in code.co_names or any(_names(one, name) for one in code.co_consts if isinstance(one, types.CodeType))


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


def manifest(plugins, name, run):
    """Schemas stay open: a missing or unknown parameter is Python's to refuse, as a TypeError."""
    context = {"context": ["task_data", "callback_url"]}
    return {
        "name": name or plugins[0],
        "description": "Of the Python package " + " and ".join(PREFIX + plugin for plugin in plugins),
        "protocol": "spiff-python",
        "run": run,
        "commands": [dict(_declaration(one), **context) for one in _nameable(find_targets(plugins, "commands"))],
        "auths": [_declaration(one) for one in _nameable(find_targets(plugins, "auths"))],
    }


def _nameable(targets):
    """A name is part of a URL; the few that are no plain words are left out, aloud."""
    for target in targets.values():
        if target.name.isascii() and len(target.name) <= 128:
            yield target
        else:
            print("%r is left out: a command's name has at most 128 ASCII letters, digits and _" % target.name, file=sys.stderr)


def _declaration(target):
    described = {one["id"]: {"x-spiff-type": one["type"], "x-spiff-required": one["required"]} for one in target.parameters}
    parameters = {"type": "object", "additionalProperties": True, "properties": described}
    return {"name": target.name, "description": target.description[:DESCRIPTION_CHARS_MAX], "parameters": parameters}


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
    def __init__(self, plugins, declared):
        super().__init__(CONCURRENCY)
        self._plugins = plugins
        self._declared = declared
        self._targets = {}
        self._broken = {}
        self._flask_app = None
        self._flask_lock = threading.Lock()

    def initialize(self, params):
        ready = super().initialize(params)
        name = params["connector"]["name"]
        self._plugins = self._plugins or [choose_plugin(name)]
        self._targets = find_targets(self._plugins, "commands", self._broken)
        # The manifest was made when the packages were put here. What it promises stays declared, so that a module that breaks later
        # takes down its own commands only.
        names = self._declared or manifest_commands() or list(self._targets)
        auths = [{"id": "%s/%s" % (name, one.name), "parameters": one.parameters} for one in find_targets(self._plugins, "auths").values()]
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
        packages = " and ".join(PREFIX + plugin for plugin in self._plugins)
        if not self._broken:
            message = "There is no command %s in %s any more; let `bulkhead discover` write the manifest anew." % (name, packages)
            return bulkhead.ConnectorError(message, "command_not_found", 404)
        reasons = "; ".join("%s (%s: %s)" % (module, type(error).__name__, error) for module, error in self._broken.items())
        code = _code_of(next(iter(self._broken.values())))
        return bulkhead.ConnectorError("%s has no command %s; not imported: %s" % (packages, name, reasons), code, 500)

    def _execute(self, target, params, context):
        # Whatever the deployer gave, settings and secrets, is what these packages know as the app's config.
        config = dict(self._setup["config"], **self._setup["secrets"])
        given = params["context"]
        kind = target.load()
        # Not an object: the reference's default is this text.
        task_data = given.get("taskData", "{}")
        callback_url = given.get("callbackUrl")
        with self._app_context(config):
            command = kind(**params["input"])
            if callback_url is not None and hasattr(command, "execute_async"):
                return command.execute_async(config, task_data, callback_url), True
            return command.execute(config, task_data), False

    def _app_context(self, config):
        """Some packages look for Flask's current_app; those have imported Flask by now, or name it somewhere in their code."""
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


def choose_plugin(connector, asked=None):
    plugins = find_plugins()
    for plugin in (asked, connector, connector.replace("-", "_")) if asked is None else (asked,):
        if plugin in plugins:
            return plugin
    if asked is None and len(plugins) == 1:
        return plugins[0]
    known = ", ".join(PREFIX + plugin for plugin in plugins) or "none"
    raise bulkhead.ConnectorError("There is no package %s%s; found: %s. Name one by --plugin." % (PREFIX, asked or connector, known))


def add_packages(folders):
    """Puts the folders on Python's path, right after that of this file, and gives the plugins among them."""
    plugins = []
    if folders:
        sys.dont_write_bytecode = True  # the folder is its author's
    for folder in reversed(folders):
        parent, name = os.path.split(os.path.abspath(folder))
        is_plugin = name.startswith(PREFIX)
        if is_plugin:
            plugins.insert(0, name[len(PREFIX):])
        path = parent if is_plugin else os.path.abspath(folder)
        if path not in sys.path:
            sys.path.insert(1, path)
    return plugins


def option(arguments, name):
    at = arguments.index(name) + 1 if name in arguments else len(arguments)
    return arguments[at] if at < len(arguments) and not arguments[at].startswith("--") else None


def values(arguments, prefix):
    return [one[len(prefix):] for one in arguments if one.startswith(prefix)]


def main(arguments):
    folders = values(arguments, "--package=")
    plugins = add_packages(folders or [os.path.join(HERE, "packages")])
    asked = option(arguments, "--plugin")
    if asked is not None:
        plugins = [asked]
    if "--manifest" in arguments:
        name = option(arguments, "--manifest")
        plugins = plugins or [choose_plugin(name or "")]
        run = {"packages": folders} if folders else {"command": ["python3", "main.py", "--plugin", plugins[0]]}
        bulkhead.print_result(json.dumps(manifest(plugins, name, run), indent=2))
    elif "--auths" in arguments:
        plugins = plugins or [choose_plugin("")]
        found = find_targets(plugins, "auths").values()
        bulkhead.print_result(json.dumps([{"id": "%s/%s" % (plugins[0], one.name), "parameters": one.parameters} for one in found]))
    else:
        declared = [name for names in values(arguments, "--commands=") for name in names.split(",") if name]
        Host(plugins, declared).run()


if __name__ == "__main__":
    main(sys.argv[1:])
