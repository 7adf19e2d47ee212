class CreateInvoice:
    def __init__(self, client_id: str):
        pass

    def execute(self, config, task_data):
        return {"response": "", "mimetype": "text/plain"}
