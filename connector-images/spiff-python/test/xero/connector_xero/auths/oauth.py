class OAuth:
    def __init__(self):
        pass

    def app_description(self, config):
        return {"name": "xero", "client_id": config["CONNECTOR_PROXY_XERO_CLIENT_ID"]}
