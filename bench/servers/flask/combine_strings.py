from typing import Any


class CombineStrings:
    def __init__(self, arg1: str, arg2: str):
        self.arg1 = arg1
        self.arg2 = arg2

    def execute(self, config: Any, task_data: Any) -> Any:
        body = {"arg1": self.arg1, "arg2": self.arg2}
        return {
            "command_response_version": 2,
            "command_response": {"body": body, "mimetype": "application/json"},
            "error": None,
            "spiff__logs": [],
        }
