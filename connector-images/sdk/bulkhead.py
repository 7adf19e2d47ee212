"""Bulkhead's connector SDK for Python >= 3.9: one file, standard library only, copied beside the connector.

    from bulkhead import command, serve

    @command
    def Greet(input, ctx):
        return {"greeting": "Hello " + input["name"]}

    serve()

Import it first: from then on whatever is printed to stdout goes to stderr, where it becomes log lines, because stdout belongs to the
protocol (docs/protocol.md). Child processes inherit it that way too.

Values are kept as they came: integers of any length, 1.0, 1E2, 1e400, -0.0, the order of keys, lone surrogates.
"""
import collections
import os
import sys
import threading
import time

# Before any code of the connector can print: the protocol gets a private descriptor, and descriptor 1 becomes stderr.
sys.stdout.flush()
_protocol_fd = os.dup(1)
os.dup2(2, 1)
sys.stdout.reconfigure(line_buffering=True)


def _leave_protocol():
    """A forked child has no part in it: what it would answer is its parent's to answer."""
    global _protocol_fd
    os.close(_protocol_fd)
    _protocol_fd = -1


os.register_at_fork(after_in_child=_leave_protocol)

_commands = {}
_DRAIN_TIMEOUT_S = 2.0
#: A command of so much is slow: several times what it costs to wake a thread. Slow ones count for some that were not, and above the bound
#: another thread reads on as soon as one begins: on a busy machine any command may seem slow now and then.
_SLOW_S = 0.0002
_SLOW_WEIGHT = 8
_SLOWNESS_BOUND = 12
_SLOWNESS_MAX = 64
#: Below that bound another thread reads on when one look after the other finds the same command: what came with it waits so long at most.
_LOOK_S = 0.002
#: So many looks without a command, and nobody looks any more.
_CALM_MAX = 8
#: The protocol's levels, by these and by Python's own names.
_LEVELS = {"debug": "debug", "info": "info", "warn": "warn", "warning": "warn", "error": "error", "critical": "error"}
#: What the proxy takes of a notification, and characters that are kept of the message of a larger one: each is up to twelve bytes.
_NOTIFICATION_BYTES_MAX = 262144
_CUT_MESSAGE_CHARS = 20000


class ConnectorError(Exception):
    """A failure with a name that a process model can catch by a boundary event.

    error_code: letters, digits and _.:- (at most 128). http_status: 400 to 599; the engine retries 429 and 5xx.
    """

    def __init__(self, message, error_code="ConnectorError", http_status=None, retryable=None, detail=None):
        super().__init__(message)
        self.data = {"errorCode": error_code, "httpStatus": http_status, "retryable": retryable, "detail": detail}


class Reply:
    """An answer that is more than a body. `spiff` is a result in the engine's own form, instead of `body`."""

    def __init__(self, body=None, *, mimetype=None, http_status=None, headers=None, logs=None, spiff=None, accepted=None):
        fields = {"mimetype": mimetype, "httpStatus": http_status, "headers": headers, "logs": logs, "accepted": accepted}
        self.fields = {"body": body} if spiff is None else {"spiff": spiff}
        self.fields.update((name, value) for name, value in fields.items() if value is not None)


class JsonText:
    """One JSON value as its own text; put it anywhere in an answer. It is not checked: text that is no JSON ends the connector."""

    def __init__(self, source):
        self.json_text = source


class ExactFloat(float):
    """A number whose text Python would write differently: 1E2, 1e400, 0.10. It calculates as the float it is."""

    json_text = ""


class ExactInt(int):
    """-0, which Python would write as 0."""

    json_text = ""


