# Runs a Python function over the Lambda Runtime API.
import http.client, importlib, json, logging, os, sys, time, traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = "/2018-06-01/runtime/"


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        given = headers.get("Lambda-Runtime-Client-Context")
        if given:
            self.client_context = ClientContext(json.loads(given))
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class ClientContext:
    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = given.get("client")


class LogHandler(logging.Handler):
    request = ""

    def emit(self, record):
        now = time.gmtime(record.created)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", now) + ".%03dZ" % record.msecs
        sys.stdout.write("[%s]\t%s\t%s\t%s\n" % (record.levelname, stamp, self.request, self.format(record)))


class InitError(Exception):
    pass


def describe(kind, message, trace, request=""):
    return {"errorMessage": message, "errorType": kind, "requestId": request, "stackTrace": trace}


def describe_exception(e, request="", skip=1):
    # The first frame is ours.
    frames = traceback.extract_tb(e.__traceback__)[skip:]
    return describe(type(e).__name__, str(e), traceback.format_list(frames), request)


def report(error):
    # One write, so that what other threads print does not come in between.
    trace = "".join(error["stackTrace"])
    head = "[ERROR] %s: %s\n" % (error["errorType"], error["errorMessage"])
    sys.stdout.write(head + ("Traceback (most recent call last):\n" + trace if trace else ""))
    sys.stdout.flush()


def load(handler):
    parts = handler.rsplit(".", 1)
    if len(parts) != 2:
        raise InitError("Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler, [])
    name, function = parts[0].replace("/", "."), parts[1]
    try:
        module = importlib.import_module(name)
    except ImportError as e:
        raise InitError("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (name, e), [])
    except SyntaxError as e:
        where = '  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)
        raise InitError("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (name, e), [where])
    if not hasattr(module, function):
        raise InitError("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, name), [])
    return getattr(module, function)


class Api:
    # One connection, whose silence is not bounded: next waits for work.
    def __init__(self):
        self.connection = http.client.HTTPConnection(API)

    def next(self):
        self.connection.request("GET", ROOT + "invocation/next")
        answer = self.connection.getresponse()
        return answer.headers, answer.read()

    def post(self, path, body, kind=None):
        headers = {"Content-Type": "application/json"}
        if kind:
            headers["Lambda-Runtime-Function-Error-Type"] = kind
        self.connection.request("POST", ROOT + path, body, headers)
        self.connection.getresponse().read()


def main():
    # Not the folder of this file, but the function's comes first.
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    api = Api()
    logs = LogHandler()
    logging.getLogger().addHandler(logs)
    try:
        handler = load(os.environ["_HANDLER"])
    except BaseException as e:
        error = describe(*e.args) if isinstance(e, InitError) else describe_exception(e)
        report(error)
        api.post("init/error", json.dumps(error).encode(), error["errorType"])
        sys.exit(1)
    while True:
        headers, event = api.next()
        context = Context(headers)
        LogHandler.request = request = context.aws_request_id
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            try:
                event = json.loads(event)
            except ValueError as e:
                raise InitError("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e, [])
            result = handler(event, context)
            try:
                body = json.dumps(result).encode()
            except (TypeError, ValueError) as e:
                raise InitError("Runtime.MarshalError", "Unable to marshal response: %s" % e, [])
        except Exception as e:
            error = describe(*e.args, request) if isinstance(e, InitError) else describe_exception(e, request)
            report(error)
            api.post("invocation/" + request + "/error", json.dumps(error).encode(), error["errorType"])
        else:
            api.post("invocation/" + request + "/response", body)


main()
