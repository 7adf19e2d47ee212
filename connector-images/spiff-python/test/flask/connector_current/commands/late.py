class LateRegion:
    def execute(self, config, task_data):
        from flask import current_app

        return {"response": {"run_in": current_app.config["REGION"]}, "mimetype": "application/json"}