class Context:
    """What a command is told beside its input; the engine's data is present only where connector.yaml names it in `context`."""

    #: Set by a coroutine that runs: cancels it.
    _stop = None

    def __init__(self, given, setup, server):
        self.invocation_id = given["invocationId"]
        #: When the answer stops being of use: milliseconds since the epoch.
        self.deadline = given.get("deadline")
        self.attempt = given.get("attempt", 1)
        self.traceparent = given.get("traceparent")
        self.task_data = given.get("taskData")
        self.process_instance_id = given.get("processInstanceId")
        self.process_model_identifier = given.get("processModelIdentifier")
        self.task_id = given.get("taskId")
        self.callback_url = given.get("callbackUrl")
        #: The deployer's `settings`, and the secrets that the config grants.
        self.config = setup["config"]
        self.secrets = setup["secrets"]
        self._server = server
        self._is_cancelled = False

    @property
    def cancelled(self):
        """A threading.Event, set when the answer is no longer wanted. A coroutine is cancelled then, as asyncio cancels a task."""
        # Made when it is asked for, which few commands do: it takes longer to make than all the rest of a context.
        event = self.__dict__.get("_event") or self.__dict__.setdefault("_event", threading.Event())
        if self._is_cancelled:
            event.set()
        return event

    def _cancel(self):
        self._is_cancelled = True
        event = self.__dict__.get("_event")
        if event is not None:
            event.set()
        if self._stop is not None:
            self._stop()

    def remaining_s(self):
        """Seconds until the deadline, for the timeout of a client library; never below 0."""
        return max(0.0, self.deadline / 1000 - time.time())

    def log(self, level, message, **fields):
        """level: debug, info, warn or error. A line of more than 256 KiB is cut, and loses its fields."""
        if level not in _LEVELS:
            raise ValueError("A log level is debug, info, warn or error.")
        line = {"invocationId": self.invocation_id, "level": _LEVELS[level], "message": str(message), "fields": fields}
        self._server.notify("log", line)

    def progress(self, progress, total=None, message=None):
        given = {"invocationId": self.invocation_id, "progress": _number(progress)}
        if total is not None:
            given["total"] = _number(total)
        if message is not None:
            given["message"] = str(message)
        self._server.notify("progress", given)


def command(function):
    """Makes a function a command: its name is the command's, its result the body of the answer (or a Reply)."""
    _commands[function.__name__] = function
    return function


def serve(concurrency=8, version=None, start=None, close=None):
    """Answers the proxy until stdin ends, then ends the process.

    concurrency: invocations at once, in as many threads as their commands need; with 1 they run on the main thread, without any other:
    then nobody reads amid a command, so it is not told of its cancellation.
    start(config, secrets) runs once before the first invocation, close() once when the proxy says that nothing more will come. Both, as
    commands, may be coroutine functions.
    """
    Server(concurrency, version, start, close).run()


def print_result(text):
    """For a program that has a use beside serving: a line on the real stdout."""
    os.write(_protocol_fd, (text + "\n").encode())


