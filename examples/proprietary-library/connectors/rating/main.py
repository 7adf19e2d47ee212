import ctypes

from bulkhead import ConnectorError, command, serve

# It exists in the image and nowhere else.
acme = ctypes.CDLL("/opt/acme/libacme_rating.so")
acme.acme_version.restype = ctypes.c_char_p
acme.acme_rate.argtypes = [ctypes.c_longlong, ctypes.c_longlong]


@command
def Rate(input, ctx):
    score = acme.acme_rate(input["turnover_cents"], input["debt_cents"])
    if score < 0:
        raise ConnectorError("The library has no rating for these numbers.", "NoRating", 422)
    return {"score": score, "library": acme.acme_version().decode()}


serve()
