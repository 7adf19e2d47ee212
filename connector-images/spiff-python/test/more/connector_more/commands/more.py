class ReturnRaw:
    """Has the name of a command in another package."""

    def execute(self, config, task_data):
        return {"response": "more", "mimetype": "text/plain"}


class More:
    def execute(self, config, task_data):
        return {"response": "more", "mimetype": "text/plain"}