class Server:
    """What serve() runs; a host of other people's commands may want its own `initialize`, `run_command` or `read_json`."""

    def __init__(self, concurrency, version=None, start=None, close=None):
        self._concurrency = concurrency
        self._version = version
        self._start = start
        self._close = close
        self._setup = {"config": {}, "secrets": {}}
        self._running = {}
        self._writing = threading.Lock()
        # Whoever has this reads what comes and runs it: to wake another thread for each command costs more than a small command. Amid a
        # command it is free, for the case that this one takes its time.
        self._reading = threading.Lock()
        self._source = None
        self._lines = collections.deque()
        self._begun = []
        #: Invocations for which there was no thread, and of each thread with nothing to do the lock that it sleeps on: None before it starts.
        self._waiting = collections.deque()
        self._asleep = collections.deque([None] * concurrency if concurrency > 1 else [])
        self._slowness = 0
        #: How many commands reading threads have begun; set while somebody looks whether such a one takes its time.
        self._taken = 0
        self._watched = threading.Event()
        self._lookout = None

    def run(self):
        self._source = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._take_part()

    def _take_part(self):
        """What each thread does, the main one too."""
        lock = threading.Lock()
        lock.acquire()
        try:
            while True:
                self._work()
                self._asleep.append(lock)
                # Whoever left it there may have seen nobody asleep.
                if self._waiting:
                    self._wake()
                lock.acquire()
        except Exception:
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _wake(self):
        try:
            lock = self._asleep.pop()
        except IndexError:
            return
        if lock is not None:
            lock.release()
            return
        try:
            threading.Thread(target=self._take_part, daemon=True).start()
        except RuntimeError:
            # The limit of processes is reached, say. Without more threads commands wait for each other.
            self._asleep.appendleft(None)

    def _work(self):
        """As long as there is any."""
        while True:
            try:
                invocation = self._waiting.popleft()
            except IndexError:
                if not self._reading.acquire(False):
                    return
                self._read_on()
            else:
                self._invoke(*invocation)

    def _read_on(self):
        """Until another thread does, because a command took its time."""
        while True:
            message = self._read(self._next_line())
            if message is None:
                continue
            if message.get("method") != "invoke":
                self._receive(message)
            elif not self._take(message["id"], message["params"]):
                return

    def _next_line(self):
        while not self._lines:
            data = os.read(self._source, 1 << 16)
            if not data:
                self._finish()
            *ends, rest = data.split(b"\n")
            if ends:
                ends[0] = b"".join([*self._begun, ends[0]])
                self._begun.clear()
                self._lines.extend(ends)
            if rest:
                self._begun.append(rest)
        return self._lines.popleft()

    def _take(self, request_id, params):
        """Runs an invocation, or leaves it for later. False: another thread reads by now."""
        context = Context(params["context"], self._setup, self)
        self._running[context.invocation_id] = context
        if self._concurrency > 1 and not self._asleep:
            # Nobody could read on while it runs.
            self._waiting.append((request_id, params, context))
            if self._asleep:
                self._wake()
            return True
        self._taken += 1
        if not self._watched.is_set():
            self._watch()
        self._reading.release()
        if self._slowness >= _SLOWNESS_BOUND:
            self._wake()
        self._invoke(request_id, params, context)
        return self._reading.acquire(False)

    def _watch(self):
        if self._concurrency > 1 and self._lookout is None:
            lookout = threading.Thread(target=self._look_out, daemon=True)
            try:
                lookout.start()
            except RuntimeError:
                return
            self._lookout = lookout
        self._watched.set()

    def _look_out(self):
        """Commands that turn out not to be quick hold up neither others nor answers."""
        calm = 0
        while True:
            taken = self._taken
            time.sleep(_LOOK_S)
            if taken != self._taken:
                calm = 0
            elif not self._reading.locked():
                self._wake()
            elif calm < _CALM_MAX:
                calm += 1
            else:
                self._watched.clear()
                if taken == self._taken:
                    self._watched.wait()

    def notify(self, method, params):
        text = dumps(params)
        if len(text) > _NOTIFICATION_BYTES_MAX - 100:
            kept = {name: value for name, value in params.items() if name != "fields"}
            text = dumps(dict(kept, message=params.get("message", "")[:_CUT_MESSAGE_CHARS] + " (cut)"))
        self._send('{"jsonrpc":"2.0","method":"%s","params":%s}\n' % (method, text))

    def _read(self, line):
        """The message; None: it was none, or is answered."""
        try:
            return self.read_json(line) if line.strip() else None
        except (RecursionError, ValueError) as error:
            # Nested deeper than Python reads: that invocation fails, not the process with all the others.
            import re

            request_id = re.search(rb'"id"\s*:\s*"([^"\\]*)"', line[:512])
            if request_id is None:
                raise
            failure = ConnectorError("The message cannot be read: %s." % error, type(error).__name__)
            self._send('{"jsonrpc":"2.0","id":"%s","error":%s}\n' % (request_id.group(1).decode(), _failure(failure)))
            return None

    def _receive(self, message):
        method, params = message.get("method"), message.get("params")
        if method == "cancel":
            context = self._running.get(params["invocationId"])
            if context is not None:
                context._cancel()
        elif method == "initialize":
            self._answer(message["id"], self.initialize, params)
        elif method == "shutdown":
            self._answer(message["id"], self._shut_down)
        elif "id" in message:
            self._answer(message["id"], dict)

    def _shut_down(self):
        if self._close is not None:
            _ended(self._close())
        return {}

    def initialize(self, params):
        self._setup = params
        if self._start is not None:
            _ended(self._start(params["config"], params["secrets"]))
        known = [{"name": name} for name in _commands]
        ready = {"protocol": 1, "commands": known, "concurrency": self._concurrency}
        return ready if self._version is None else dict(ready, version=self._version)

    def read_json(self, line):
        return loads(line)

    def run_command(self, params, context):
        """Gives the `result` of the answer, or raises."""
        function = _commands.get(params["command"])
        if function is None:
            raise ConnectorError("This connector has no command %s." % params["command"], "command_not_found")
        result = _ended(function(params["input"], context), context)
        return result.fields if isinstance(result, Reply) else {"body": result}

    def _invoke(self, request_id, params, context):
        began = time.monotonic()
        line = self._answer_to(request_id, self.run_command, params, context)
        # Without the writing: what it wakes may take this thread's place.
        if time.monotonic() - began > _SLOW_S:
            self._slowness = min(self._slowness + _SLOW_WEIGHT, _SLOWNESS_MAX)
        elif self._slowness > 0:
            self._slowness -= 1
        self._send(line)
        self._running.pop(context.invocation_id, None)

    def _answer(self, request_id, work, *arguments):
        self._send(self._answer_to(request_id, work, *arguments))

    def _answer_to(self, request_id, work, *arguments):
        try:
            outcome = '"result":' + dumps(work(*arguments))
        except BaseException as error:  # SystemExit too: one command must not end the others' process
            outcome = '"error":' + _failure(error)
        return '{"jsonrpc":"2.0","id":%s,%s}\n' % (_encode(request_id), outcome)

    def _send(self, line):
        """At once: the proxy works on this answer while the next is made."""
        data = line.encode("ascii")
        if _protocol_fd < 0:  # forked: its lock may never be free
            os._exit(1)
        with self._writing:
            try:
                while data:
                    data = data[os.write(_protocol_fd, data):]
            except OSError:  # nobody reads any more
                os._exit(1)

    def _finish(self):
        """Lets what runs answer, for a while: nobody can send anything any more. Threads do not hold the process up."""
        end = time.monotonic() + _DRAIN_TIMEOUT_S
        while (self._running or self._writing.locked()) and time.monotonic() < end:
            time.sleep(0.005)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # the connector's own by now, and perhaps none
                pass
        os._exit(0)


