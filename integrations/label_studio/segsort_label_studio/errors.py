"""Errors of this backend, with the words that Label Studio shows of them."""

# Label Studio shows the status and the reason phrase of an error, and never its body. RFC 9110 leaves the phrase free.
PHRASES = {
    400: "The request is not one of Label Studio",
    401: "The user name or the password of the ML backend is wrong",
    413: "The request is too large for the ML backend",
    422: "The labelling interface has no Image with BrushLabels, PolygonLabels or RectangleLabels",
    424: "The image of the task could not be read. The page of the ML backend says why",
    502: "The segsort service refused a request. The page of the ML backend says why",
    503: "The segsort service does not answer. Start it or correct its address",
}


class BackendError(Exception):
    """A request that is answered with an error.

    status: one of PHRASES; message: what happened and what to do; lasting: trying again does not help; gone: the
    service no longer has what the request is about.
    """

    def __init__(self, status: int, message: str, *, lasting: bool = True, gone: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.lasting, self.gone = status, message, lasting, gone
