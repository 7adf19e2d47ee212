import sys

COUNT = []


class Count:
    """Shows that no module state is kept between calls, and that stdout is not the protocol's."""

    def execute(self, config, task_data):
        COUNT.append(1)
        print('{"jsonrpc": "2.0", "id": "forged", "result": {}}')
        sys.stdout.write("no newline")
        return {"response": {"count": len(COUNT), "key": config.get("KEY"), "token": config["TOKEN"]}, "mimetype": "application/json"}