def _ended(result, context=None):
    """What a function gave; of a coroutine function, what its coroutine gives, which is cancelled with its invocation."""
    if not hasattr(result, "__await__"):
        return result
    import asyncio  # a third of the time that this file takes to load, and most connectors have no use for it

    async def run():
        if context is not None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()

            def stop():
                try:
                    loop.call_soon_threadsafe(task.cancel)
                except RuntimeError:  # it has ended
                    pass

            context._stop = stop
            # In a turn of its own, so that one that has nothing to await ends as it is told.
            if context._is_cancelled:
                stop()
        return await result

    return asyncio.run(run())


def _number(value):
    if not isinstance(value, (int, float)):
        raise TypeError("Progress is told in numbers.")
    return +value


def _failure(error):
    """The error of an answer. To tell of it never fails, whatever was raised and put into it: that would end the process."""
    try:
        message, data = _describe(error)
    except BaseException as worse:
        message, data = "%s, of which no more can be told: %s" % (type(error).__name__, type(worse).__name__), {}
    try:
        return dumps({"code": -32000, "message": message, "data": data})
    except BaseException as worse:
        code = data.get("errorCode")
        told = "%s (The rest of this error is no JSON: %s.)" % (message, type(worse).__name__)
        return _encode({"code": -32000, "message": told, "data": {"errorCode": code} if isinstance(code, str) else {}})


