from flask import current_app


class Region:
    """Reads the app's config, also while it is made."""

    def __init__(self):
        self.made_in = current_app.config["REGION"]

    def execute(self, config, task_data):
        return {"response": {"made_in": self.made_in, "run_in": current_app.config["REGION"]}, "mimetype": "application/json"}