def _describe(error):
    if isinstance(error, ConnectorError):
        # A class of the connector's own may have left out what ConnectorError does at its making.
        data = getattr(error, "data", {"errorCode": "ConnectorError"})
    else:
        import re  # these are slow to load, and not needed before something fails
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
        name = type(error).__name__
        data = {"errorCode": name if re.match(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}\Z", name) else None}
    return str(error), {name: value for name, value in data.items() if value is not None}


# ---- JSON that keeps numbers as they were -------------------------------------------------------------------------------------

_DIGITS_MAX = 4000  # Python refuses to read longer integers, since reading them takes quadratic time
_exact_seen = False


def loads(line):
    """json.loads, except that a number Python would write differently keeps its text."""
    text = line.decode("utf-8", "surrogatepass")
    # The hook for integers costs a call a number, so it is used only where "-0" or a very long integer may be.
    scan = _scan_exactly if "-0" in text else _scan
    try:
        # What json does around this is to look for blanks, where the proxy writes none: a third of its time.
        value, end = scan(text, 0)
        if end == len(text):
            return value
    except (StopIteration, ValueError):
        pass
    import json

    return json.JSONDecoder(parse_float=_exact_float, parse_int=_exact_int).decode(text)


def dumps(value):
    """Compact JSON in ASCII. NaN and infinities that the connector itself made are a ValueError: JSON has none."""
    if not _exact_seen and not isinstance(value, JsonText):
        try:
            return _encode(value)
        except TypeError:
            pass  # perhaps a JsonText inside
    import re

    texts = []
    mark = os.urandom(16).hex()  # chosen here and now, so nothing in the value can contain it
    marked = _encode(_marked(value, mark, texts))
    return re.sub('"%s:(\\d+)"' % mark, lambda found: texts[int(found.group(1))], marked)


def _marked(value, mark, texts):
    """A copy in which whatever has a text of its own is a mark: the C encoder ignores __repr__ of numbers' subclasses."""
    if isinstance(value, dict):
        return {name: _marked(item, mark, texts) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item, mark, texts) for item in value]
    if isinstance(value, (ExactFloat, ExactInt, JsonText)):
        texts.append(_on_one_line(value.json_text))
        return "%s:%d" % (mark, len(texts) - 1)
    return value


def _on_one_line(text):
    """The same JSON in ASCII, without line breaks, which stand only between tokens; what is not ASCII stands only within strings."""
    if not text.isascii():
        import re

        text = re.sub(r"[^\x00-\x7f]+", lambda found: _encode(found.group())[1:-1], text)
    return text.replace("\n", " ").replace("\r", " ")


def _exact_float(text):
    value = float(text)
    return value if repr(value) == text else _keeping(ExactFloat(text), text)


def _exact_int(text):
    if text == "-0":
        return _keeping(ExactInt(0), text)
    return int(text) if len(text) < _DIGITS_MAX else _keeping(ExactFloat(text), text)


def _keeping(number, text):
    global _exact_seen
    _exact_seen = True
    number.json_text = text
    return number


class _Reading:
    """What a scanner of json asks of its decoder; these are json's own defaults, but for numbers."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = staticmethod(_exact_float)
    parse_int = int
    parse_constant = float


class _ReadingExactly(_Reading):
    parse_int = staticmethod(_exact_int)


def _refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


try:
    # What json itself reads and writes with. The rest of it loads patterns, for blanks and errors, that take a third of a process's start.
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    _scan, _scan_exactly = make_scanner(_Reading), make_scanner(_ReadingExactly)

    def _encode(value):
        # One for each value, as json does it: it remembers what it is amid, to find circles.
        return "".join(make_encoder({}, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)(value, 0))

    if _encode({"a": [1]}) != '{"a":[1]}' or _scan('{"a":[1]}', 0) != ({"a": [1]}, 9):
        raise ImportError("_json is not what it was")
except (ImportError, TypeError, AttributeError):
    import json

    _scan = json.JSONDecoder(parse_float=_exact_float).scan_once
    _scan_exactly = json.JSONDecoder(parse_float=_exact_float, parse_int=_exact_int).scan_once
    _encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
